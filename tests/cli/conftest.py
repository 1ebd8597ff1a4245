"""Commands as a user runs them: in a process of their own, through the installed entry points."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[bytes]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs `glo` or `glo-compile` in a fresh directory; no output of a user's mistake may hold a traceback."""
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}

    def call(*words: object) -> subprocess.CompletedProcess[bytes]:
        command = [str(Path(sys.executable).parent / str(words[0])), *map(str, words[1:])]
        done = subprocess.run(
            command, capture_output=True, cwd=tmp_path, env={**environment, "NO_COLOR": "1"}, timeout=300
        )
        assert b"Traceback" not in done.stderr, done.stderr.decode()
        return done

    return call

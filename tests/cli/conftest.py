"""Commands as a user runs them: in a process of their own, through the installed entry points."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[bytes]]
FORKING = Path(__file__).with_name("forking.py")


def _environment() -> dict[str, str]:
    return {**{k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}, "NO_COLOR": "1"}


def _checked(done: subprocess.CompletedProcess[bytes]) -> subprocess.CompletedProcess[bytes]:
    """No output of a user's mistake may hold a traceback."""
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return done


@pytest.fixture
def installed(tmp_path: Path) -> Run:
    """Runs `glo` or `glo-compile` as it is installed, in a fresh directory."""

    def call(*words: object) -> subprocess.CompletedProcess[bytes]:
        command = [str(Path(sys.executable).parent / str(words[0])), *map(str, words[1:])]
        return _checked(subprocess.run(command, capture_output=True, cwd=tmp_path, env=_environment(), timeout=300))

    return call


@pytest.fixture(scope="session")
def _forking() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, str(FORKING)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=_environment(), text=True
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture
def run(_forking: subprocess.Popen[str], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Like `installed`, in a fork of a process that has imported everything: see `forking`."""
    outputs = tmp_path_factory.mktemp("outputs")

    def call(*words: object) -> subprocess.CompletedProcess[bytes]:
        stdout, stderr = outputs / "stdout", outputs / "stderr"
        for file in (stdout, stderr):
            file.unlink(missing_ok=True)
        command, *arguments = map(str, words)
        asked = {
            "command": command, "words": arguments, "cwd": str(tmp_path), "stdout": str(stdout), "stderr": str(stderr)
        }  # fmt: skip
        assert _forking.stdin is not None and _forking.stdout is not None
        print(json.dumps(asked), file=_forking.stdin, flush=True)
        code = int(_forking.stdout.readline())
        return _checked(subprocess.CompletedProcess([command], code, stdout.read_bytes(), stderr.read_bytes()))

    return call

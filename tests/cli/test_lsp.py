from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.cli.conftest import Run


def test_without_the_extra_the_way_out_is_said(tmp_path: Path) -> None:
    (tmp_path / "pygls").mkdir()
    (tmp_path / "pygls" / "__init__.py").write_text("raise ModuleNotFoundError('No module named pygls', name='pygls')")
    command = [str(Path(sys.executable).parent / "glo"), "lsp"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, env=environment, input=b"", capture_output=True, timeout=120)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.decode() == "the language server needs pygls\n  pip install 'glo-dsl[lsp]'\n"


def test_it_is_among_the_commands(run: Run) -> None:
    assert "--stdio" in run("glo", "lsp", "--help").stdout.decode()

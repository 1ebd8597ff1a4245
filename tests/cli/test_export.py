"""`glo export`, run as a user runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run

FOCAL = Path(__file__).parents[2] / "examples" / "focal.glo"


def test_it_writes_a_checked_text_or_prints_one_that_is_not(run: Run, tmp_path: Path) -> None:
    written = run("glo", "export", FOCAL, "--to", "torch", "-o", "focal.py")
    assert written.returncode == 0 and written.stdout == b"", written.stderr.decode()
    text = (tmp_path / "focal.py").read_text()
    assert "# Checked against the loss in float64 with torch" in text and "class FocalLoss(torch.nn.Module):" in text
    printed = run("glo", "export", FOCAL, "--to", "torch", "--no-check").stdout.decode()
    assert "# NOT CHECKED" in printed and printed.partition("import torch")[2] == text.partition("import torch")[2]
    code = (
        "import sys; sys.path.insert(0, '.'); import focal, torch\n"
        "print(focal.focal(torch.tensor([[2., 0, -1]]), torch.tensor([0])).item())"
    )
    used = subprocess.run([sys.executable, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert float(used.stdout) == pytest.approx(0.004144, abs=1e-5), used.stderr


def test_it_takes_losses_of_the_library_and_of_several_in_a_file(run: Run, tmp_path: Path) -> None:
    assert b"def cauchy(" in run("glo", "export", "cauchy", "--to", "numpy", "--no-check").stdout
    (tmp_path / "two.glo").write_text("loss a(x: real) = x\nloss b(x: real) = -x\n")
    assert b"--loss: a, b" in run("glo", "export", "two.glo", "--to", "numpy").stderr
    assert b"def b(" in run("glo", "export", "two.glo", "--to", "numpy", "--loss", "b", "--no-check").stdout


def test_latex_as_formulas_and_as_a_document(run: Run) -> None:
    formulas = run("glo", "export", "mse", "--to", "latex", "--no-check").stdout.decode()
    assert "% not read back\n\\mathrm{mse}(p, y) = (p - y)^{2}\n" in formulas and "documentclass" not in formulas
    document = run("glo", "export", "mse", "--to", "latex", "--document", "--no-check").stdout.decode()
    head, _, body = document.partition("\\begin{document}")
    assert "\\documentclass" in head and "NOT CHECKED" in head
    assert body.count("\\[") == body.count("\\]") == 3 and body.endswith("\\end{document}\n")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("mse", "--to", "jaxx"), 1, "did you mean jax?"),
        (("msee", "--to", "jax"), 1, "did you mean mse?"),
        (("nothing.glo", "--to", "jax"), 1, "cannot read nothing.glo"),
        (("mse", "--to", "torch", "--document"), 1, "--document goes with --to latex"),
        (("bi_tempered", "--to", "sympy"), 1, "operations written out"),
        (("mse",), 2, "--to"),
    ],
)
def test_mistakes(run: Run, words: tuple[str, ...], code: int, message: str) -> None:
    done = run("glo", "export", *words)
    assert done.returncode == code and message in done.stderr.decode(), done.stderr.decode()
    assert done.stdout == b""

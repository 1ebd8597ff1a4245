"""`glo export`, run as a user runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run

FOCAL = Path(__file__).parents[2] / "examples" / "focal.glo"


def test_it_prints_or_writes_a_checked_text(run: Run, tmp_path: Path) -> None:
    printed = run("glo", "export", FOCAL, "--to", "torch")
    assert printed.returncode == 0, printed.stderr.decode()
    text = printed.stdout.decode()
    assert "# Checked against the loss in float64 with torch" in text and "class FocalLoss(torch.nn.Module):" in text
    assert run("glo", "export", FOCAL, "--to", "torch", "-o", "focal.py").stdout == b""
    assert (tmp_path / "focal.py").read_text() == text
    code = (
        "import sys; sys.path.insert(0, '.'); import focal, torch\n"
        "print(focal.focal(torch.tensor([[2., 0, -1]]), torch.tensor([0])).item())"
    )
    used = subprocess.run([sys.executable, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert float(used.stdout) == pytest.approx(0.004144, abs=1e-5), used.stderr


def test_it_takes_losses_of_the_library_and_of_several_in_a_file(run: Run, tmp_path: Path) -> None:
    assert b"def cauchy(" in run("glo", "export", "cauchy", "--to", "numpy").stdout
    (tmp_path / "two.glo").write_text("loss a(x: real) = x\nloss b(x: real) = -x\n")
    assert b"--loss: a, b" in run("glo", "export", "two.glo", "--to", "numpy").stderr
    assert b"def b(" in run("glo", "export", "two.glo", "--to", "numpy", "--loss", "b").stdout


def test_latex_as_formulas_and_as_a_document(run: Run) -> None:
    formulas = run("glo", "export", "mse", "--to", "latex").stdout.decode()
    assert "% read back\n\\mathrm{mse}(p, y) = (p - y)^{2}\n" in formulas and "documentclass" not in formulas
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

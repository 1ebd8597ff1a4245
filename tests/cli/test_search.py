from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.cli.conftest import Run

SPACE = Path(__file__).parents[2] / "examples" / "glo.glo"
SMALL = ("--generations", 1, "--population", 12, "--fresh-seeds", 4, "--out", "found")


def test_search_writes_a_loss_its_kernel_and_a_table(installed: Run, tmp_path: Path) -> None:
    done = installed("glo", "search", SPACE, "--task", "digits", *SMALL)
    printed = done.stdout.decode()
    assert done.returncode == 0, done.stderr.decode()
    assert "cross_entropy" in printed and "Welch p" in printed and "±" in printed
    summary = json.loads((tmp_path / "found" / "summary.json").read_text())
    assert [entry["name"] for entry in summary["losses"]] == ["cross_entropy", "evolved", "tuned"]
    best = tmp_path / "found" / "best.glo"
    assert best.read_text().strip() in printed
    cubin = installed("glo-compile", best, "--target", "cuda:90", "-o", "best.cubin")
    assert cubin.returncode == 0 and (tmp_path / "best.cubin").read_bytes().startswith(b"\x7fELF")
    code = "import sys; sys.path.insert(0, 'found'); import best_triton, torch; " \
           "print(best_triton.best(torch.randn(5, 10), torch.arange(5)).isfinite().item())"  # fmt: skip
    used = subprocess.run([sys.executable, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert used.stdout.strip() == "True", used.stderr
    again = installed("glo", "search", SPACE, "--task", "digits", *SMALL)
    assert again.returncode == 1 and "--overwrite" in again.stderr.decode()


def test_mistakes(installed: Run, tmp_path: Path) -> None:
    (tmp_path / "full.glo").write_text("loss f(z: real[C], t: class[C]) = -log(softmax(z)[t])")
    for words, message in [
        ((SPACE, "--task", "digit"), "did you mean digits?"),
        (("full.glo",), "f has no hole"),
        ((SPACE, "--generations", "-3"), "generations"),
    ]:
        done = installed("glo", "search", *words)
        assert done.returncode in (1, 2) and message in done.stderr.decode()
        assert not (tmp_path / "glo-out").exists()

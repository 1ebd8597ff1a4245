"""`glo bench`, run as a user runs it."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Run

QUICK = ("--seconds", "0.01", "--rows", "64", "--classes", "10")


def test_it_times_a_loss_of_a_file_and_of_the_library(run: Run, tmp_path: Path) -> None:
    (tmp_path / "two.glo").write_text(
        "loss a(p: real, y: real) = (p - y) ^ 2\nloss b(z: prob[C], t: class[C]) = 1 - z[t]\n"
    )
    for words, title in (
        (("two.glo", "--loss", "b"), "b, 64 x 10, float32, cpu"), (("focal",), "focal, 64 x 10, float32, cpu"),
        (("two.glo", "--loss", "a", "--dtype", "bfloat16"), "a, 64, bfloat16, cpu"),
    ):  # fmt: skip
        done = run("glo", "bench", *words, *QUICK)
        text = done.stdout.decode()
        assert done.returncode == 0 and title in text
        assert [line.split()[0] for line in text.splitlines()[2:5]] == ["copy", "c", "torch"]
        assert "not what" not in text


def test_mistakes_are_told(run: Run, tmp_path: Path) -> None:
    (tmp_path / "two.glo").write_text("loss a(p: real) = p\nloss b(p: real) = -p\n")
    for words, code, told in (
        ((), 1, "no loss to time"), (("focl",), 1, "did you mean focal?"), (("none.glo",), 1, "cannot read none.glo"),
        (("two.glo",), 1, "b"), (("--tune",), 1, "no NVIDIA GPU here"),
        (("focal", "--tune"), 1, "not those of one loss"),
        (("focal", "--rows", "0"), 2, "--rows"), (("focal", "--dtype", "int8"), 2, "--dtype"),
    ):  # fmt: skip
        done = run("glo", "bench", *words)
        assert done.returncode == code and told in done.stderr.decode()


def test_forgetting_what_was_never_measured_is_no_mistake(run: Run) -> None:
    done = run("glo", "bench", "--forget")
    assert done.returncode == 0 and done.stdout.decode().strip() in ("nothing was measured here", "forgotten")

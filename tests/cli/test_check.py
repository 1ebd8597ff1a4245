"""`glo check` end to end: exit codes, what is said where, and what a file may do."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from glo_dsl.cli.main import app
from glo_dsl.errors import GloError
from tests.cli.conftest import Run
from tests.verify.planting import column

ROOT = Path(__file__).parents[2]
RIGHT = "loss f(p: real, y: real) = abs(p - y)\nlaw f.symmetric: f(p, y) == f(y, p)\nexample f(3, 1) == 2\n"
QUICK = ("--target", "torch", "--examples", "5")


def said(done: subprocess.CompletedProcess[bytes]) -> str:
    return done.stdout.decode()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return tmp_path


def call(*words: object) -> tuple[int, str]:
    """The command in this process; returns the exit code and all that is printed."""
    done = CliRunner().invoke(app, ["check", *map(str, words)])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def test_right_and_wrong_files_in_a_process_of_their_own(run: Run, tmp_path: Path) -> None:
    (tmp_path / "right.glo").write_text(RIGHT)
    wrong = RIGHT.replace("f(y, p)", "f(y, p) + p").replace("== 2", "== 3")
    (tmp_path / "wrong.glo").write_text(wrong)
    done = run("glo", "check", "right.glo", "wrong.glo", "--jobs", "2", "--examples", "5")
    assert done.returncode == 1
    text = said(done)
    assert text.startswith("ok    f  c64 c32 torch64: ") and "1/1 laws, 1/1 examples" in text.splitlines()[0]
    assert [line[:4] for line in text.splitlines() if line.startswith(("ok ", "FAIL"))] == ["ok  ", "FAIL"]
    assert "wrong.glo:2: f.symmetric: the law does not hold: f(p, y) == f(y, p) + p\n  at p = 1, y = 0\n" in text
    assert "wrong.glo:3: f: the example is wrong: f(3, 1) == 3 +- " not in text and "f(3, 1) == 3\n" in text
    assert "\nloss = glo.load('wrong.glo')['f']\n" in text
    assert text.splitlines()[-1].endswith("; failed: f")


def test_a_right_file(here: Path) -> None:
    (here / "f.glo").write_text(RIGHT)
    code, text = call("f.glo", *QUICK)
    first, _, last = text.splitlines()
    assert code == 0 and first.startswith("ok    f  torch64: ")
    assert last.startswith("1 loss, 1 law, 1 example in ") and last.endswith("; nothing wrong found")


def test_planted_faults_of_a_folder_are_found_and_written_as_json(here: Path) -> None:
    (here / "planted").mkdir()
    for name in ("ties", "overflow", "examples"):
        (here / "planted" / f"{name}.glo").write_text((ROOT / "tests" / "planted" / f"{name}.glo").read_text())
    code, _ = call("planted", *QUICK, "--json", "found.json")
    found = json.loads((here / "found.json").read_text())
    assert code == 1 and [report["ok"] for report in found["losses"]] == [False] * 3
    kinds = [[failure["kind"] for failure in report["failures"]] for report in found["losses"]]
    assert kinds == [["example", "example"], ["law"], ["law"]]
    tie = found["losses"][2]["failures"][0]
    assert tie["about"] == "square.positive" and tie["at"] == "p = 0, y = 0"
    assert tie["numbers"] == [["square(p, y) > 0", "0 > 0"]] and "comparisons(law" in tie["reproduction"]


def test_a_fault_of_the_compiler_is_found(here: Path) -> None:
    (here / "f.glo").write_text("loss f(x: real) = sin(x)\n")
    with column("sin", "vjp", ("-(g * cos(a))",)):
        code, text = call("f.glo", *QUICK)
    assert code == 1 and "f.glo:1: f: the gradient by x computed by torch in float64 is wrong\n  at x = 0\n" in text
    assert "torch in float64  -1" in text and "autograd          1" in text


def test_the_examples_are_right(here: Path) -> None:
    files = [ROOT / "examples" / f"{name}.glo" for name in ("focal", "glo", "huber")]
    code, text = call(*files, "--target", "torch", "--examples", 3)
    assert code == 0 and "skip  glo " in text and "glo has a hole: ?f" in text
    assert "3/3 laws, 2/2 examples" in text and "4/4 laws, 2/2 examples" in text


def test_one_loss_of_several_files(here: Path) -> None:
    (here / "a.glo").write_text("loss a(x: real) = x\nloss b(x: real) = -x\n")
    (here / "c.glo").write_text("loss c(x: real) = 2 * x\n")
    code, text = call("a.glo", "c.glo", "--loss", "b", *QUICK)
    assert code == 0 and "ok    b" in text and "1 loss in" in text
    assert "ok    a" not in text


def test_errors_of_the_language_fail_and_the_rest_is_checked(here: Path) -> None:
    (here / "f.glo").write_text("loss f(x: real) = sotfmax(x)\nloss g(x: real) = x\n")
    code, text = call("f.glo", *QUICK)
    assert code == 1 and "did you mean softmax?" in text and "ok    g" in text


def test_warnings_fail_when_they_are_asked_to(here: Path) -> None:
    (here / "f.glo").write_text("loss f(x: real, y: real) = x\n")
    code, text = call("f.glo", *QUICK)
    assert code == 0 and "f does not use y" in text
    assert call("f.glo", "--strict", *QUICK)[0] == 1


def test_notes_are_printed_and_fail_when_they_are_asked_to(here: Path) -> None:
    (here / "f.glo").write_text("loss f(x: real) = x\nlaw f.nothing: (f(x) - x) / (x - x) == 1\n")
    code, text = call("f.glo", *QUICK)
    assert code == 0 and "note: f.nothing was never decided in" in text
    assert call("f.glo", "--strict", *QUICK)[0] == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nothing.glo",), "cannot read nothing.glo"),
        ((".",), "there is no .glo file in ."),
        (("f.glo", "--loss", "gg"), "no loss gg; there are: f"),
        (("f.glo", "--loss", "ff"), "no loss ff; did you mean f?"),
        (("f.glo", "--target", "cuda"), "unknown target cuda; choose: c, torch, triton"),
        (("f.glo", "--target", "tritn"), "unknown target tritn; did you mean triton?"),
        (("f.glo", "--examples", "0"), "--examples"),
        (("f.glo", "--seed", "-1"), "--seed"),
        (("f.glo", "--exmaples", "3"), "--examples"),
        ((), "Missing argument"),
    ],
)
def test_a_wrong_command_is_told_from_a_wrong_file(here: Path, words: tuple[str, ...], message: str) -> None:
    if words != (".",):
        (here / "f.glo").write_text(RIGHT)
    code, text = call(*words)
    assert code == 2 and message in " ".join(text.replace("│", " ").split())


def test_a_report_that_cannot_be_written(here: Path) -> None:
    (here / "f.glo").write_text("loss f(x: real) = x\n")
    done = CliRunner().invoke(app, ["check", "f.glo", "--json", "no/such/folder.json", *QUICK])
    assert isinstance(done.exception, GloError)
    assert str(done.exception) == "cannot write no/such/folder.json: No such file or directory"


def test_nothing_of_a_file_is_executed_or_rendered(here: Path) -> None:
    text = "# [red]__import__('os').system('touch hacked')[/red] {evil}\n" + RIGHT.replace("== 2", "== 7")
    (here / "f.glo").write_text(text)
    code, printed = call("f.glo", *QUICK)
    assert code == 1 and "the example is wrong: f(3, 1) == 7" in printed
    assert sorted(path.name for path in here.iterdir()) == ["f.glo"]


def test_a_file_without_losses(here: Path) -> None:
    (here / "f.glo").write_text("def square_of(x) = x * x\n")
    code, text = call("f.glo")
    assert "nothing to check in" in text and code in (0, 1)


def test_the_seed_and_the_options_are_explained(run: Run) -> None:
    text = said(run("glo", "check", "--help"))
    for option in ("--loss", "--target", "--examples", "--seed", "--strict", "--json", "--jobs"):
        assert option in text

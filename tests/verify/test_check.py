"""False laws and wrong examples are found, true ones pass, and what was hardly checked is said."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import glo_dsl as glo
from glo_dsl.lang.loss import Loss
from glo_dsl.verify.check import check_loss, check_losses
from glo_dsl.verify.claims import _comparisons_in
from glo_dsl.verify.report import Failure, Report

ROOT = Path(__file__).parents[2]
PLANTED = ROOT / "tests" / "planted"
EXAMPLES = sorted((ROOT / "examples").glob("*.glo"))


def only(text: str) -> Loss:
    (loss,) = glo.loads(text).values()
    return loss


def checked(text: str, examples: int = 10) -> Report:
    return check_loss(only(text), targets=["torch"], examples=examples)


FALSE_LAWS = {
    "ties": ("square.positive", "p = 0, y = 0"),
    "one_class": ("cross_entropy.positive", "z = [0], t = 0"),
    "extreme_logits": ("cross_entropy.bounded", "z = [0, 10000], t = 0"),
    "near_a_bound": ("quantile.bounded_below", "q = "),
    "small_region": ("valley.above", "x = 2.34"),
    "two_conditions": ("bowl.above", "x = 1.2"),
    "every_class": ("cross_entropy.least", "z = [0, 1], t = 0"),
    "premise": ("focal.rises", "gamma = 0, g = 1, z = [0, 0], t = 0"),
    "one_hot": ("uncertainty.positive", "q = ["),
    "at_a_literal": ("power.vanishes", "gamma = 0"),
    "masked": ("masked.total", "m = [false], z = [1]"),
    "overflow": ("growth.finite", "x = 1000"),
    "outer_range": ("huber.square", "p = "),
    "open_end": ("nll.above", "v = 1e-12, x = 0"),
}  # fmt: skip


@pytest.mark.parametrize("file", FALSE_LAWS)
def test_a_false_law_is_found_at_a_simple_place(file: str) -> None:
    name, at = FALSE_LAWS[file]
    (loss,) = glo.load(PLANTED / f"{file}.glo").values()
    (failure,) = check_loss(loss, targets=[]).failures
    assert (failure.kind, failure.about) == ("law", name)
    assert failure.message.startswith("the law does not hold: ")
    assert failure.at.startswith(at) and len(failure.at) < 45
    assert f"{file}.glo:" in failure.place
    for text, _ in failure.numbers:
        assert text in failure.message


def test_every_planted_file_is_tried() -> None:
    assert {*FALSE_LAWS, "examples"} == {path.stem for path in PLANTED.glob("*.glo")}


def test_wrong_examples_are_shown_with_what_would_pass() -> None:
    (loss,) = glo.load(PLANTED / "examples.glo").values()
    first, second = check_loss(loss, targets=["torch"], examples=5).failures
    assert first.message == "the example is wrong: focal([2, 0, -1], 0) == 0.00414 +- 1e-6"
    shown = dict(first.numbers)
    assert shown.pop("got").startswith("0.00414425730996")
    assert shown == {"expected": "0.00414 +- 1e-06", "difference": "4.26e-06", "would pass": "+- 5e-06"}
    assert "focal([2, 0, -1], 2; gamma = 0) == 3.16985" in second.message and second.place.endswith(":7")


@pytest.mark.parametrize(
    ("text", "ok"),
    [
        ("loss f(x: real) = x  example f(2) == 2  example f(-0.1) == -0.1", True),
        ("loss f(x: real) = exp(x)  example f(1) == 2.718281828 +- 1e-9", True),
        ("loss f(x: real) = exp(x)  example f(1) == 2.7182", False),
        ("loss f(x: real) = exp(x)  example f(1000) == inf", True),
        ("loss f(x: real in [0, inf)) = log(x)  example f(0) == -inf", True),
        ("loss f(x: real in [0, inf)) = log(x)  example f(0) == inf", False),
        ("loss f(z: real[C], m: bool[C], k: bool, t: class[C]) = if k then sum(if m then z else 0) else z[t]"
         "  example f([1, 2], [true, false], true, 1) == 1  example f([1, 2], [true, false], false, 1) == 2", True),
        ("loss f(z: real[C], w: shared real[C]; a = 3) = a * sum(w * z)  example f([1, 2], [0, 1]; a = 2) == 4", True),
    ],
)  # fmt: skip
def test_examples(text: str, ok: bool) -> None:
    assert checked(text, 3).ok == ok


def test_the_examples_of_a_loss_are_places_to_compare_its_gradients_at() -> None:
    text = "loss f(x: real) = if x == 1.2345678901 then {} else x"
    assert checked(text.format("x") + "  example f(1.2345678901) == 1.2345678901").ok


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_folder_is_right(path: Path, quick_builds: None) -> None:
    for report in check_losses(list(glo.load(path).values()), examples=8):
        assert report.ok, report
        assert report.skipped or report.compared > report.rows / 2
        if path.stem in ("focal", "huber"):
            assert report.laws >= 3 and report.examples == 2


def test_true_laws_of_the_library_hold() -> None:
    losses = glo.load(ROOT / "glo_dsl" / "zoo" / "regression.glo")
    reports = list(check_losses(list(losses.values()), targets=["torch"], examples=5))
    assert [report.loss for report in reports] == list(losses)
    assert sum(report.laws for report in reports) > 15
    assert all(report.ok and not report.notes for report in reports)


def test_a_law_that_is_never_decided_is_said_to_be_so() -> None:
    (note,) = checked("loss f(x: real) = x   law f.undefined: log(-1 - f(x) ^ 2) > 0").notes
    assert "f.undefined was never decided in" in note


def test_a_law_that_is_hardly_ever_decided_is_said_to_be_so() -> None:
    (note,) = checked("loss f(x: real) = x   law f.rare: log(f(x) - 30) < 100").notes
    assert "f.rare was decided in" in note and "draws only" in note


def test_gradients_that_are_hardly_ever_known_are_said_to_be_so() -> None:
    report = checked("loss f(x: real) = sqrt(x - 5) * 1e-3 + x")
    assert report.ok and report.compared < report.rows / 2
    assert f"compared in {report.compared} of {report.rows} rows only" in report.notes[0]


def test_a_hole_is_skipped_and_a_loss_without_classes_is_not_compared() -> None:
    report = checked("loss f(x: real) = ?g(x)")
    assert report.ok and "f has a hole: ?g" in report.skipped
    report = checked("loss f(t: class[C], w: real) = w   law f.it: f(t, w) == w   law f.wrong: f(t, w) > w")
    assert "tells the number of classes" in report.notes[0] and report.laws == 2
    assert [failure.about for failure in report.failures] == ["f.wrong"]


def test_a_law_about_a_hole_is_not_tried() -> None:
    losses = glo.loads("loss g(x: real) = ?h(x)  loss f(x: real) = x  law f.it: f(x) == g(x)")
    report = check_loss(losses["f"], targets=["torch"], examples=3)
    assert report.ok and "f.it is about a loss with a hole" in report.notes[0]


def test_a_derivative_that_is_not_known_leaves_laws_and_examples() -> None:
    report = checked(
        "loss f(x: real in [1, 2]) = trigamma(x)  law f.positive: f(x) > 0  example f(1) == 1.6449341 +- 1e-7"
    )
    assert report.ok and report.laws == report.examples == 1
    assert "no derivative of trigamma is known" in report.notes[0]


def test_a_target_that_does_not_exist() -> None:
    with pytest.raises(glo.GloError, match="unknown target cuda"):
        check_loss(only("loss f(x: real) = x"), targets=["cuda"])


def test_triton_is_compared_in_its_interpreter() -> None:
    report = check_loss(only("loss f(z: real[C], t: class[C]) = -log_softmax(z)[t]"), targets=["triton"], examples=2)
    assert report.ok and report.targets == ("triton in float32",) and report.compared > 5


def test_reports_are_the_same_in_every_run_but_for_the_time() -> None:
    text = "loss f(p: real, y: real; a = 2) = a * (p - y) ^ 2   law f.small: f(p, y) < 0.5"
    assert checked(text) == checked(text)
    assert check_loss(only(text), targets=["torch"], examples=10, seed=5).rows > 0


def test_the_words_of_a_law() -> None:
    claim = "gamma > g or (f(z, t) >= 2 and not f(z, t; gamma = g) == 1) for g: real in [0, 8]"
    assert list(_comparisons_in("a < b and f(x, y; k = 1) >= 2 * c for x: real")) == [
        ("a < b", "<"), ("f(x, y; k = 1) >= 2 * c", ">="),
    ]  # fmt: skip
    assert list(_comparisons_in(claim)) == [("gamma > g", ">")]  # else the expression itself is shown


# Reproductions.

FAULT = """
from tests.verify.planting import column
planted = column('tanh', 'vjp', ('g * (1 - out)',))
planted.__enter__()
"""


def run(text: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=120, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def failure_of(text: str) -> Failure:
    return checked(text).failures[0]


def test_reproductions_run_and_show_both_numbers() -> None:
    from tests.verify.planting import column

    law = failure_of('# """ \' \\\nloss f(p: real, y: real; a = 2) = a * (p - y) ^ 2   law f.small: f(p, y) < 7.5')
    example = failure_of("loss f(z: real[C], m: bool) = if m then sum(z) else 0   example f([1, 2], true) == 4")
    with column("tanh", "vjp", ("g * (1 - out)",)):
        gradient = failure_of("loss f(x: real, w: real) = w * tanh(x)")
    shown = run("\n".join([FAULT, gradient.reproduction, law.reproduction, example.reproduction]))
    mine, autograd, sides, got, expected = shown
    assert mine.startswith("torch in float64: [") and autograd.startswith("autograd: [")
    assert mine.partition("[")[2] != autograd.partition("[")[2]
    assert float(sides.split(" < ")[0]) >= float(sides.split(" < ")[1]) == 7.5
    assert (got, expected) == ("got: 3.0", "expected: 4.0")


def test_a_reproduction_reads_the_file_where_there_is_one() -> None:
    (loss,) = glo.load(PLANTED / "ties.glo").values()
    (failure,) = check_loss(loss, targets=[], examples=3).failures
    assert f"loss = glo.load({str(PLANTED / 'ties.glo')!r})['square']" in failure.reproduction
    assert run(failure.reproduction) == ["0.0 > 0.0"]


def test_nothing_of_a_file_is_code_in_a_reproduction() -> None:
    hostile = "# \"\"\" ''' \\' \\\" \\n') + __import__('os').system('touch hacked')  {evil} \x07 \u2028\n"
    text = f"{hostile}loss f(x: real) = x\n{hostile}law f.it: f(x) > 0"
    tree = ast.parse(failure_of(text).reproduction)
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert names == {"glo", "comparisons", "text", "loss", "law", "found", "print"}
    strings = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    assert text in strings

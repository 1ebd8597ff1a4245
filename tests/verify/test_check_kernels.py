"""Faults of the compiler are found, named and shown at a simple place; each is planted in the test itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pytest
import torch

import glo_dsl as glo
from glo_dsl.lang.loss import Loss
from glo_dsl.runtime.c_kernel import CKernel
from glo_dsl.verify.check import check_loss
from glo_dsl.verify.report import Failure
from tests.verify.planting import column, rule

EXAMPLES = 8


pytestmark = pytest.mark.usefixtures("quick_builds")


def only(text: str) -> Loss:
    (loss,) = glo.loads(text).values()
    return loss


def found(text: str, *targets: str) -> Failure:
    failures = check_loss(only(text), targets=targets, examples=EXAMPLES).failures
    assert failures, "nothing was found"
    return failures[0]


Plant = Callable[[], AbstractContextManager[None]]

GRADIENTS: dict[str, tuple[Plant, str, str, str]] = {
    "tanh": (lambda: column("tanh", "vjp", ("g * (1 - out)",)), "loss f(x: real) = tanh(x)", "x", "x = 1"),
    "max at a tie": (
        lambda: column("maximum", "vjp", ("if a >= b then g else 0", "if b > a then g else 0")),
        "loss f(x: real, y: real) = max(x, y)", "x", "x = 0, y = 0",
    ),
    "relu at 0": (
        lambda: column("relu", "vjp", ("if a >= 0 then g else 0",)), "loss f(x: real) = relu(x)", "x", "x = 0",
    ),
    "softmax": (
        lambda: column("softmax", "vjp", ("out * g",)), "loss f(z: real[C], t: class[C]) = softmax(z)[t]", "z",
        "z = [0], t = 0",
    ),
    "gather": (
        lambda: column("gather", "vjp", ("g", "")), "loss f(z: real[C], t: class[C]) = softmax(z)[t] * z[t]", "z",
        "z = [0, 0], t = 0",
    ),
    "power of 0": (
        lambda: column("pow", "vjp", ("g * b * a ^ (b - 1)", "if a == 0 then 0 else g * out * log(a + 1e-3)")),
        "loss f(x: real in [0, 9]; gamma = 2 in [0, 8]) = (x + 1) ^ gamma", "gamma", "gamma = 0",
    ),
    "logsumexp": (
        lambda: column("logsumexp", "vjp", ("g / C",)), "loss f(z: real[C]) = logsumexp(z)", "z", "z = [",
    ),
    "a parameter alone": (
        lambda: column("exp", "vjp", ("g * out * (if a > 4.99 then 2 else 1)",)),
        "loss f(p: real; a = 1 in [0, 5]) = exp(a) * p", "a", "a = 5",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", GRADIENTS)
def test_a_wrong_derivative_in_the_table(case: str) -> None:
    plant, text, name, at = GRADIENTS[case]
    assert check_loss(only(text), targets=["torch"], examples=EXAMPLES).ok
    with plant():
        failure = found(text, "torch")
    assert failure.kind == "gradient"
    assert f"the gradient by {name} computed by torch in float64 is wrong" in failure.message
    assert at in failure.at and failure.at.count(",") <= 3
    mine, autograd = (np.array(eval(number, {"inf": np.inf})) for _, number in failure.numbers[:2])
    assert not np.allclose(mine, autograd, rtol=1e-6)


RULES: dict[str, tuple[str, str, str]] = {
    "a term that is dropped": (
        "exp(a) + log(b) = exp(a)", "loss f(x: real, y: real in [1, 9]) = exp(x) + log(y)", "y = 1",
    ),
    "true of usual numbers": ("log(exp(a) + 1) = a", "loss f(x: real) = log(exp(x) + 1)", "x = 0"),
    "true of far logits": ("logsumexp(a) = max(a)", "loss f(z: real[C]) = logsumexp(z)", "z = [0, 0]"),
}  # fmt: skip


@pytest.mark.parametrize("case", RULES)
def test_a_wrong_rule(case: str) -> None:
    line, text, at = RULES[case]
    with rule(line):
        failure = found(text, "torch")
    assert failure.kind in ("value", "gradient") and at in failure.at, failure


def test_a_form_that_is_not_stable() -> None:
    with column("log_softmax", "define", "a - log(sum(exp(a)))"):
        failure = found("loss f(z: real[C], t: class[C]) = -log_softmax(z)[t]", "torch")
    assert "inf" in str(failure.numbers) or "nan" in str(failure.numbers)
    assert "z = [1000" in failure.at


def test_a_rule_that_makes_a_poisoned_row_healthy() -> None:
    with rule("a - a = 0", instead_of="a - a = 0                               when finite a"):
        failure = found("loss f(x: real, y: real) = y + (x - x)", "torch")
    assert failure.kind == "nan" and "NaN in x is lost" in failure.message


SPELLINGS: dict[str, tuple[str, str, str, str]] = {
    "wrong for large arguments": ("tanh", "({0} > R(30) ? R(0.5) : real_tanh({0}))",
                                  "loss f(x: real) = tanh(x)", "float64"),
    "wrong in one precision": ("exp", "(sizeof(real) == 4 ? real_exp({0}) * R(1.001) : real_exp({0}))",
                               "loss f(x: real) = exp(x)", "float32"),
    "float32 in float64": ("sigmoid", "((real)(float)real_sigmoid({0}))", "loss f(x: real) = softplus(x)", "float64"),
}  # fmt: skip


@pytest.mark.parametrize("case", SPELLINGS)
def test_a_wrong_spelling_in_c(case: str) -> None:
    op, spelling, text, precision = SPELLINGS[case]
    with column(op, "c", spelling):
        failure = found(text, "c")
    assert failure.kind in ("value", "gradient") and f"computed by c in {precision} is wrong" in failure.message
    assert len(failure.at) < 20


@pytest.mark.parametrize("op, twin", [("softplus", "max(a, 0) + log1p(e * e)"), ("sigmoid", "e * (1 / (1 + e))")])
def test_a_wrong_twin(op: str, twin: str) -> None:
    text = f"loss f(x: real) = {op}(x) - {op}(-x) * {op}(-x)"
    assert check_loss(only(text), targets=["c"], examples=EXAMPLES).ok
    with column(op, "twins", twin):
        failure = found(text, "c")
    assert failure.kind == "value" and failure.at.startswith("x = ")


def test_a_number_too_small_for_a_type_is_shown_as_what_was_tried() -> None:
    """It is moved to where float32 has digits; written as it was drawn it would show nothing."""
    with column("sqrt", "c", "(sizeof(real) == 4 && {0} > R(2.2e-13) && {0} < R(2.4e-13) ? R(7) : sqrt({0}))"):
        failure = found("loss f(x: real in (0, 1]) = sqrt(x)", "c")
    assert "c in float32" in failure.message
    assert 2.2e-13 < float(failure.at.removeprefix("x = ")) < 2.4e-13
    assert f"torch.tensor([{failure.at.removeprefix('x = ')}], dtype=torch.float32)" in failure.reproduction


def test_a_wrong_spelling_of_the_oracle_is_told_from_a_wrong_kernel() -> None:
    with column("log1p", "torch", "torch.log({0} + 1.001)"):
        report = check_loss(only("loss f(x: real in [0, 9]) = sqrt(log1p(x) + 1)"), targets=["c"], examples=EXAMPLES)
    assert {f.kind for f in report.failures} == {"value", "finite-differences"}
    assert "PyTorch's autograd and the interpreter's finite differences" in report.failures[1].message


@pytest.mark.parametrize(
    ("op", "spelling", "kind"),
    [("log1p", "torch.log({0} + 1.001)", "value"), ("sqrt", "(torch.sqrt({0}).detach() + 0 * {0})", "gradient")],
)
def test_finite_differences_say_what_the_oracle_has_wrong(op: str, spelling: str, kind: str) -> None:
    loss = only("loss f(x: real in [0, 9]) = sqrt(log1p(x) + 1)")
    with column(op, "torch", spelling):
        report = check_loss(loss, targets=["torch"], examples=EXAMPLES)
    found = {failure.kind: failure for failure in report.failures}
    assert "finite-differences" in found
    what = "value" if kind == "value" else "gradient by x"
    assert found["finite-differences"].message.endswith(f"finite differences give different numbers for the {what}")


Run = Callable[..., tuple[torch.Tensor, dict[str, torch.Tensor]]]


@pytest.fixture
def spoil(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Callable[..., None]], None]]:
    """Lets a function change what C kernels give back: it gets (loss, gradients, inputs, reduction)."""
    honest: Run = CKernel.run

    def plant(change: Callable[..., None]) -> None:
        def run(self: CKernel, inputs: Any, params: Any, reduction: str, *rest: Any) -> Any:
            loss, gradients = honest(self, inputs, params, reduction, *rest)
            change(loss, gradients, inputs, reduction)
            return loss, gradients

        monkeypatch.setattr(CKernel, "run", run)

    yield plant


CROSS_ENTROPY = "loss ce(z: real[C], t: class[C]) = -log_softmax(z)[t]"


def test_a_row_that_is_wrong_in_company_only(spoil: Any) -> None:
    def change(loss: torch.Tensor, gradients: Any, inputs: Any, reduction: str) -> None:
        if reduction == "none" and len(loss) > 2:
            loss[2] += 1

    spoil(change)
    failure = found(CROSS_ENTROPY, "c")
    assert failure.kind == "value" and "in row 2 of these 3, though not in that row alone" in failure.message
    assert len(failure.at.splitlines()) == 3


def test_a_row_that_spoils_others(spoil: Any) -> None:
    def change(loss: torch.Tensor, gradients: Any, inputs: Any, reduction: str) -> None:
        if inputs[0].isnan().any():
            gradients["z"][0] += 1

    spoil(change)
    failure = found(CROSS_ENTROPY, "c")
    assert failure.kind == "nan" and "NaN in z of one row changes other rows: z (c in float64)" in failure.message


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_a_wrong_reduction(spoil: Any, reduction: str) -> None:
    def change(loss: torch.Tensor, gradients: Any, inputs: Any, how: str) -> None:
        if how == reduction:
            gradients["z"] *= 2

    spoil(change)
    failure = found(CROSS_ENTROPY, "c")
    assert failure.kind == "reduction" and f"the gradient by z with reduction='{reduction}'" in failure.message


def test_an_ignored_row_that_counts(spoil: Any) -> None:
    def change(loss: torch.Tensor, gradients: Any, inputs: Any, reduction: str) -> None:
        if reduction == "mean" and (inputs[1] == -100).any():
            loss *= 0.8

    spoil(change)
    failure = found(CROSS_ENTROPY, "c")
    assert failure.kind == "ignored" and "the value with reduction='mean' is not that of the rows when a row" in str(
        failure
    )


def test_a_mean_over_a_divisor_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "loss f(z: real[C], t: class[C], w: shared real[C] in [1, 2]) = -w[t] * log_softmax(z)[t] per w[t]"
    assert check_loss(only(text), targets=["torch"], examples=EXAMPLES).ok
    monkeypatch.setattr("glo_dsl.verify.calls._divisor", lambda *_: 5.0)
    assert found(text, "torch").kind == "reduction"


def test_wide_rows_and_all_kinds_of_inputs_are_compared() -> None:
    text = "loss f(z: real[C], q: prob[C], m: bool[C], k: bool, t: class[C], w: shared real[C]; a = 2 in (0, 3]) = " \
           "if k then sum(if m then w * z * q else a) else z[t] ^ 2 / a"  # fmt: skip
    report = check_loss(only(text), examples=EXAMPLES)
    assert report.ok and report.targets == ("c in float64", "c in float32", "torch in float64")
    assert report.compared > 0.8 * report.rows > 50

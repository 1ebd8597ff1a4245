"""Value and every gradient of random programs on two targets against autograd, and what branches must not leak."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from torch import Tensor

import glo_dsl as glo
from glo_dsl.ir.evaluate import evaluate
from glo_dsl.ir.expr import Expr, Var, size, var, walk
from glo_dsl.ir.types import REAL, REAL_ROW
from glo_dsl.lang.elaborate import parse_expression
from glo_dsl.lang.loss import Loss
from glo_dsl.passes.diff import gradients
from glo_dsl.passes.pipeline import compile_program, derive, differentiable
from glo_dsl.passes.simplify import simplify
from glo_dsl.runtime.c_kernel import build
from glo_dsl.verify.oracle import noisy, oracle, wrong
from glo_dsl.verify.strategies import arrays_for, losses, parameters_for

BATCHES, PROGRAMS = 10, 20


@dataclass(frozen=True, eq=False)
class Case:
    """A drawn loss with inputs and parameters to call it on."""

    loss: Loss
    inputs: tuple[Tensor, ...]
    params: dict[str, float]
    wrt: tuple[str, ...]


@st.composite
def cases(draw: Any) -> Case:
    loss = draw(losses(max_depth=4))
    arrays = draw(arrays_for(loss, rows=draw(st.integers(2, 5)), corners=("plain", "plain", "ties")))
    wrt = tuple(v.name for v in differentiable(loss))
    return Case(loss, tuple(torch.from_numpy(arrays[v.name]) for v in loss.inputs), draw(parameters_for(loss)), wrt)


@cache
def drawn() -> list[Case]:
    """Cases drawn all at once, so that many programs can be built in one translation unit."""
    found: list[Case] = []

    @settings(max_examples=BATCHES * PROGRAMS, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(cases())
    def collect(case: Case) -> None:
        found.append(case)

    collect()
    assert len(found) == BATCHES * PROGRAMS
    return found


def shaped_like_the_batch(case: Case, found: dict[str, Tensor]) -> dict[str, Tensor]:
    """Gradients per row, as a kernel gives them, to those of the sum over the batch."""
    shared = {v.name: v.type.per_sample for v in case.loss.inputs}
    return {name: g if shared.get(name) else g.sum(0) for name, g in found.items()}


@cache
def truth_of(case: Case) -> tuple[Tensor, dict[str, Tensor]]:
    return oracle(case.loss, case.inputs, case.params, case.wrt)


@cache
def moved_truth_of(case: Case) -> list[tuple[Tensor, dict[str, Tensor]]]:
    """What the oracle says with noise."""
    variants = (replace(case.loss, expr=noisy(case.loss.expr, seed)) for seed in range(3))
    return [oracle(loss, case.inputs, case.params, case.wrt) for loss in variants]


def check(case: Case, value: Tensor, found: dict[str, Tensor]) -> int:
    """Compares with the oracle wherever it is determined; returns how many numbers that were."""
    truth, gradient_truth = truth_of(case)
    summed = shaped_like_the_batch(case, found)
    compared = 0
    for name in ("", *case.wrt):
        mine, expected = (summed[name], gradient_truth[name]) if name else (value, truth)
        assert mine.shape == expected.shape, (name, case.loss.text)
        bad = wrong(mine.double().numpy(), expected.numpy(), [], 1e-8)
        if bad.any():  # noise only excuses: it is looked at where there is something to excuse
            nearby = [(m[1][name] if name else m[0]).numpy() for m in moved_truth_of(case)]
            bad = wrong(mine.double().numpy(), expected.numpy(), nearby, 1e-8)
        what = f"{name or 'value'} of {case.loss.text}"
        assert not bad.any(), f"{what}\n{case.inputs} {case.params}\n{mine} is not {expected}"
        compared += int(torch.isfinite(expected).sum())
    return compared


@pytest.mark.parametrize("batch", range(BATCHES))
def test_random_programs_in_c_agree_with_autograd(batch: int, quick_builds: None) -> None:
    chosen = drawn()[batch * PROGRAMS : (batch + 1) * PROGRAMS]
    programs = [compile_program(case.loss, case.wrt) for case in chosen]
    compared = 0
    for case, kernel in zip(chosen, build(programs, double=True)):
        params = tuple({**case.loss.defaults, **case.params}[p.name] for p in case.loss.params)
        compared += check(case, *kernel.run(case.inputs, params, "none", -100))
    assert compared > 5 * PROGRAMS


@pytest.mark.parametrize("batch", range(BATCHES))
def test_random_programs_in_torch_agree_with_autograd(batch: int) -> None:
    compared = 0
    for case in drawn()[batch * PROGRAMS : (batch + 1) * PROGRAMS]:
        fn = glo.compile(case.loss, target="torch")
        value, found = fn.value_and_grad(*case.inputs, wrt=case.wrt, reduction="none", **case.params)
        per_sample = {v.name for v in case.loss.inputs if v.type.per_sample}
        unsummed = {n: g if n in per_sample else g[None] for n, g in found.items()}
        compared += check(case, value, unsummed)
    assert compared > 5 * PROGRAMS


# Branches that are not taken leave no trace.

GUARDED = {
    "log": ("loss f(x: real) = if x > 0 then log(x) else x", [-1.0, 0.0, 2.0], [1.0, 1.0, 0.5]),
    "sqrt at zero": ("loss f(x: real) = if x == 0 then 0 else sqrt(x)", [0.0, 4.0], [0.0, 0.25]),
    "division": ("loss f(x: real) = if x == 0 then 3 * x else 1 / x", [0.0, 2.0], [3.0, -0.25]),
    "nested": ("loss f(x: real) = if x > 0 then (if x < 1 then log(1 - x) else sqrt(x - 1)) else 2 * x",
               [-1.0, 0.5, 5.0], [2.0, -2.0, 0.25]),
    "shared": ("loss f(x: real) = let y = log(x) in if x > 0 then y * y else x", [-3.0, math.e], [1.0, 2 / math.e]),
    "chained": ("loss f(x: real) = let y = if x > 0 then sqrt(x) else 0 in if x > 0 then log(y) else x",
                [-2.0, 4.0], [1.0, 0.125]),
    "outer factor": ("loss f(x: real) = x * (if x > 0 then log(x) else 0)", [-2.0, 1.0], [0.0, 1.0]),
    "power": ("loss f(x: real) = if x > 0 then x ^ 0.5 else -x", [-4.0, 0.0, 4.0], [-1.0, -1.0, 0.25]),
}  # fmt: skip


@pytest.mark.parametrize("target", ["c", "torch"])
@pytest.mark.parametrize(("text", "xs", "slopes"), GUARDED.values(), ids=GUARDED)
def test_no_nan_leaks_from_the_branch_not_taken(
    text: str, xs: list[float], slopes: list[float], target: str, quick_builds: None
) -> None:
    fn = glo.compile(glo.loads(text)["f"], target=target)
    value, found = fn.value_and_grad(torch.tensor(xs, dtype=torch.float64), reduction="sum")
    assert math.isfinite(value)
    assert found["x"].tolist() == pytest.approx(slopes)


ROW_GUARDED = {
    "sum": ("sum(if z > 0 then log(z) else 0)", lambda z: np.where(z > 0, 1 / np.where(z > 0, z, 1), 0)),
    "sum of roots": ("sum(if z > 0 then sqrt(z) else z)", lambda z: np.where(z > 0, 0.5 / np.sqrt(np.abs(z)), 1)),
    "condition per sample": ("if sum(z) > 0 then sum(z) else sum(log(z))", lambda z: np.ones_like(z)),
    "masked softmax": ("sum(if z > 0 then log(softmax(if z > 0 then z else 0)) else 0)", None),
    "under a maximum": ("max(if z > 0 then log(z) else -100)", None),
}


@pytest.mark.parametrize("target", ["c", "torch"])
@pytest.mark.parametrize(("body", "slope"), ROW_GUARDED.values(), ids=ROW_GUARDED)
def test_no_nan_leaks_through_reductions(body: str, slope: Any, target: str, quick_builds: None) -> None:
    fn = glo.compile(glo.loads(f"loss f(z: real[C]) = {body}")["f"], target=target)
    z = np.array([[-1.0, 3.0, 0.5], [-2.0, 4.0, 1.0]])
    value, found = fn.value_and_grad(torch.from_numpy(z), reduction="sum")
    assert math.isfinite(value) and torch.isfinite(found["z"]).all()
    if slope is not None:
        np.testing.assert_allclose(found["z"].numpy(), slope(z))


MASKED = ["softmax(z)", "log_softmax(z)", "exp(softmax(2 * z))", "softmax(if k then z else 2 * z) * z"]


@pytest.mark.parametrize("row", MASKED)
def test_a_mask_around_a_row_operator_counts_only_what_it_lets_through(row: str) -> None:
    (loss,) = glo.loads(f"loss f(z: real[C], k: bool[C]) = sum(if k then {row} else 0)").values()
    z, k = torch.tensor([[1.0, -2.0, 0.5]], dtype=torch.float64), torch.tensor([[True, False, True]])
    _, found = glo.compile(loss, target="torch").value_and_grad(z, k, reduction="sum")
    torch.testing.assert_close(found["z"], oracle(loss, [z, k], wrt=["z"])[1]["z"])


# Structure.

X, Z = var("x", REAL), var("z", REAL_ROW)


def parsed(text: str) -> Expr:
    return parse_expression(text, {"x": X, "z": Z})


def test_what_does_not_depend_has_gradient_zero() -> None:
    y = var("y", REAL)
    assert gradients(parsed("exp(x)"), [y])[y] is parsed("0")
    assert simplify([gradients(parsed("stop(exp(x)) + floor(x) + sign(x)"), [X])[X]]) == (parsed("0"),)


def test_stop_keeps_the_value_and_only_the_other_path_counts() -> None:
    (gradient,) = simplify([gradients(parsed("stop(x) * x"), [X])[X]])
    assert gradient is parsed("stop(x)")


def test_a_derivative_that_no_operator_says_is_refused_where_it_is_needed() -> None:
    text = "loss f(x: real, y: real) = x * trigamma(y)"
    loss = glo.loads(text)["f"]
    with pytest.raises(glo.GloError, match="no derivative of trigamma is known") as caught:
        derive(loss, ["x", "y"])
    assert caught.value.hint == "stop(trigamma(...)) is taken as constant"
    assert caught.value.source is loss.source and caught.value.span == loss.span
    assert derive(loss, ["x"]).gradients[loss.inputs[0]] is derive(loss, []).value.args[1]
    stopped = glo.loads(text.replace("trigamma(y)", "stop(trigamma(y))"))["f"]
    assert derive(stopped, ["y"]).gradients[stopped.inputs[1]] is parsed("0")


@pytest.mark.parametrize("depth", [10, 40, 200])
def test_choices_one_after_another_do_not_double_the_gradient(depth: int) -> None:
    steps = ", ".join(f"x{n + 1} = if x{n} > {n} then exp(x{n} / {depth}) else sin(x{n})" for n in range(depth))
    text = f"let {steps} in x{depth}".replace("x0", "x")
    began = time.perf_counter()
    found = gradients(parsed(text), [X])[X]
    assert time.perf_counter() - began < 5
    assert sum(1 for _ in walk([found])) < 60 * depth
    assert_slope_is_right(parsed(text), found, 0.3)


def test_choices_that_skip_one_step_stay_small_and_safe() -> None:
    steps = ", ".join(f"x{n + 2} = if x{n + 1} > 0 then log(x{n + 1}) + 2 else 3 - x{n}" for n in range(30))
    text = f"let x0 = x, x1 = x + 1, {steps} in x31"
    found = gradients(parsed(text), [X])[X]
    assert sum(1 for _ in walk([found])) < 6000
    assert_slope_is_right(parsed(text), found, 0.7)


@pytest.mark.parametrize(("at", "slope"), [(5.5, 3 / 5.5**0.5), (0.5, 0.5 / 0.5**0.5), (-1.0, 0.0)])
def test_many_overlapping_branches_stay_right_and_safe(at: float, slope: float) -> None:
    branches = " + ".join(f"(if x > {n} then y else 0)" for n in range(20))
    found = gradients(parsed(f"let y = sqrt(x) in {branches}"), [X])[X]
    value: dict[Var, Any] = {X: np.array([[at]])}
    assert evaluate([found], value, 1)[0].item() == pytest.approx(slope)


def test_a_long_ladder_of_choices_has_a_gradient() -> None:
    text = "".join(f"if x < {n} then x * {n} else " for n in range(300)) + "x"
    found = gradients(parsed(text), [X])[X]
    value: dict[Var, Any] = {X: np.array([[250.5]])}
    assert evaluate([found], value, 1)[0].item() == 251.0


def assert_slope_is_right(value: Expr, gradient: Expr, at: float) -> None:
    points: dict[Var, Any] = {X: np.array([[at], [at + 1e-7], [at - 1e-7]])}
    own = evaluate([gradient], points, 1)[0][0, 0]
    _, above, below = evaluate([value], points, 1)[0][:, 0]
    assert own == pytest.approx((above - below) / 2e-7, rel=1e-4, abs=1e-6)


def test_gradient_by_everything_is_what_each_alone_gives() -> None:
    loss = glo.loads("loss f(z: real[C], t: class[C]; a = 2, b = 1) = a * logsumexp(z) - b * z[t] ^ 2")["f"]
    together = derive(loss, ["z", "a", "b"]).gradients
    for v, gradient in together.items():
        assert derive(loss, [v.name]).gradients[v] is gradient
    with pytest.raises(glo.GloError, match="f has no gradient for c"):
        derive(loss, ["c"])
    with pytest.raises(glo.GloError, match="f has no gradient for t"):
        derive(loss, ["t"])


@settings(max_examples=settings().max_examples // 10)
@given(losses(max_depth=4))
def test_gradients_share_work_with_the_value(loss: Loss) -> None:
    derived = derive(loss, [v.name for v in differentiable(loss)])
    for v, gradient in derived.gradients.items():
        assert gradient.type.kind == "real"
        assert v.type.per_class or not gradient.type.per_class
        assert size(gradient) > 0

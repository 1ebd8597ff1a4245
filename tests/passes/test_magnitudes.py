"""Magnitudes contain what values come to, and quotients are right where a reciprocal would not be."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

import glo_dsl as glo
from glo_codegen.triton import emit_triton
from glo_dsl.ir.evaluate import evaluate
from glo_dsl.ir.expr import Expr, Var, var, walk
from glo_dsl.ir.types import REAL, REAL_ROW, Interval
from glo_dsl.lang.elaborate import parse_expression
from glo_dsl.lang.loss import Loss
from glo_dsl.passes.lower import lower
from glo_dsl.passes.magnitudes import FINITE, invertible, magnitude
from glo_dsl.passes.pipeline import whole_program
from glo_dsl.runtime.load_module import load_module
from glo_dsl.verify.strategies import losses
from tests.codegen.launching import loss_of, run, streaming
from tests.passes.test_online import C, draw, roots_of

SCOPE: dict[str, Expr] = {
    "z": var("z", REAL_ROW), "k": var("k", REAL), "m": var("m", REAL, Interval(0.5, 3)),
    "far": var("far", REAL, Interval(-math.inf, -1e-30)), "count": var("count", REAL, Interval(1, math.inf)),
}  # fmt: skip
E = "exp(z - max(z))"
SAFE = (
    f"sum({E})", f"sum(square({E}))", f"sum(sqrt({E}))", f"m * sum({E})", f"1 / sum({E})", "C", "C * C", "C - 0.5",
    "-C", "1e-37", "1e37", "sqrt(sum(square(z)) + 1e-30)", "sqrt(max(sum(square(z)), 1e-30))", "sqrt(count)",
    "max(far, -7) - 1", "1 + sum(sigmoid(z))", "m / (2 + log(m))",
)  # fmt: skip
UNSAFE = (
    "k", "abs(k)", "sum(exp(z))", "sum(exp(z - max(exp(z))))", f"sum({E} - 1)", f"sum(z * {E})", f"log(sum({E}))",
    "count", "1 / count", "far", "1e-39", "1e38", "-1e38", "sqrt(sum(square(z)))", "1 - C", f"sum({E}) - 1", "0",
    "C ^ 5",
)  # fmt: skip


def parse(text: str) -> Expr:
    return lower([parse_expression(text, SCOPE)])[0]


@pytest.mark.parametrize("text", SAFE)
def test_what_has_a_reciprocal(text: str) -> None:
    assert invertible(parse(text)), magnitude(parse(text))


@pytest.mark.parametrize("text", UNSAFE)
def test_what_may_have_none(text: str) -> None:
    assert not invertible(parse(text)), magnitude(parse(text))


def test_a_square_has_one_in_fewer_cases() -> None:
    assert invertible(parse("sqrt(count)")) and not invertible(parse("sqrt(count)"), power=2)
    assert invertible(parse("C"), power=2)


@settings(max_examples=settings().max_examples // 4)
@given(losses(max_depth=5), st.floats(0.1, 100))
def test_every_value_lies_within_unless_something_overflows_on_the_way(loss: Loss, scale: float) -> None:
    nodes = list(walk(roots_of(loss)))
    values = {v: inside(v, scale) for v in nodes if isinstance(v, Var) and v.name not in ("C", "@position")}
    fits: set[Expr] = set()
    for node, value in zip(nodes, evaluate(nodes, values, C)):
        if all(a in fits for a in node.args) and (np.abs(value) <= FINITE.hi).all():
            fits.add(node)
            if node.type.kind == "real":
                found = magnitude(node)
                np.testing.assert_array_less(found.lo, value + 1e-9 * np.abs(value) + 1e-12)
                np.testing.assert_array_less(value - 1e-9 * np.abs(value) - 1e-12, found.hi)


def inside(v: Var, scale: float) -> np.ndarray:
    """Values of the domain of an input, to the edges where they would lie beyond."""
    drawn = draw(v, np.random.default_rng(0))
    if v.type.kind == "class":
        return drawn
    return drawn > 0 if v.type.kind == "bool" else np.clip(drawn * scale, v.domain.lo, v.domain.hi)


ENDS = st.one_of(st.integers(-149, -110), st.integers(110, 127), st.integers(-30, 30))
POINTS = torch.linspace(-2, 2, 11, dtype=torch.float64)


@pytest.mark.parametrize("body", ["tanh(z / k)", "square(z / k)", "square(k * z)", "square(k * clamp(z, -1e3, 1e3))"])
def test_a_row_and_what_it_is_scaled_by_may_be_far_from_1(body: str) -> None:
    loss = loss_of(f"loss f(z: real[C], k: real) = sum({body})")
    kernels = [glo.compile(loss, target) for target in ("c", "torch")]
    program = whole_program(loss)
    modules = [load_module(emit_triton(program)), streaming(load_module(emit_triton(program)), program)]

    @settings(max_examples=settings().max_examples // 10)
    @given(ENDS, st.floats(1.0, 1.875), st.booleans())
    @example(-149, 1.0, False)
    @example(-128, 1.0, True)
    @example(127, 1.75, False)
    def check(exponent: int, mantissa: float, negative: bool) -> None:
        k = torch.tensor([math.ldexp(-mantissa if negative else mantissa, exponent)])
        z = (POINTS * k if "/ k" in body else POINTS / k).float()[None, :].clamp(-3e38, 3e38)
        inputs = dict(zip(loss.inputs, (z.double().numpy(), k.double().numpy()[:, None])))
        want = evaluate([loss.expr], inputs, z.shape[1])[0].item()
        with np.errstate(all="ignore"):  # the interpreter computes lanes beyond the row, and throws them away
            found = [kernel(z, k) for kernel in kernels] + [run(m, loss, (z, k), wrt=())[0] for m in modules]
        np.testing.assert_allclose([float(value) for value in found], want, rtol=1e-5, atol=1e-6)

    check()

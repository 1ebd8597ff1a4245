"""The form with the fewest passes: the same values, and how many passes losses need."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

import glo_dsl as glo
from glo_codegen.program import Program
from glo_dsl.ir.evaluate import evaluate
from glo_dsl.ir.expr import Expr, Var, walk
from glo_dsl.lang.loss import Loss
from glo_dsl.passes.pipeline import whole_program
from glo_dsl.passes.walked import split
from glo_dsl.verify.strategies import losses
from tests.passes.test_online import C, draw, roots_of
from tests.passes.test_schedule import verify

TWO = (
    "cross_entropy", "smoothed_cross_entropy", "focal", "poly1", "baikal", "brier", "confidence_penalty",
    "soft_bootstrap", "normalized_cross_entropy", "arcface", "sphereface", "symmetric_cross_entropy",
    "taylor2", "taylor3", "taylor4", "crammer_singer", "tsallis_score", "sup_con",
    "seesaw",
)  # fmt: skip
THREE = ("logit_norm", "normalized_focal", "vector_scaling", "forward_kl", "jensen_shannon")


def passes(program: Program) -> int:
    return sum(phase.passes for phase in program.phases)


@pytest.mark.parametrize(("name", "most"), [*((name, 2) for name in TWO), *((name, 3) for name in THREE)])
def test_a_streamed_row_is_read_in_few_passes(name: str, most: int) -> None:
    program = whole_program(glo.zoo[name])
    assert program.walked is not None
    assert passes(program.walked) == most < passes(program)


def same(before: tuple[Expr, ...], after: tuple[Expr, ...], rtol: float) -> None:
    rng = np.random.default_rng(1)
    leaves = [v for v in walk(before) if isinstance(v, Var) and v.name not in ("C", "@position")]
    values = {v: draw(v, rng) for v in leaves}
    for one, other in zip(evaluate(before, values, C), evaluate(after, values, C)):
        shape = np.broadcast_shapes(one.shape, other.shape)
        one, other = np.broadcast_to(one, shape), np.broadcast_to(other, shape)
        finite = np.isfinite(one)
        np.testing.assert_allclose(
            other[finite], one[finite], rtol=rtol, atol=1e-9 * (1 + np.abs(one[finite]).max(initial=0))
        )


@pytest.mark.parametrize(
    "name", ["brier", "arcface", "sphereface", "confidence_penalty", "ldam", "seesaw", "taylor3", "normalized_focal"]
)
def test_taking_the_target_out_of_a_sum_changes_no_value(name: str) -> None:
    before = roots_of(glo.zoo[name])
    after = split(before)
    assert name == "taylor3" or after != before
    same(before, after, 1e-9)


@settings(max_examples=settings().max_examples // 2)
@given(losses(max_depth=5).filter(lambda loss: any(v.type.per_class for v in loss.inputs)))
def test_random_programs_are_in_order_when_walked(loss: Loss) -> None:
    before = roots_of(loss)
    same(before, split(before), 1e-6)
    program = whole_program(loss)
    if program.walked is not None:
        assert passes(program.walked) < passes(program)
        verify(program.walked)


@pytest.mark.parametrize("name", [*TWO, *THREE])
def test_a_walked_program_is_in_order(name: str) -> None:
    program = whole_program(glo.zoo[name]).walked
    assert program is not None
    verify(program)

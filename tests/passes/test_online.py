"""Sums that follow a maximum: what is said of their terms is true of them, and of no others is it said."""

from __future__ import annotations

import math

import numpy as np
import pytest

import glo_dsl as glo
from glo_dsl.ir.evaluate import evaluate
from glo_dsl.ir.expr import Apply, Const, Expr, Var, apply, const, substitute, var, walk
from glo_dsl.ir.types import REAL
from glo_dsl.lang.loss import Loss
from glo_dsl.passes.lower import lower
from glo_dsl.passes.online import Online, online
from glo_dsl.passes.pipeline import derive, differentiable

C = 5
HEAD = "loss f(z: real[C], y: real[C], t: class[C]; k = 1.5, q = 1.5 in [0, 9]) = "
INF = math.inf
E = "exp(z - max(z))"
FOLLOWING = {
    f"sum({E})": 1.0,
    f"sum({E} ^ 2)": 2.0,
    f"sum(sqrt({E}))": 0.5,
    f"sum({E} ^ 2.5)": 2.5,
    f"sum(y * {E} * abs({E}))": 2.0,
    f"sum(y * {E} - 3 * {E})": 1.0,
    f"sum(if y > 0 then {E} else 0)": 1.0,
    f"sum(if y > 0 then {E} else -y * {E})": 1.0,
    f"sum(max({E}, y * {E}))": 1.0,
    "sum(z - max(z))": 0.0,
    f"sum({E} * (z - max(z)))": 1.0,
    f"sum(square({E}) * (z - max(z)))": 2.0,
    "sum(y * (z - max(z)))": 0.0,
    "sum(if y > 0 then z - max(z) else 0)": 0.0,
    f"sum(if y > 0 then 0 else y * {E} * (z - max(z)))": 1.0,
    "sum(if z == max(z) then 1 else 0)": INF,
    "sum(if z == max(z) then y else 0)": INF,
    "sum(if min(z) == z then y else 0)": INF,
    f"sum(if y > 0 and z == max(z) then {E} else 0)": INF,
    "sum((if z == max(z) then 2 else 0) ^ 1.5 * square(y) * (z - max(z)))": INF,
}
OF_A_PARAMETER = (
    "sum(exp(q * (z - max(z))))",
    "sum(square(exp(q * (z - max(z)))) * (z - max(z)))",
    f"sum(y * sqrt(exp(q * (z - max(z)))) * {E})",
    "sum(exp(abs(k) * (z - max(z))))",
)
WAITING = [
    f"sum({E} + square({E}))",
    f"sum({E} + y)",
    f"sum(log(1 + {E}))",
    f"sum(y / {E})",
    f"sum({E} ^ -1)",
    f"sum({E} ^ -2)",
    f"sum({E} ^ k)",
    "sum(exp(z - max(y)))",
    "sum(exp(y - max(z)))",
    "sum(exp(max(z) - z))",
    f"sum(if {E} > 0.5 then {E} else 0)",
    f"sum(max({E}, y))",
    "sum(square(z - max(z)))",
    "sum(z * max(z) + y)",
    f"max({E} * y)",
    "sum(exp(k * (z - max(z))))",
    "sum(exp(-q * (z - max(z))))",
    "sum(exp(abs(y) * (z - max(z))))",
    "sum(exp(max(y) * (z - max(z))))",
    "sum(exp(q * (z - min(z))))",
    "sum(if z == max(z) then 1 else 2)",
    "sum(if z == max(y) then 1 else 0)",
    "sum(if y == max(z) then 1 else 0)",
    "sum(if z != max(z) then 1 else 0)",
    "sum(if z == max(z) or y > 0 then 1 else 0)",
    "sum(if z >= max(z) and y > 0 then 1 else 0)",
    f"sum(if z == max(z) then log(2 + {E}) else 0)",
    "sum((if z == max(z) then 1 else 0) + y)",
]


def roots_of(loss: Loss) -> tuple[Expr, ...]:
    derived = derive(loss, [v.name for v in differentiable(loss)])
    return lower((derived.value, *derived.gradients.values()))


def value_of(body: str) -> Expr:
    return lower((glo.loads(HEAD + body)["f"].expr,))[0]


def last_sum(root: Expr, found: Online) -> Apply:
    return max((n for n in walk((root,)) if isinstance(n, Apply) and n.op.reduces), key=lambda n: found.levels[n])


@pytest.mark.parametrize("body", FOLLOWING)
def test_a_sum_of_equal_powers_shares_the_pass_of_its_maximum(body: str) -> None:
    root = value_of(body)
    found = online([root])
    assert max(found.levels.values()) == 1
    assert FOLLOWING[body] in {r.degree for r in found.running.values()}
    agrees(found)


@pytest.mark.parametrize("body", OF_A_PARAMETER)
def test_a_power_may_be_any_number_that_is_known_before(body: str) -> None:
    found = online([value_of(body)])
    assert max(found.levels.values()) == 1
    assert found.degrees
    agrees(found)


@pytest.mark.parametrize("body", WAITING)
def test_any_other_waits_for_it(body: str) -> None:
    root = value_of(body)
    assert online([root]).levels[last_sum(root, online([root]))] == 2


@pytest.mark.parametrize(
    "name", ["cross_entropy", "forward_kl", "confidence_penalty", "taylor3", "logit_norm", "crammer_singer"]
)
def test_losses_follow_as_they_say(name: str) -> None:
    found = online(roots_of(glo.zoo[name]))
    assert found.running
    agrees(found)


def agrees(found: Online) -> None:
    """With another number in place of its maximum, every following sum is what `Running` says."""
    grown = 0.75
    for node, how in found.running.items():
        assert isinstance(node, Apply)
        moved = apply("add", how.maximum, var("d", REAL))
        companion: list[Expr] = [] if isinstance(how.drifts_with, Const | None) else [how.drifts_with]
        roots = [node, *companion]
        (after,) = substitute([node], {how.maximum: moved})
        leaves = [v for v in walk([after, *roots]) if isinstance(v, Var)]
        rng = np.random.default_rng(0)
        values = {v: draw(v, rng) for v in leaves if v.name not in ("C", "@position")}
        values |= {v: np.full((1, 1), grown) for v in leaves if v.name == "d"}
        degree = how.degree if isinstance(how.degree, Expr) else const(how.degree)
        now, then, power, *with_ = evaluate([node, after, degree, *companion], values, C)
        drift = 0.0 if how.drifts_with is None else grown * (with_[0] if with_ else float(C))
        np.testing.assert_allclose(then, (now - drift) * np.exp(-power * grown), rtol=1e-12)


def draw(v: Var, rng: np.random.Generator) -> np.ndarray:
    shape = (3 if v.type.per_sample else 1, C if v.type.per_class else 1)
    return rng.integers(0, C, shape) if v.type.kind == "class" else rng.normal(size=shape)

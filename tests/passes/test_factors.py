"""Late factors before their sums: the same values, known a pass earlier."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import glo_dsl as glo
from glo_dsl.ir.evaluate import evaluate
from glo_dsl.ir.expr import Expr, variables
from glo_dsl.lang.loss import Loss
from glo_dsl.passes.factors import factored
from glo_dsl.passes.lower import lower
from glo_dsl.passes.online import online
from glo_dsl.passes.walked import split
from tests.passes.test_online import roots_of
from tests.passes.test_walked import same

EARLY = ("z", "abs(y)", "(z - y)", "k * z", "2.5 * y", "(if z > y then z else 0)")
LATE = ("L", "min(L, 7)", "(if L > 3 then L else 2)")
PRODUCTS = st.recursive(
    st.tuples(st.sampled_from(EARLY), st.sampled_from(LATE)).map(" * ".join),
    lambda inner: st.one_of(
        inner.map("(-{})".format),
        inner.map("({}) / (2 + square(y))".format),
        inner.map("(if y > 0 then {} else 0)".format),
        inner.map("(if z > y then 0 else {} * y)".format),
        inner.map("(if z > y then {0} else -({0}))".format),
        st.tuples(inner, st.sampled_from(EARLY)).map("(({0[0]}) * {0[1]})".format),
        st.tuples(inner, inner).map("({0[0]} + {0[1]})".format),
    ),
    max_leaves=4,
)


def late(terms: str) -> Loss:
    total = "let L = sum(log1p(exp(z))) in"
    return glo.loads(f"loss f(z: real[C], y: real[C], t: class[C]; k = 0.75) = {total} sum({terms})")["f"]


def last(roots: tuple[Expr, ...]) -> int:
    return max(online(roots).levels.values())


@settings(max_examples=settings().max_examples // 4)
@given(PRODUCTS)
def test_random_products_keep_their_values(terms: str) -> None:
    before = split(roots_of(late(terms)))
    same(before, factored(before), 1e-9)


@pytest.mark.parametrize(
    "terms",
    [
        "if y > 0 then z * y / L else 0",
        "if y > 0 then y / L else k * square(y) / L",
        "(if y > 0 then 0 else (if y < -1 then -(y * L) else y * L)) * y / (2 + square(y))",
        "(if y > 0 then min(L, 7) else min(L, 7) * y) - (if y > 1 then y * min(L, 7) else 0)",
    ],
)
def test_what_all_terms_have_waits_for_nothing(terms: str) -> None:
    before = split((late(terms).expr,))
    after = factored(before)
    assert (last(before), last(after)) == (2, 1)
    same(before, after, 1e-9)


def test_an_empty_choice_keeps_an_infinite_factor_away() -> None:
    masked = "let n = sum(if y > 9 then 1 else 0) in sum(if y > 9 then z / n else 0)"
    before = lower([glo.loads(f"loss f(z: real[C], y: real[C]) = {masked}")["f"].expr])
    after = factored(before)
    assert (last(before), last(after)) == (2, 1)
    y, z = (next(v for v in variables(before) if v.name == name) for name in "yz")
    for largest, want in ((1.0, 0.0), (10.0, 2.0)):
        rows = {z: np.array([[2.0, 5.0]]), y: np.array([[largest, 1.0]])}
        assert [value.item() for value in evaluate((*before, *after), rows, 2)] == [want, want]


@pytest.mark.parametrize(
    "terms",
    [
        "if y > 0 then y * L else y",
        "exp(L * y)",
        "if y > L then y else 0",
        "if L > 3 then y else 0",
        "y * L + abs(y) / L",
        "square(z - L)",
    ],
)
def test_what_they_have_not_stays_in_the_sum(terms: str) -> None:
    before = split((late(terms).expr,))
    assert last(factored(before)) == last(before) == 2

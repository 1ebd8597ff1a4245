"""Polynomials multiplied out: the same values, in sums of one degree each."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import glo_dsl as glo
from glo_dsl.ir.expr import Expr
from glo_dsl.lang.loss import Loss
from glo_dsl.passes.online import online
from glo_dsl.passes.powers import powers
from glo_dsl.passes.walked import split
from tests.passes.test_online import roots_of
from tests.passes.test_walked import same

FACTORS = (
    "softmax(z)", "(softmax(z) - k)", "(0.5 - softmax(z))", "(-softmax(z))", "(k + onehot(t))",
    "(k * onehot(t) - softmax(z))", "square(softmax(z) - 2)",
)  # fmt: skip
PRODUCTS = st.lists(st.sampled_from(FACTORS), min_size=1, max_size=3).map(" * ".join)
P = st.lists(PRODUCTS, min_size=1, max_size=2).map(" - ".join)


def polynomial(terms: str) -> Loss:
    return glo.loads(f"loss f(z: real[C], t: class[C]; k = 0.75) = sum(softmax(z) * ({terms}))")["f"]


def last(roots: tuple[Expr, ...]) -> int:
    return max(online(roots).levels.values())


@settings(max_examples=settings().max_examples // 2)
@given(P)
def test_random_polynomials_keep_their_values(terms: str) -> None:
    before = split(roots_of(polynomial(terms)))
    same(before, powers(before), 1e-9)


@pytest.mark.parametrize(
    "terms",
    [
        "square(softmax(z) - k)",
        "softmax(z) * square(k - softmax(z))",
        "(k - softmax(z)) * (softmax(z) + k * onehot(t))",
        "-square(0.5 - (k - softmax(z)))",
    ],
)
def test_a_polynomial_waits_for_nothing(terms: str) -> None:
    before = split(roots_of(polynomial(terms)))
    after = powers(before)
    assert last(after) < last(before)
    same(before, after, 1e-9)


@pytest.mark.parametrize("terms", ["exp(softmax(z))", "square(softmax(z) ^ 4 - k)", "square(softmax(z) - k * z)"])
def test_what_is_none_stays_as_it_is(terms: str) -> None:
    before = split(roots_of(polynomial(terms)))
    assert last(powers(before)) == last(before)

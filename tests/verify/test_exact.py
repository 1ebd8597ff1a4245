"""What is said to be exact is, and noise moves all else."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glo_dsl.ir.expr import Apply, Const, Expr, Var, var, walk
from glo_dsl.ir.types import REAL, REAL_ROW
from glo_dsl.lang.elaborate import parse_expression
from glo_dsl.verify.exact import Evaluation
from glo_dsl.verify.noise import FLOAT64, with_noise
from glo_dsl.verify.strategies import expressions

X, Y, Z = var("x", REAL), var("y", REAL), var("z", REAL_ROW)
SIMPLE = (0.0, 1.0, -1.0, 2.0, 0.5, -0.5, 3.0, 0.1, 7.25, -4.0, 1e4, 0.375)

FRACTIONS: dict[str, Any] = {
    "add": lambda a, b: a + b, "sub": lambda a, b: a - b, "mul": lambda a, b: a * b, "square": lambda a: a * a,
    "neg": lambda a: -a, "abs": abs, "relu": lambda a: max(a, Fraction(0)), "maximum": max, "minimum": min,
    "sign": lambda a: Fraction((a > 0) - (a < 0)), "floor": lambda a: Fraction(a.numerator // a.denominator),
    "clamp": lambda a, b, c: min(max(a, b), c), "stop": lambda a: a, "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b, "gt": lambda a, b: a > b, "ge": lambda a, b: a >= b, "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b, "and": lambda a, b: a and b, "or": lambda a, b: a or b, "not": lambda a: not a,
    "select": lambda p, a, b: a if p else b, "div": lambda a, b: a / b if b else None,
    "pow": lambda a, b: a**b if b.denominator == 1 and (a or b >= 0) and abs(b) < 9 else None,
}  # fmt: skip


def fraction(root: Expr, values: dict[Expr, Fraction]) -> Any:
    """The value in fractions, or None where it is none or an operator has none."""
    known: dict[Expr, Any] = dict(values)
    for node in walk((root,)):
        if node in known:
            continue
        if isinstance(node, Const):
            known[node] = Fraction(node.value) if node.type.kind == "real" else bool(node.value)
        elif isinstance(node, Apply) and node.op.name in FRACTIONS:
            args = [known[a] for a in node.args]
            known[node] = None if any(a is None for a in args) else FRACTIONS[node.op.name](*args)
        else:
            known[node] = None
    return known[root]


@settings(max_examples=settings().max_examples * 2)
@given(expressions([X, Y], max_depth=4), st.sampled_from(SIMPLE), st.sampled_from(SIMPLE))
def test_exact_numbers_are_those_of_fractions(root: Expr, x: float, y: float) -> None:
    found = Evaluation([root], {X: np.array([[x]]), Y: np.array([[y]])}, 1)
    for node in walk((root,)):
        if node.type.kind == "real" and found.exact[node].all():
            true = fraction(node, {X: Fraction(x), Y: Fraction(y)})
            assert true is None or true == Fraction(float(found.values[node].item())), node


@pytest.mark.parametrize(
    ("text", "exact"),
    [
        ("x - y", True), ("x * 0.1", False), ("0 * (x * 0.1)", True), ("x / 3", False), ("x / 4", True),
        ("exp(x - 2)", True), ("exp(x)", False), ("log(y)", True), ("tanh(20 * x)", False), ("sqrt(x + 2)", True),
        ("sqrt(x)", False), ("x ^ 3", True), ("x ^ 0.5", False), ("xlogy(0, 0)", True), ("max(x, exp(x))", False),
        ("if x > 1 then x else exp(x)", True), ("if exp(x) > 1 then x else y", False), ("lgamma(x)", False),
        ("sum(z)", True), ("mean(z)", True), ("max(z)", True), ("logsumexp(z)", False), ("sum(softmax(0 * z))", True),
        ("0.1", False), ("0.5", True), ("1e9 * x", False), ("1e9 - 1e9", False), ("10000 - x", False),
    ],
)  # fmt: skip
def test_where_nothing_is_rounded(text: str, exact: bool) -> None:
    scope: dict[str, Expr] = {"x": X, "y": Y, "z": Z}
    root = parse_expression(text, scope)
    values: dict[Expr, Any] = {X: np.array([[2.0]]), Y: np.array([[1.0]]), Z: np.array([[1.5, 1.0, -3.0, 0.5]])}
    known = Evaluation([root], values, 4)
    assert bool(known.exact[root].all()) == exact
    (blocks,) = with_noise(known, [root], 1, FLOAT64)
    assert bool((blocks == blocks[0]).all()) == exact
    assert np.allclose(blocks, blocks[0], rtol=1e-9)


def overflowed(text: str, x: float) -> bool:
    root = parse_expression(text, {"x": X})
    return bool(Evaluation([root], {X: np.array([[x]])}, 1).overflowed(root, 1).any())


def test_an_overflow_is_told_from_a_pole_and_followed() -> None:
    assert overflowed("exp(x)", 1000.0) and overflowed("x * x", 1e200) and overflowed("1 / exp(x)", 1000.0)
    assert not overflowed("1 / x", 0.0) and not overflowed("log(x)", 0.0) and not overflowed("log1p(x)", -1.0)
    assert not overflowed("if x > 9 then x else exp(x)", 1000.0)
    assert overflowed("if x > 9 then exp(x) else x", 1000.0)


def test_noise_is_the_same_in_every_process_and_reaches_every_rounded_number() -> None:
    scope: dict[str, Expr] = {"z": Z}
    root = parse_expression("sum(z * 0.1) + log_softmax(z)", scope)
    values: dict[Expr, Any] = {Z: np.random.default_rng(0).standard_normal((3, 5))}
    one, again = (with_noise(Evaluation([root], values, 5), [root], 3)[0] for _ in range(2))
    assert (one == again).all()
    assert ((one[1:] != one[0]).any(axis=0)).all()


def test_variables_stay() -> None:
    assert isinstance(X, Var)
    known = Evaluation([X], {X: np.array([[0.1]])}, 1)
    assert (with_noise(known, [X], 1)[0] == 0.1).all()

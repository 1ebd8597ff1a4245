"""Interval arithmetic: every finite value of an expression lies in the interval computed for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glo_dsl.ir.bounds import ranges
from glo_dsl.ir.evaluate import evaluate
from glo_dsl.ir.expr import CLASSES, Const, Expr, Var, const, var, walk
from glo_dsl.ir.ops import Op
from glo_dsl.ir.table import OPS
from glo_dsl.ir.types import ANY, BOOL, CLASS_INDEX, REAL, REAL_ROW, UNIFORM, UNIT, Interval
from glo_dsl.lang.elaborate import parse_expression
from glo_dsl.verify.strategies import expressions

FEW = settings(max_examples=settings().max_examples // 6)  # a share of the profile: there are many rows
ENDS = st.sampled_from((-np.inf, -10.0, -1.5, -1.0, -0.5, 0.0, 0.25, 1.0, 2.0, 30.0, np.inf))
LEAVES: tuple[Var, ...] = (
    var("z", REAL_ROW), var("q", REAL_ROW, UNIT), var("x", REAL, Interval(-1.0, 2.0)), var("t", CLASS_INDEX),
    var("b", BOOL), var("k", UNIFORM, Interval(0.5, 4.0)),
)  # fmt: skip


@st.composite
def intervals(draw: Any) -> Interval:
    lo, hi = sorted((draw(ENDS), draw(ENDS)))
    found = Interval(lo, hi, draw(st.booleans()), draw(st.booleans())) if lo < np.inf and hi > -np.inf else ANY
    return found if not found.empty else Interval(lo, hi)


def inside(interval: Interval, rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """Finite values of the interval, its closed ends among them and open ones nearly."""
    lo, hi = max(interval.lo, -40.0), min(interval.hi, 40.0)
    first = np.nextafter(lo, hi) if interval.open_lo else lo
    last = np.nextafter(hi, lo) if interval.open_hi else hi
    values = np.clip(rng.uniform(lo, hi, shape), first, last)
    values.flat[0], values.flat[1] = first, last
    return np.where(rng.integers(0, 4, shape) == 0, np.clip(np.round(values), first, last), values)


def assert_contains(interval: Interval, values: Any, what: object) -> None:
    finite = values[np.isfinite(values)]
    slack = 1e-12 * (1 + np.abs(finite))
    assert np.all((interval.lo <= finite + slack) & (finite - slack <= interval.hi)), (what, interval, finite)


@pytest.mark.parametrize(
    "op",
    [op for op in OPS.values() if op.kinds[-1] == "real" and op.numpy and "class" not in op.kinds],
    ids=lambda op: op.name,
)
@FEW
@given(st.data())
def test_range_column_contains_the_values(op: Op, data: st.DataObject) -> None:
    args = [data.draw(intervals()) for _ in op.kinds[:-1]]
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    values = [rng.integers(0, 2, (40, 3)).astype(bool) if kind == "bool" else inside(arg, rng, (40, 3))
              for arg, kind in zip(args, op.kinds[:-1])]  # fmt: skip
    with np.errstate(all="ignore"):
        assert op.numpy is not None
        assert_contains(op.range(*args), np.asarray(op.numpy(*values)), op.name)


@given(expressions(LEAVES, REAL, max_depth=5), st.integers(0, 2**32 - 1))
def test_range_of_every_part_contains_its_values(expr: Expr, seed: int) -> None:
    rng = np.random.default_rng(seed)
    shapes = {REAL_ROW: (8, 3), REAL: (8, 1), UNIFORM: (1, 1)}
    values: dict[Var, Any] = {v: inside(v.domain, rng, (8, 3))[: shapes[v.type][0], : shapes[v.type][1]]
                              for v in LEAVES if v.type.kind == "real"}  # fmt: skip
    values |= {LEAVES[3]: rng.integers(0, 3, (8, 1)), LEAVES[4]: rng.integers(0, 2, (8, 1)).astype(bool)}
    found = ranges((expr,))
    parts = [node for node in walk((expr,)) if node.type.kind == "real"]
    for node, value in zip(parts, evaluate(parts, values, 3)):
        assert_contains(found[node], np.asarray(value), node)


@pytest.mark.parametrize(
    ("text", "interval"),
    [
        ("softmax(z)", "(0, 1]"), ("exp(z)", "(0, inf)"), ("q - 1", "[-1, 0]"), ("x * x", "[0, 4]"),
        ("square(x)", "[0, 4]"), ("1 / (1 + q)", "[0.5, 1]"), ("1 / q", "[1, inf)"), ("1 / x", "(-inf, inf)"),
        ("abs(x) + 1", "[1, 3]"), ("max(x, 0)", "[0, 2]"), ("min(x, 0)", "[-1, 0]"), ("clamp(z, -1, 1)", "[-1, 1]"),
        ("log(q)", "(-inf, 0]"), ("if b then 1 else x", "[-1, 2]"), ("sum(q)", "[0, inf)"), ("sum(-q)", "(-inf, 0]"),
        ("mean(q)", "[0, 1]"), ("q ^ k", "[0, 1]"), ("sqrt(k)", "[0.707107, 2]"), ("C", "[1, inf)"),
        ("log_softmax(z)", "(-inf, 0]"), ("-q", "[-1, 0]"), ("relu(z)", "[0, inf)"), ("logsumexp(q)", "[0, inf)"),
        ("onehot(t)", "[0, 1]"), ("sigmoid(z)", "(0, 1)"), ("1 - sigmoid(z)", "(0, 1)"), ("1 - softmax(z)", "[0, 1)"),
        ("softplus(z)", "(0, inf)"), ("relu(x) * exp(z)", "[0, inf)"), ("sigmoid(z) * sigmoid(z)", "(0, 1)"),
        ("tanh(z)", "(-1, 1)"), ("x ^ 2", "[0, 4]"), ("x ^ 3", "[-1, 8]"), ("k ^ -1", "[0.25, 2]"),
        ("exp(z) ^ k", "(0, inf)"), ("floor(sigmoid(z))", "[0, 1]"), ("max(sigmoid(z), 0)", "(0, 1)"),
        ("1 / (1 + exp(z))", "(0, 1)"), ("square(exp(z))", "(0, inf)"), ("sum(exp(z))", "(0, inf)"),
        ("lgamma(1 + q)", "[-0.121486, 0]"), ("lgamma(k)", "[-0.121486, 1.79176]"),
        ("lgamma(k + 2)", "[0.284683, 4.78749]"), ("lgamma(exp(z))", "[-0.121486, inf)"),
        ("lgamma(q / 2)", "[0.572365, inf)"), ("lgamma(-1 - q)", "(-inf, inf)"), ("trigamma(k)", "[0.283823, 4.9348]"),
        ("trigamma(q)", "[1.64493, inf)"), ("digamma(1 + q)", "[-0.577216, 0.422784]"),
        ("digamma(q)", "(-inf, -0.577216]"), ("atan(z)", "(-1.5708, 1.5708)"),
    ],
)  # fmt: skip
def test_range_is_as_tight_as_rules_and_warnings_need(text: str, interval: str) -> None:
    expr = parse_expression(text, {v.name: v for v in LEAVES})
    assert str(ranges((expr,))[expr]) == interval


def test_open_ends_are_not_reached() -> None:
    half = Interval(0.0, 1.0, open_lo=True)
    assert not half.contains(0.0) and half.contains(1e-300) and half.contains(1.0)
    assert not half.meets(Interval(-1.0, 0.0)) and half.meets(Interval(1.0, 2.0))
    assert Interval(0.0, 0.0, open_hi=True).empty and not Interval(0.0, 0.0).empty
    assert ANY.contains(np.inf) and Interval(-np.inf, np.inf, True, True) == ANY


def test_a_literal_that_is_not_finite_has_no_range() -> None:
    assert ranges((const(float("nan")),))[const(float("nan"))] == ANY
    known: dict[Expr, Interval] = {CLASSES: Interval(10.0, 10.0)}
    assert ranges((CLASSES,), known)[CLASSES] == Interval(10.0, 10.0)
    assert isinstance(const(1.0), Const)


EXACT = ("add", "sub", "mul", "neg", "maximum", "minimum", "abs", "square", "relu", "clamp", "floor", "select")


@pytest.mark.parametrize("name", EXACT)
@given(st.data())
def test_no_value_lies_on_an_open_end(name: str, data: st.DataObject) -> None:
    """On values whose arithmetic is exact, an end that is reached must be a closed one."""
    op = OPS[name]
    args = [data.draw(intervals()) for kind in op.kinds[:-1]]
    grid = np.arange(-8.0, 8.25, 0.25)
    values = [np.array([g for g in grid if arg.contains(g)]) for arg in args]
    if name == "select":
        values[0] = np.array([True, False])
    if any(len(v) == 0 for v in values):
        return
    assert op.numpy is not None
    found = op.range(*args)
    for result in np.unique(op.numpy(*np.meshgrid(*[v[:: 1 + len(v) // 12] for v in values], indexing="ij"))):
        assert found.contains(float(result)), (args, found, result)

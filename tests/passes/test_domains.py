"""Where a loss may be undefined: nothing that happens goes unsuspected, and what is guarded is not suspected."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glo_dsl.ir.evaluate import evaluate
from glo_dsl.ir.expr import Apply, Expr, Var, var, walk
from glo_dsl.ir.table import OPS
from glo_dsl.ir.types import BOOL, CLASS_INDEX, REAL, REAL_ROW, UNIFORM, Interval
from glo_dsl.lang.elaborate import parse_expression
from glo_dsl.passes.domains import Need, needs, undefined
from glo_dsl.verify.strategies import expressions

LEAVES: tuple[Var, ...] = (
    var("z", REAL_ROW), var("x", REAL, Interval(-1.0, 2.0)), var("u", REAL, Interval(0.0, 1.0)), var("t", CLASS_INDEX),
    var("b", BOOL), var("k", UNIFORM, Interval(0.0, 4.0, open_lo=True)),
)  # fmt: skip


def suspects(text: str) -> list[str]:
    """What may be undefined, as operator, interval and certainty."""
    expr = parse_expression(text, {v.name: v for v in LEAVES})
    return [f"{f.node.op.name} {f.interval}{' for sure' if f.certain else ''}" for f in undefined(expr)]


@pytest.mark.parametrize("op", OPS.values(), ids=lambda op: op.name)
def test_every_need_of_the_table_is_understood(op: Any) -> None:
    for alternatives in needs(op):
        for need in alternatives:
            assert isinstance(need, Need) and need.place < op.arity


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("log(x)", ["log [-1, 2]"]),
        ("log(u)", ["log [0, 1]"]),
        ("log(k)", []),
        ("log(-1 - u)", ["log [-2, -1] for sure"]),
        ("log(exp(u))", []),
        ("log(softmax(z)[t])", []),
        ("log(1 - softmax(z)[t])", ["log [0, 1)"]),
        ("log1p(-u)", ["log1p [-1, 0]"]),
        ("1 / x", ["div [-1, 2]"]),
        ("1 / k", []),
        ("1 / (1 + u)", []),
        ("1 / 0", ["div [0, 0] for sure"]),
        ("sqrt(u)", []),
        ("sqrt(x)", ["sqrt [-1, 2]"]),
        ("x ^ 2", []),
        ("x ^ k", ["pow [-1, 2]"]),
        ("u ^ k", []),
        ("x ^ 0.5", ["pow [-1, 2]"]),
        ("x ^ -1", ["pow [-1, 2]"]),
        ("u ^ -1", ["pow [0, 1]"]),
        ("u ^ -x", ["pow [0, 1]"]),
        ("exp(z)", ["exp (-inf, inf)"]),
        ("exp(u)", []),
        ("exp(min(z, 10))", []),
        ("exp(100 + u)", ["exp [100, 101] for sure"]),
        ("xlogy(u, u)", []),
        ("xlogy(u, x)", ["xlogy [-1, 2]"]),
        ("log(max(x, 1e-6))", []),
        ("log(clamp(x, 1e-6, 1))", []),
        ("log(x * x)", ["log [0, 4]"]),
        ("log(1 + x * x)", []),
    ],
)
def test_intervals_decide(text: str, found: list[str]) -> None:
    assert sorted(suspects(text)) == sorted(found)


@pytest.mark.parametrize(
    "text",
    [
        "if x > 0 then log(x) else x", "if x <= 0 then x else log(x)", "if 0 < x then log(x) else x",
        "if not (x <= 0) then log(x) else x", "if x > 0 and u > 0 then log(x) + log(u) else 0",
        "if x <= 0 or u <= 0 then 0 else log(x) + log(u)", "if x == 0 then 0 else 1 / x", "if x != 0 then 1 / x else 0",
        "if k == 1 then log(k) else (u - 1) / (1 - k)", "if x > u then log(x - u) else sqrt(u - x)",
        "if x > 0 then (if u > 0 then log(u * x) else 0) else 0", "if abs(x) >= 1 then 1 / abs(x) else 0",
        "if x == 2 then log(x) else 0", "if u > 2 then log(-1) else 0", "if x >= 0 then sqrt(x) else sqrt(-x)",
    ],
)  # fmt: skip
def test_a_guard_is_believed(text: str) -> None:
    assert suspects(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "if x > 0 then x else log(x)", "if x < 0 then log(x) else x", "if x > 0 or u > 0 then log(x) else 0",
        "if b then log(x) else 0", "(if x > 0 then log(x) else 0) + log(x)", "if x > -1 then log(x) else 0",
        "if x >= 0 then log(x) else 0", "if u == 1 then 0 else 1 / (2 - 4 * u)",
    ],
)  # fmt: skip
def test_a_guard_of_something_else_is_not(text: str) -> None:
    assert len(suspects(text)) == 1


def outside(node: Apply, values: dict[Expr, Any]) -> Any:
    """Where the arguments of a node break one of its needs."""
    broken: Any = False
    for alternatives in needs(node.op):
        fine: Any = False
        for need in alternatives:
            arg = values[node.args[need.place]]
            if need.relation == "whole":
                fine = fine | (arg == np.floor(arg))
            elif need.relation == "!=":
                fine = fine | (arg != need.bound)
            else:
                fine = fine | {">": arg > need.bound, ">=": arg >= need.bound, "<=": arg <= need.bound}[need.relation]
        broken = broken | ~np.asarray(fine)
    return broken


@given(expressions(LEAVES, REAL, max_depth=5), st.integers(0, 2**32 - 1))
def test_what_happens_was_suspected(expr: Expr, seed: int) -> None:
    """Any argument outside of what its operator needs, outside of choices, belongs to a finding."""
    rng = np.random.default_rng(seed)
    inputs: dict[Var, Any] = {
        LEAVES[0]: rng.normal(0, 50, (8, 3)), LEAVES[1]: rng.integers(-2, 5, (8, 1)) / 2.0,
        LEAVES[3]: rng.integers(0, 3, (8, 1)), LEAVES[2]: rng.integers(0, 5, (8, 1)) / 4.0,
        LEAVES[4]: rng.integers(0, 2, (8, 1)).astype(bool),
        LEAVES[5]: rng.integers(1, 9, (1, 1)) / 2.0,
    }  # fmt: skip
    suspected = {finding.node for finding in undefined(expr)}
    parts = list(walk((expr,)))
    chosen = {
        below for node in parts if isinstance(node, Apply) and node.op.name == "select" for below in walk(node.args)
    }
    values = dict(zip(parts, evaluate(parts, inputs, 3), strict=True))
    for node in parts:
        if isinstance(node, Apply) and node not in chosen and needs(node.op) and node not in suspected:
            finite = np.all([np.isfinite(values[a]).all() for a in node.args if a.type.kind == "real"])
            assert not (finite and np.any(outside(node, values))), node

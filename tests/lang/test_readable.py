"""Readable text means the expression, names what is shared, and keeps to its width."""

from __future__ import annotations

import pytest
from hypothesis import given

from glo_dsl.ir.expr import CLASSES, Expr, apply, hole, size, var
from glo_dsl.ir.types import BOOL, CLASS_INDEX, REAL, REAL_ROW, UNIFORM
from glo_dsl.lang.elaborate import parse_expression
from glo_dsl.lang.readable import let_text, readable
from glo_dsl.lang.sharing import shared_parts
from glo_dsl.verify.strategies import expressions

X, Z = var("x", REAL), var("z", REAL_ROW)
VARIABLES = (X, Z, var("s1", UNIFORM), var("t", CLASS_INDEX), var("b", BOOL))
SCOPE = {v.name: v for v in VARIABLES}


@given(expressions([*VARIABLES, CLASSES, hole("f", (X, Z))], REAL, max_depth=5))
def test_it_reads_back_as_the_same_expression(expr: Expr) -> None:
    assert parse_expression(let_text(expr), SCOPE) is expr
    label, _, text = readable("d f / d x", expr).partition(" =")
    assert label == "d f / d x" and parse_expression(text, SCOPE) is expr


@given(expressions(VARIABLES, REAL, max_depth=5))
def test_lines_are_short(expr: Expr) -> None:
    assert all(len(line) <= 100 for line in readable("derivative", expr).splitlines())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("exp(x - 1) + exp(x - 1)", "exp(x - 1) + exp(x - 1)"),
        ("exp(x * x - 1) * exp(x * x - 1)", "let s1 = exp(x * x - 1) in s1 * s1"),
        ("s1 * exp(x * x - 1) * exp(x * x - 1)", "let s2 = exp(x * x - 1) in s1 * s2 * s2"),
        ("sin(exp(x * x - 1)) - exp(exp(x * x - 1)) / sin(exp(x * x - 1))",
         "let s1 = exp(x * x - 1) in sin(s1) - exp(s1) / sin(s1)"),
    ],
)  # fmt: skip
def test_only_what_is_worth_it_is_named(text: str, expected: str) -> None:
    assert let_text(parse_expression(text, SCOPE)) == expected


def test_sharing_does_not_explode() -> None:
    expr: Expr = X
    for _ in range(60):
        expr = apply("add", apply("sin", expr), apply("mul", expr, apply("cos", expr)))
    assert size(expr) > 10**15
    assert len(readable("f", expr)) < 10_000 and len(shared_parts(expr, 5)) == 59


def test_what_the_formatter_does_not_read_is_given_as_it_is() -> None:
    expr: Expr = X
    for _ in range(5000):  # indented, it would be longer than a text may be
        expr = apply("sin", expr)
    assert readable("f", expr) == f"f = {let_text(expr)}"

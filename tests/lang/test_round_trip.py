"""`parse(show(e)) is e`, and digests that are the same in every process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import glo_dsl as glo
from glo_dsl.ir.expr import CLASSES, Expr, apply, const, hole, truth, var
from glo_dsl.ir.types import BOOL, BOOL_ROW, CLASS_INDEX, REAL, REAL_ROW, UNIFORM
from glo_dsl.lang.elaborate import parse_expression
from glo_dsl.lang.loss import Loss
from glo_dsl.lang.show import number, show
from glo_dsl.verify.strategies import expressions, losses

EXAMPLES = Path(__file__).parents[2] / "examples"
Z, X, K = var("z", REAL_ROW), var("x", REAL), var("k", UNIFORM)
VARIABLES = (Z, X, K, var("t", CLASS_INDEX), var("b", BOOL), var("m", BOOL_ROW))
SCOPE = {v.name: v for v in VARIABLES}
INFINITY = const(float("inf"))
AWKWARD = [
    const(-2.0), const(-0.0), const(0.1), const(1e-300), const(1e22), INFINITY, const(float("-inf")),
    const(float("nan")), truth(True), truth(False), hole("f", (Z, X)), hole("g", (const(-1.0), K)), CLASSES,
    apply("neg", const(2.0)),
    apply("neg", const(-2.0)), apply("neg", apply("neg", X)), apply("not", truth(True)), apply("pow", const(-2.0), X),
    apply("neg", apply("pow", const(2.0), X)), apply("neg", INFINITY),
]  # fmt: skip
LEAVES = [*VARIABLES, *AWKWARD]


@given(expressions(LEAVES, REAL, max_depth=6, tame=False))
def test_printed_numbers_read_back_as_the_same_object(expr: Expr) -> None:
    assert parse_expression(show(expr), SCOPE) is expr


@given(
    expressions([*VARIABLES, *AWKWARD], BOOL, max_depth=4) | expressions([*VARIABLES, *AWKWARD], BOOL_ROW, max_depth=4)
)
def test_printed_conditions_read_back_as_the_same_object(expr: Expr) -> None:
    assert parse_expression(show(expr), SCOPE) is expr


@given(st.floats())
def test_a_literal_reads_back_as_the_same_float(value: float) -> None:
    assert parse_expression(number(value), {}) is const(value)


@pytest.mark.parametrize("expr", AWKWARD, ids=show)
def test_awkward_expressions_read_back(expr: Expr) -> None:
    assert parse_expression(show(expr), SCOPE) is expr


@settings(max_examples=settings().max_examples // 2)
@given(expressions(VARIABLES, REAL, max_depth=3), st.integers(8, 20))
def test_large_shared_trees_print_short_and_read_back(expr: Expr, times: int) -> None:
    for _ in range(times):
        expr = apply("sub", apply("exp", expr), expr)
    text = show(expr)
    assert len(text) < 4000
    assert parse_expression(text, SCOPE) is expr


def test_names_of_shared_parts_avoid_names_in_use() -> None:
    taken: Expr = var("s0", REAL)
    expr = taken
    for _ in range(12):
        expr = apply("mul", expr, apply("add", expr, taken))
    assert parse_expression(show(expr), {"s0": taken}) is expr


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("a+b*c", "a + b * c"), ("(a+b)*c", "(a + b) * c"), ("a-(b-c)", "a - (b - c)"), ("(a-b)-c", "a - b - c"),
        ("a^b^c", "a ^ b ^ c"), ("(a^b)^c", "(a ^ b) ^ c"), ("-a^b", "-a ^ b"), ("(-a)^b", "(-a) ^ b"),
        ("a^-b", "a ^ -b"), ("a*-b", "a * -b"), ("- 2", "-2"), ("-(2)", "-(2)"), ("2^-1", "2 ^ -1"),
        ("if a>0 then b else if b>0 then a else c", "if a > 0 then b else if b > 0 then a else c"),
        ("(if a>0 then b else c)+1", "(if a > 0 then b else c) + 1"),
        ("1+(if a>0 then b else c)", "1 + (if a > 0 then b else c)"),
        ("if not a>0 or b>0 and c>0 then 1 else 0", "if not a > 0 or b > 0 and c > 0 then 1 else 0"),
        ("if (not a>0) == (b>0) then 1 else 0", "if (not a > 0) == (b > 0) then 1 else 0"),
        ("max(a,min(b,c,),)", "max(a, min(b, c))"), ("let x = a in x*x", "a * a"), ("1.50", "1.5"), ("1e3", "1000"),
        (".5e-3", "0.0005"), ("a # comment\n + b", "a + b"),
    ],
)  # fmt: skip
def test_canonical_spelling(text: str, canonical: str) -> None:
    scope = {letter: var(letter, REAL) for letter in "abc"}
    expr = parse_expression(text, scope)
    assert show(expr) == canonical
    assert parse_expression(canonical, scope) is expr


@settings(max_examples=settings().max_examples // 2)
@given(losses())
def test_a_loss_is_its_text(loss: Loss) -> None:
    (again,) = glo.loads(str(loss)).values()
    assert again.expr is loss.expr and again.inputs == loss.inputs and again.params == loss.params


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.glo")), ids=lambda path: path.stem)
def test_examples_read_back(path: Path) -> None:
    for loss in glo.load(path).values():
        scope = {v.name: v for v in (*loss.inputs, *(p.var for p in loss.params))}
        assert parse_expression(show(loss.expr), scope) is loss.expr


DIGEST = """
junk = [object() for _ in range(hash("x") % 100_003)]  # other addresses, as well as other hashes
import glo_dsl as glo
losses = glo.loads('''
loss f(z: real[C], t: class[C]; a = 2 in [0, 8]) = if a < 3 and z[t] > 0 then -mean(?f(z, a)) else nan
loss g(x: real, b: bool, c: bool) =
  let y = if b and x < 1 then exp(x) else x in
  let u = if c then (if b then (if x > 0 then (if x < 3 then y * x else 0) else 0) else 0) else 0 in
  if x > 2 then u * x else sin(y)
''')
print(losses["f"].expr.digest.hex(), glo.gradient(losses["g"], "x"))
"""


def test_digest_and_gradient_text_are_the_same_in_every_process() -> None:
    outputs = set()
    for seed in ("1", "2", "3", "4", "5"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", DIGEST], capture_output=True, text=True, env=environment, check=True
        )
        outputs.add(done.stdout)
    assert len(outputs) == 1


def test_digest_tells_structure_apart() -> None:
    x, row, other = var("x", REAL), var("x", REAL_ROW), var("y", REAL)
    literals = [const(1.0), const(-1.0), const(0.0), const(-0.0), truth(True), truth(False)]
    applied = [apply("sub", x, other), apply("sub", other, x), apply("exp", x)]
    holes = [hole("f", (x,)), hole("g", (x,)), hole("f", (x, x))]
    distinct: list[Expr] = [x, row, other, *literals, *applied, *holes]
    assert len({e.digest for e in distinct}) == len(distinct)

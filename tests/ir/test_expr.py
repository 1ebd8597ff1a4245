"""Expressions: interning, order, substitution, size."""

from __future__ import annotations

import gc
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from hypothesis import given, settings

from glo_dsl.errors import GloError
from glo_dsl.ir import expr as ir
from glo_dsl.ir.expr import (
    CLASSES,
    Expr,
    apply,
    const,
    hole,
    holes,
    size,
    substitute,
    total,
    truth,
    var,
    variables,
    walk,
)
from glo_dsl.ir.types import ANY, REAL, REAL_ROW, UNIT, Interval
from glo_dsl.lang.show import show
from glo_dsl.verify.strategies import expressions

X, Y, Z = var("x", REAL), var("y", REAL), var("z", REAL_ROW)


def test_equal_structure_is_one_object() -> None:
    assert apply("add", X, const(1.0)) is apply("add", X, const(1.0))
    assert apply("add", X, Y) is not apply("add", Y, X)
    assert const(float("nan")) is const(float("nan"))
    assert const(0.0) is not const(-0.0) and const(1.0) is not truth(True)
    assert var("x", REAL, UNIT) is not X and hole("f", (X,)) is hole("f", (X,))


def test_what_nobody_holds_is_forgotten() -> None:
    gc.collect()
    before = len(ir._nodes)
    held = apply("exp", const(12345.678))
    assert len(ir._nodes) == before + 2
    del held
    gc.collect()
    assert len(ir._nodes) == before


def test_threads_that_make_the_same_node_get_the_same() -> None:
    """While others of them go, which makes room in the table."""
    start = Barrier(8)

    def made(n: int) -> list[Expr]:
        start.wait()
        found: list[Expr] = []
        for k in range(2000):
            apply("exp", const(k + 0.25))  # goes at once
            found.append(apply("exp", apply("neg", const(k + 0.5))))
        return found

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as threads:
            every = list(threads.map(made, range(8)))
    finally:
        sys.setswitchinterval(interval)
    assert all(len(set(same)) == 1 for same in zip(*every))


def test_a_deep_expression_is_released_without_recursion() -> None:
    deep: Expr = X
    for _ in range(50_000):
        deep = apply("neg", deep)
    assert size(deep) == 50_001
    del deep
    gc.collect()


@settings(max_examples=settings().max_examples // 2)
@given(expressions([X, Y, Z], REAL, max_depth=6))
def test_walk_visits_each_node_once_and_arguments_first(expr: Expr) -> None:
    seen: set[Expr] = set()
    for node in walk([expr, expr]):
        assert node not in seen and set(node.args) <= seen
        seen.add(node)
    assert expr in seen


@settings(max_examples=settings().max_examples // 2)
@given(expressions([X, Y, Z], REAL, max_depth=5))
def test_substitution_by_itself_and_there_and_back(expr: Expr) -> None:
    other = var("other", REAL)
    assert substitute([expr], {X: X}) == (expr,)
    there = substitute([expr], {X: other})
    assert X not in variables(there)
    assert substitute(there, {other: X}) == (expr,)


@settings(max_examples=settings().max_examples // 2)
@given(expressions([X, Y, Z], REAL, max_depth=4))
def test_size_counts_the_tree(expr: Expr) -> None:
    def count(node: Expr) -> int:
        return 1 + sum(count(a) for a in node.args)

    assert size(expr) == count(expr)


def test_replacing_a_row_by_a_number_uses_what_is_unvaried() -> None:
    two = const(2.0)
    texts = {
        "sum": "C * 2",
        "mean": "2",
        "max": "2",
        "logsumexp": "2 + log(C)",
        "softmax": "1 / C",
        "log_softmax": "-log(C)",
    }
    for name, text in texts.items():
        assert show(substitute([apply(name, Z)], {Z: two})[0]) == text


def test_total_counts_what_does_not_vary_once_per_class() -> None:
    assert total(Z) is apply("sum", Z) and total(X) is apply("mul", CLASSES, X)


def test_questions_about_expressions() -> None:
    f = hole("f", (X, Z))
    expr = apply("add", apply("sum", f), Y)
    assert variables([expr]) == [X, Z, Y] and holes([expr]) == [f]
    assert f.type is REAL_ROW
    assert "Apply add" in repr(expr) and "Var x" in repr(X)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(GloError, match="takes 1 argument"):
        apply("exp", X, Y)
    with pytest.raises(KeyError):
        apply("no such operator", X)


def test_intervals() -> None:
    assert Interval(0, 1).within(ANY) and not ANY.within(UNIT)
    assert UNIT.bounded and not ANY.bounded and UNIT.contains(1.0) and not UNIT.contains(1.1)
    assert str(Interval(0.5, 2)) == "[0.5, 2]"

"""Expressions as tables: back again they are the same, whatever they hold and however deep they are."""

from __future__ import annotations

import copy
import math
import pickle
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glo_dsl.errors import GloError
from glo_dsl.ir.expr import Expr, Var, apply, const, hole, truth, var
from glo_dsl.ir.flat import flattened, restored
from glo_dsl.ir.types import REAL, REAL_ROW, Interval
from glo_dsl.verify.strategies import losses

X = var("x", REAL)


@given(losses())
def test_an_expression_comes_back_as_itself(loss: object) -> None:
    expr: Expr = loss.expr  # type: ignore[attr-defined]
    assert pickle.loads(pickle.dumps(expr)) is expr
    assert copy.deepcopy(expr) is expr


def test_where_it_is_not_there_it_is_made() -> None:
    def make() -> Expr:
        row = var("only_here", REAL_ROW, Interval(0.0, 2.5, open_lo=True), simplex=True)
        return apply("select", truth(True), apply("sum", hole("h", (row, X))), const(0.1))

    expr = make()
    rows, digest, text = flattened(expr), expr.digest, pickle.dumps(expr)
    del expr
    found, again = restored(rows), pickle.loads(text)
    assert found is again is make() and found.digest == digest
    (row,) = (node for node in found.args[1].args[0].args if isinstance(node, Var) and node.name == "only_here")
    assert row.domain == Interval(0.0, 2.5, open_lo=True) and row.domain.open_lo and row.simplex


@given(st.floats(allow_nan=False))
def test_constants_keep_every_bit(value: float) -> None:
    rows = pickle.loads(pickle.dumps(flattened(const(value))))  # the constant itself is gone
    found = restored(rows)
    assert struct.pack("d", found.value) == struct.pack("d", value)  # type: ignore[attr-defined]


def test_a_nan_is_a_nan() -> None:
    assert math.isnan(pickle.loads(pickle.dumps(const(math.nan))).value)


def test_nothing_recurses() -> None:
    expr: Expr = X
    for _ in range(20_000):
        expr = apply("exp", expr)
    assert pickle.loads(pickle.dumps(expr)) is expr


def test_what_is_shared_is_one_row() -> None:
    expr: Expr = X
    for _ in range(60):
        expr = apply("add", expr, expr)
    assert len(flattened(expr)) == 61


@pytest.mark.parametrize("row", [("apply", "operator_of_tomorrow", 0), ("matrix", "m")])
def test_what_this_version_does_not_know_is_said(row: tuple[object, ...]) -> None:
    with pytest.raises(GloError, match=f"no {row[0]} {row[1]} in this version"):
        restored((*flattened(X), row))

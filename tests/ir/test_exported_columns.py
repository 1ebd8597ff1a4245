"""The columns of the operator table that exports are spelled by: their values are those of the NumPy column."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from glo_codegen.terms import fill
from glo_dsl.ir.evaluate import Array, evaluate
from glo_dsl.ir.expr import Apply, Var
from glo_dsl.ir.ops import Op
from glo_dsl.ir.table import OPS
from tests.ir.test_operators import FEW, ROWS, C, applications

LETTERS = ("in_a", "in_b", "in_c")


def arguments(node: Apply, values: dict[Var, Array]) -> list[Array]:
    return [values[a] for a in node.args if isinstance(a, Var)]


def arrays_column(op: Op, args: list[Array]) -> Array:
    """The spelling for arrays, with NumPy."""
    if op.shape == "gather":  # what is taken from is a row of each sample
        args = [np.broadcast_to(args[0], (ROWS, C)), args[1]]
    jax = SimpleNamespace(lax=SimpleNamespace(stop_gradient=lambda a: a))
    names = dict(zip(LETTERS, args), np=np, special=special, jax=jax)
    with np.errstate(all="ignore"):
        return np.asarray(eval(fill(op.arrays, LETTERS, {"np": "np"}), names))


def sympy_column(op: Op, args: list[Array]) -> list[float]:
    """The spelling for SymPy over the first sample: one number, or one for each class."""
    rows = [[_number(value) for value in arg[0]] for arg in args]
    text, scope = fill(op.sympy, LETTERS, {}), {"sympy": sympy, "stop": lambda a: a}
    if op.shape != "elementwise":
        found = eval(text, scope | dict(zip(LETTERS, [rows[0], *(row[0] for row in rows[1:])])))
        return [float(value) for value in (found if isinstance(found, list) else [found])]
    entries = [[row[i % len(row)] for row in rows] for i in range(max(map(len, rows)))]
    values = [eval(text, scope | dict(zip(LETTERS, entry))) for entry in entries]
    return [float(value == True) if op.kinds[-1] == "bool" else float(value) for value in values]  # noqa: E712


def _number(value: Any) -> Any:
    if isinstance(value, np.bool_):
        return sympy.true if value else sympy.false
    return int(value) if isinstance(value, np.integer) else sympy.Float(float(value), 30)


@pytest.mark.parametrize("op", [op for op in OPS.values() if op.arrays], ids=lambda op: op.name)
@FEW
@given(st.data(), st.booleans())
def test_numpy_and_arrays_columns_agree(op: Op, data: st.DataObject, grid: bool) -> None:
    node, values = data.draw(applications(op, grid))
    (mine,) = evaluate([node], values, C)
    np.testing.assert_allclose(*np.broadcast_arrays(mine, arrays_column(op, arguments(node, values))), 1e-12, 1e-14)


@pytest.mark.parametrize("op", [op for op in OPS.values() if op.sympy], ids=lambda op: op.name)
@settings(max_examples=2)
@given(st.data(), st.booleans())
def test_numpy_and_sympy_columns_agree(op: Op, data: st.DataObject, grid: bool) -> None:
    node, values = data.draw(applications(op, grid))
    (mine,) = evaluate([node], values, C)
    theirs = sympy_column(op, arguments(node, values))
    np.testing.assert_allclose(mine[0].astype(float), np.array(theirs), 1e-12, 1e-14)

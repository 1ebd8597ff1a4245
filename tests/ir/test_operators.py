"""One test per column of the operator table, over all rows: types, values, derivatives, kinks, definitions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glo_dsl.errors import GloError
from glo_dsl.ir.evaluate import Array, evaluate
from glo_dsl.ir.expr import Apply, Expr, Var, apply, rebuild, var
from glo_dsl.ir.ops import UNKNOWN, Op
from glo_dsl.ir.table import FUNCTIONS, OPS, function
from glo_dsl.ir.types import BOOL, BOOL_ROW, CLASS_INDEX, POSITION_TYPE, REAL, REAL_ROW, UNIFORM, make_type
from glo_dsl.lang.elaborate import parse_expression
from glo_dsl.lang.show import show
from glo_dsl.passes.diff import gradients
from glo_dsl.passes.templates import define, vjp_templates

ROWS, C = 3, 4
FEW = settings(max_examples=settings().max_examples // 12)  # a share of the profile: there are many cases
SHARED_ROW = make_type("real", frozenset({"class"}))
REALS = (REAL_ROW, REAL, SHARED_ROW, UNIFORM)
SHAPES = {REAL_ROW: (ROWS, C), REAL: (ROWS, 1), SHARED_ROW: (1, C), UNIFORM: (1, 1), CLASS_INDEX: (ROWS, 1),
          BOOL: (ROWS, 1), BOOL_ROW: (ROWS, C)}  # fmt: skip
ROWS_OF_TABLE = pytest.mark.parametrize("op", OPS.values(), ids=OPS)
SLOPED = [op for op in OPS.values() if any(op.vjp) and UNKNOWN not in op.vjp]
AUTOGRAD_RTOL = {"digamma": 2e-9}
"""Where autograd is less right than 1e-10: its derivative of digamma is a short series, wrong in the tenth digit."""
DIFFERENTIABLE = pytest.mark.parametrize("op", SLOPED, ids=lambda op: op.name)


@st.composite
def applications(draw: Any, op: Op, grid: bool) -> tuple[Apply, dict[Var, Array]]:
    """The operator over variables with any mix of axes, and values from the row's samples; on a grid there are ties."""
    if op.kinds[0] == "any":
        kind = "real" if op.shape == "gather" else draw(st.sampled_from(("real", "class", "bool")))
        kinds: tuple[str, ...] = (kind, "class") if op.shape == "gather" else (kind, kind)
    else:
        kinds = op.kinds[:-1]
    places = list(enumerate(kinds))
    types = [_type(draw, op, kind, place) for place, kind in places]
    args = [var("abc"[place], type) for (place, _), type in zip(places, types)]
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return apply(op, *args), {v: _values(v, op.draws()[place], rng, grid) for place, v in enumerate(args)}


def _type(draw: Any, op: Op, kind: str, place: int) -> Any:
    if kind == "class":
        return CLASS_INDEX
    if kind == "bool":
        return draw(st.sampled_from((BOOL, BOOL_ROW)))
    if place == 0 and op.shape in ("reduce", "row", "gather"):
        return draw(st.sampled_from((REAL_ROW, SHARED_ROW)))
    return draw(st.sampled_from(REALS))


def _values(v: Var, interval: tuple[float, float], rng: np.random.Generator, grid: bool) -> Array:
    shape = SHAPES[v.type]
    if v.type.kind == "class":
        return rng.integers(0, C, shape)
    if v.type.kind == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    lo, hi = interval
    return rng.integers(int(np.ceil(2 * lo)), int(2 * hi) + 1, shape) * 0.5 if grid else rng.uniform(lo, hi, shape)


def torch_column(op: Op, args: list[torch.Tensor]) -> torch.Tensor:
    """The row's torch spelling, evaluated the way the emitted module does."""
    if op.shape == "gather":  # a printed load of a shared row is expanded
        args = [args[0].expand(ROWS, C), args[1]]
    names = dict(zip(("in_a", "in_b", "in_c"), args), torch=torch, C=C, dtype=torch.float64)
    result: torch.Tensor = eval(op.torch.format("in_a", "in_b", "in_c"), names)
    return result


# What every row has to say.


@ROWS_OF_TABLE
def test_is_spelled_everywhere_or_defined(op: Op) -> None:
    assert op.torch and op.about
    assert bool(op.define) == (not op.triton) or op.shape == "gather"
    assert bool(op.triton) == bool(op.c)
    assert op.arrays or op.define, "exports to JAX and NumPy"
    assert op.sympy or op.define, "exports to SymPy"
    assert op.numpy is not None or op.define
    assert len(op.vjp) == op.arity and len(op.draws()) == op.arity
    assert op.smooth in ("smooth", "kink", "jump") and op.cost > 0


@ROWS_OF_TABLE
def test_derivatives_parse_and_belong_to_real_arguments_only(op: Op) -> None:
    for kind, text, template in zip(op.kinds[:-1], op.vjp, vjp_templates(op)):
        assert bool(text) == (kind in ("real", "any") and op.kinds[-1] not in ("bool",)), text
        assert (template is None) == (text in ("", "0", UNKNOWN))
    assert UNKNOWN not in op.vjp or op.weight == 0, "evolution needs the gradient of what it proposes"


@ROWS_OF_TABLE
def test_has_a_word_that_finds_it_again(op: Op) -> None:
    letters = dict.fromkeys("abc", REAL_ROW)
    letters |= {
        letter: {"bool": BOOL, "class": CLASS_INDEX}.get(kind, REAL_ROW) for letter, kind in zip("abc", op.kinds)
    }
    scope = {letter: var(letter, type) for letter, type in letters.items()}
    node = apply(op, *(scope[letter] for letter in "abc"[: op.arity]))
    assert parse_expression(show(node), scope) is node
    if op.call in FUNCTIONS:
        assert function(op.call, op.arity) is op


# Values.


@ROWS_OF_TABLE
@FEW
@given(st.data(), st.booleans())
def test_numpy_and_torch_columns_agree(op: Op, data: st.DataObject, grid: bool) -> None:
    node, values = data.draw(applications(op, grid))
    (mine,) = evaluate([node], values, C)
    theirs = torch_column(op, [torch.as_tensor(values[a]) for a in node.args if isinstance(a, Var)])
    mine, other = np.broadcast_to(mine, (ROWS, C)), np.broadcast_to(theirs.numpy(), (ROWS, C))
    np.testing.assert_allclose(mine, other, 1e-12, 1e-14)


@ROWS_OF_TABLE
@FEW
@given(st.data())
def test_a_declared_commutative_operator_commutes(op: Op, data: st.DataObject) -> None:
    node, values = data.draw(applications(op, False))
    if op.arity != 2 or not op.commutes:
        return
    one, other = evaluate([node, apply(op, *node.args[::-1])], values, C)
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("op", [op for op in OPS.values() if op.define and op.numpy], ids=lambda op: op.name)
@FEW
@given(st.data(), st.booleans())
def test_definition_equals_the_numpy_column(op: Op, data: st.DataObject, grid: bool) -> None:
    node, values = data.draw(applications(op, grid))
    defined, mine = evaluate([define(op, node.args), node], values, C)
    np.testing.assert_allclose(defined, mine, 1e-12, 1e-14)


@FEW
@given(st.integers(0, C - 1))
def test_onehot_is_one_at_its_class(t: int) -> None:
    index = var("t", CLASS_INDEX)
    (row,) = evaluate([define(OPS["onehot"], (index,))], {index: np.array([[t]])}, C)
    assert row.tolist() == [[float(c == t) for c in range(C)]]


@pytest.mark.parametrize("op", [op for op in OPS.values() if op.shape in ("reduce", "row")], ids=lambda op: op.name)
@given(st.floats(-3, 3))
def test_unvaried_is_the_value_over_equal_entries(op: Op, value: float) -> None:
    row, number = var("a", REAL_ROW), var("k", REAL)
    values = {row: np.full((1, C), value), number: np.full((1, 1), value)}
    varied, unvaried = evaluate([apply(op, row), rebuild(apply(op, row), (number,))], values, C)
    np.testing.assert_allclose(np.broadcast_to(unvaried, varied.shape), varied, 1e-12, 1e-14)


# Derivatives.


def weighted(node: Apply) -> tuple[Expr, Var]:
    """One number per sample with a different weight on every entry, so that no entry's derivative hides another's."""
    weight = var("weight", REAL_ROW if node.type.per_class else REAL)
    product = apply("mul", weight, node)
    return (apply("sum", product) if node.type.per_class else product), weight


def summed_to(gradient: Array, shape: tuple[int, ...]) -> Array:
    """The batch's gradient for a leaf of this shape out of one value per row."""
    full = np.broadcast_to(gradient, (ROWS, shape[1]))
    return full.sum(0, keepdims=True) if shape[0] == 1 else full


@DIFFERENTIABLE
@FEW
@given(st.data(), st.booleans())
def test_derivative_agrees_with_autograd_and_has_its_kinks(op: Op, data: st.DataObject, grid: bool) -> None:
    node, values = data.draw(applications(op, grid))
    value, weight = weighted(node)
    values[weight] = np.random.default_rng(0).uniform(0.5, 2, SHAPES[weight.type])
    wrt = [a for a in node.args if isinstance(a, Var) and a.type.kind == "real"]
    found = gradients(value, wrt)
    mine = evaluate([found[v] for v in wrt], values, C)
    leaves = {v: torch.as_tensor(values[v]) for v in node.args if isinstance(v, Var)}
    for v in wrt:
        leaves[v].requires_grad_()
    out = torch_column(op, [leaves[v] for v in node.args if isinstance(v, Var)])
    total = (out * torch.as_tensor(values[weight])).expand(ROWS, C if node.type.per_class else 1).sum()
    theirs = torch.autograd.grad(total, [leaves[v] for v in wrt], allow_unused=True) if total.requires_grad else ()
    rtol = AUTOGRAD_RTOL.get(op.name, 1e-10)
    for v, own, other in zip(wrt, mine, theirs or [None] * len(wrt)):
        expected = np.zeros(SHAPES[v.type]) if other is None else other.numpy()
        np.testing.assert_allclose(summed_to(own, SHAPES[v.type]), expected, rtol, 1e-12, err_msg=v.name)


@pytest.mark.parametrize(
    "op", [op for op in SLOPED if op.name != "stop"], ids=lambda op: op.name
)  # stop is the one operator whose derivative is not that of its value
@settings(max_examples=settings().max_examples // 25)
@given(st.data())
def test_derivative_agrees_with_central_differences(op: Op, data: st.DataObject) -> None:
    node, values = data.draw(applications(op, False))
    value, weight = weighted(node)
    values[weight] = np.random.default_rng(0).uniform(0.5, 2, SHAPES[weight.type])
    wrt = [a for a in node.args if isinstance(a, Var) and a.type.kind == "real"]
    found = gradients(value, wrt)

    def total() -> float:
        return float(np.broadcast_to(evaluate([value], values, C)[0], (ROWS, 1)).sum())

    for v in wrt:
        own = summed_to(evaluate([found[v]], values, C)[0], SHAPES[v.type])
        for place in np.ndindex(*SHAPES[v.type]):
            before, step = values[v][place], 1e-6
            values[v][place] = before + step
            above = total()
            values[v][place] = before - step
            below = total()
            values[v][place] = before
            assert own[place] == pytest.approx((above - below) / (2 * step), rel=2e-5, abs=2e-6), (v.name, place)


INF = float("inf")
CORNERS = {
    "pow": [(0.0, 0.0), (0.0, 0.5), (0.0, 1.0), (0.0, 2.0), (0.0, -1.0), (-2.0, 2.0), (-2.0, 0.0), (1.0, 0.0)],
    "xlogy": [(0.0, 0.0), (0.0, -1.0), (0.0, 2.0), (1.0, 0.0), (-1.0, 0.5)],
    "abs": [(0.0,), (-0.0,), (INF,)],
    "sqrt": [(0.0,), (INF,)],
    "relu": [(0.0,), (-0.0,), (INF,), (-INF,)],
    "sign": [(0.0,)],
    "softplus": [(1e4,), (-1e4,), (INF,), (-INF,)],
    "log_sigmoid": [(1e4,), (-1e4,), (INF,)],
    "sigmoid": [(1e4,), (-1e4,), (INF,), (-INF,)],
    "tanh": [(1e4,), (-INF,)],
    "atan": [(0.0,), (1e4,), (INF,), (-INF,)],
    "lgamma": [(0.0,), (1e-30,), (1.0,), (1e30,), (INF,)],
    "maximum": [(0.0, 0.0), (-0.0, 0.0), (INF, INF), (1.0, 2.0)],
    "minimum": [(0.0, 0.0), (INF, 1.0), (-INF, -INF)],
    "clamp": [(1.0, 1.0, 1.0), (2.0, 3.0, 1.0), (1.0, 1.0, 2.0), (2.0, 1.0, 2.0), (0.0, 3.0, 1.0), (4.0, 3.0, 1.0)],
    "div": [(0.0, 1.0), (1.0, 0.0), (1.0, INF)],
}


@pytest.mark.parametrize(("name", "point"), [(name, point) for name, points in CORNERS.items() for point in points])
def test_derivative_at_a_corner_is_pytorchs(name: str, point: tuple[float, ...]) -> None:
    args = [var(letter, REAL) for letter in "abc"[: len(point)]]
    found = gradients(apply(name, *args), args)
    values: dict[Var, Array] = {v: np.full((1, 1), x) for v, x in zip(args, point)}
    leaves = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in point]
    theirs = torch.autograd.grad(torch_column(OPS[name], leaves), leaves)
    for v, other in zip(args, theirs):
        np.testing.assert_allclose(evaluate([found[v]], values, 1)[0].item(), other.item(), 1e-12, err_msg=v.name)


@pytest.mark.parametrize("name", ["max", "min"])
def test_a_tie_over_classes_shares_the_gradient(name: str) -> None:
    z = var("z", REAL_ROW)
    (gradient,) = evaluate([gradients(apply(name, z), [z])[z]], {z: np.array([[2.0, 5.0, 5.0], [2.0, 2.0, 3.0]])}, 3)
    expected = {"max": [[0, 0.5, 0.5], [0, 0, 1]], "min": [[1, 0, 0], [0.5, 0.5, 0]]}[name]
    assert gradient.tolist() == expected


# Types.


@ROWS_OF_TABLE
@FEW
@given(st.data())
def test_result_varies_over_what_the_value_varies_over(op: Op, data: st.DataObject) -> None:
    node, values = data.draw(applications(op, False))
    (value,) = evaluate([node], values, C)
    assert value.shape == (ROWS if node.type.per_sample else 1, C if node.type.per_class else 1)
    kind = {"f": "real", "b": "bool", "i": "class"}[value.dtype.kind]
    assert node.type.kind == kind


@pytest.mark.parametrize(
    ("name", "args", "message"),
    [
        ("add", (REAL,), r"\+ takes 2 arguments, got 1"),
        ("log", (BOOL,), "the argument of log must be a real number, got bool"),
        ("log", (CLASS_INDEX,), "the argument of log must be a real number, got class"),
        ("sum", (REAL,), "the argument of sum must have a class axis, got real"),
        ("softmax", (UNIFORM,), "the argument of softmax must have a class axis"),
        ("and", (REAL, BOOL), "operand 1 of and must be a condition"),
        ("select", (BOOL, REAL, BOOL), "argument 3 of if must be a real number"),
        ("gather", (REAL_ROW, REAL), "the index in . . must be a class index, got real"),
        ("gather", (REAL, CLASS_INDEX), "must have a class axis"),
        ("gather", (REAL_ROW, POSITION_TYPE), "the index must be one class per sample"),
        ("onehot", (REAL,), "must be a class index"),
        ("eq", (REAL, BOOL), "cannot compare real with bool"),
    ],
)
def test_what_does_not_fit_is_refused(name: str, args: tuple[Any, ...], message: str) -> None:
    with pytest.raises(GloError, match=message):
        OPS[name].result(args)

"""Every row's C spelling against its NumPy column, in both precisions and at the edges of the number range."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import pytest
import torch
from scipy import special

from glo_dsl.ir.evaluate import Array, evaluate
from glo_dsl.ir.expr import Expr, Var, apply
from glo_dsl.ir.ops import Op
from glo_dsl.ir.table import OPS
from glo_dsl.lang.definitions import losses_of
from glo_dsl.lang.loss import Loss
from glo_dsl.lang.show import show
from glo_dsl.passes.pipeline import compile_program
from glo_dsl.runtime.c_kernel import CKernel, build

GAMMA = ("lgamma", "digamma", "trigamma")
EXACT_TO_2 = (
    "exp", "expm1", "log", "log1p", "tanh", "sigmoid", "log_sigmoid", "softplus", "xlogy", "pow", "sin", "cos", "erf",
    "sqrt", "atan",
)  # fmt: skip

ULPS = {
    **dict.fromkeys(EXACT_TO_2, 2), **dict.fromkeys(GAMMA, 3),
    "softmax": 30, "log_softmax": 30, "logsumexp": 8, "mean": 4, "sum": 4,
}  # fmt: skip
"""Units in the last place allowed; 0 where the operation is exact. Below the normal range only the distance counts."""

FLOORS = {"lgamma": 1.0, "digamma": 1.0, "log_softmax": 1.0}
"""What a smaller value counts as: near a zero of the function, or as a difference of logits, only distance counts."""

DECLARED = {"real": "real", "bool": "bool", "class": "class[C]"}


def loss_of(op: Op) -> Loss:
    """The smallest loss that shows the value of the operator."""
    rows = op.shape != "elementwise"
    kinds = [kind if kind != "any" else "real" for kind in op.kinds[:-1]]
    if op.shape == "gather":
        kinds[1] = "class"
    types = [DECLARED[kind] + "[C]" * (rows and kind == "real") for kind in kinds]
    inputs = [f"{letter}: {type}" for letter, type in zip("abc", types)]
    if op.shape == "onehot":
        inputs.insert(0, "z: real[C]")
    if op.shape in ("row", "onehot"):
        inputs.append("t: class[C]")
    head = f"loss {op.name}_({', '.join(inputs)}) = "
    named = {v.name: v for v in losses_of(head + "0")[f"{op.name}_"].inputs}
    body: Expr = apply(op, *(named[letter] for letter in "abc"[: op.arity]))
    if op.shape in ("row", "onehot"):
        body = apply("gather", body, named["t"])
    if body.type.kind == "bool":
        body = apply("select", body, *losses_of("loss l(x: real) = if x > 0 then 1 else 0")["l"].expr.args[1:])
    return losses_of(head + show(body))[f"{op.name}_"]


LOSSES = {name: loss_of(op) for name, op in OPS.items()}


@cache
def kernels(double: bool) -> dict[str, CKernel]:
    return dict(zip(LOSSES, build([compile_program(loss, []) for loss in LOSSES.values()], double)))


def edges(dtype: type[np.floating]) -> Array:
    """Where elementary functions go wrong: zeros, limits, the range of exp and its surroundings."""
    info = np.finfo(dtype)
    limit, low = np.log(float(info.max)), np.log(float(info.tiny))
    ordinary = [0.0, 1.0, 2.0, 0.5, 3.0, 1e-8, 1e-3, 0.3, 0.7, 10.0, 20.0, 40.0, 100.0, 1e4]
    extreme = [float(x) for x in (info.tiny, info.max, 9 * info.smallest_subnormal, np.inf)]
    positive = [*ordinary, *extreme, limit - 0.01, limit + 0.01, -low - 0.01, -low + 0.01]
    return np.array([*positive, *(-x for x in positive), np.nan]).astype(dtype)


def compare(got: Array, want: Array, ulps: int, dtype: type[np.floating], floor: float = 0.0) -> None:
    """`want` is in float64, and in the last place NumPy's; a value that overflows `dtype` is infinite; what is smaller
    than `floor` counts as it."""
    info = np.finfo(dtype)
    largest = float(info.max)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        rounded = want.astype(dtype).astype(np.float64)
        size = np.clip(np.abs(rounded), max(floor, float(info.tiny)), largest / 2)
        step = np.spacing(size.astype(dtype)).astype(np.float64)
        near = np.abs(got - want) <= (ulps + (dtype is np.float64)) * step + ulps * float(info.tiny)
        limit = (np.abs(want) >= largest * (1 - 1e-6)) & (np.abs(got) >= largest * (1 - 1e-6))
        same = near | limit | (got == rounded) | (np.isnan(got) & np.isnan(want))
    wrong = np.flatnonzero(~same)
    assert not len(wrong), [(int(i), float(got[i]), float(rounded[i])) for i in wrong[:5]]


def run(name: str, arrays: Sequence[Array], double: bool) -> Array:
    tensors = [torch.from_numpy(np.ascontiguousarray(a)) for a in arrays]
    value, gradients = kernels(double)[name].run(tensors, (), "none", -100)
    assert not gradients
    return value.double().numpy()


def expected(name: str, arrays: Sequence[Array], classes: int) -> Array:
    loss = LOSSES[name]
    wide = [a.astype(np.float64) if a.dtype.kind == "f" else a for a in arrays]
    values: dict[Var, Array] = {v: a if a.ndim == 2 else a[:, None] for v, a in zip(loss.inputs, wide)}
    rows = len(arrays[0])
    return np.broadcast_to(evaluate([loss.expr], values, classes)[0], (rows, 1))[:, 0].astype(np.float64)


PRECISIONS = pytest.mark.parametrize("double", [False, True], ids=["float32", "float64"])


@PRECISIONS
@pytest.mark.parametrize("name", [op.name for op in OPS.values() if op.elementwise and op.kinds[0] != "bool"])
def test_elementwise_value_is_numpys(name: str, double: bool) -> None:
    op, dtype = OPS[name], np.float64 if double else np.float32
    rng = np.random.default_rng(0)
    drawn = [np.column_stack([rng.uniform(lo, hi, 500) for lo, hi in op.draws()])]
    special = edges(dtype) if op.arity < 3 else edges(dtype)[[0, 1, 2, 14, 15, 17, 23, 39, -1]]
    corners = np.array(list(itertools.product(special, repeat=op.arity)))
    if name in ("sin", "cos"):
        corners = corners[~(np.abs(corners) > 1e4).any(axis=1)]  # the quality of far reductions is the C library's
    columns = list(np.concatenate([*drawn, corners]).astype(dtype).T)
    floor = FLOORS.get(name, 0.0)
    compare(run(name, columns, double), expected(name, columns, 1), ULPS.get(name, 0), dtype, floor)


@PRECISIONS
@pytest.mark.parametrize(
    ("name", "truth"),
    [("lgamma", special.gammaln), ("digamma", special.digamma), ("trigamma", lambda a: special.polygamma(1, a))],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_gamma_family_from_1e_30_to_1e30(name: str, truth: Callable[[Array], Array], double: bool) -> None:
    dtype = np.float64 if double else np.float32
    halves = np.arange(0.5, 12.0, 0.5)
    around = [halves, np.nextafter(halves, 0), 1.4616321449683622 + np.linspace(-1e-3, 1e-3, 100)]
    points = np.concatenate([np.logspace(-30, 30, 6001), np.linspace(0.01, 12, 6000), *around]).astype(dtype)
    ulps = 9 if double else 3  # SciPy's trigamma is itself off by 8
    compare(run(name, [points], double), truth(points.astype(np.float64)), ulps, dtype, 1.0)


@PRECISIONS
@pytest.mark.parametrize("name", [op.name for op in OPS.values() if op.elementwise and op.kinds[0] == "bool"])
def test_value_of_conditions_is_numpys(name: str, double: bool) -> None:
    op, dtype = OPS[name], np.float64 if double else np.float32
    choices = [np.array([False, True]) if k == "bool" else edges(dtype)[::5] for k in op.kinds[:-1]]
    grid = np.meshgrid(*choices, indexing="ij")
    columns = [axis.ravel() for axis in grid]
    compare(run(name, columns, double), expected(name, columns, 1), 0, dtype)


@PRECISIONS
@pytest.mark.parametrize("classes", [1, 3, 40])
@pytest.mark.parametrize("name", [op.name for op in OPS.values() if not op.elementwise])
def test_value_over_classes_is_numpys(name: str, classes: int, double: bool) -> None:
    dtype = np.float64 if double else np.float32
    rng = np.random.default_rng(classes)
    rows = np.concatenate([rng.uniform(-3, 3, (6, classes)), rng.uniform(0, 60, (2, classes)), np.ones((2, classes))])
    rows[0, 0], rows[1, -1] = (3.5, -7.0)
    if name not in ("sum", "mean"):
        rows[2, 0] = -np.inf if classes > 1 else 0.0
    arrays: list[Array] = [rng.integers(0, classes, len(rows)) if v.type.kind == "class" else rows.astype(dtype)
                           for v in LOSSES[name].inputs]  # fmt: skip
    if name in ("sum", "mean"):  # no cancellation: the error is that of the terms
        arrays = [np.abs(a) for a in arrays]
    floor = FLOORS.get(name, 0.0)
    compare(run(name, arrays, double), expected(name, arrays, classes), ULPS.get(name, 0), dtype, floor)


@PRECISIONS
@pytest.mark.parametrize("name", ["max", "min", "sum", "mean", "logsumexp", "softmax", "log_softmax"])
def test_a_nan_stays_in_its_row(name: str, double: bool) -> None:
    dtype = np.float64 if double else np.float32
    rows = np.zeros((3, 5), dtype)
    rows[1, 2] = np.nan
    arrays: list[Array] = [np.zeros(3, np.int64) if v.type.kind == "class" else rows for v in LOSSES[name].inputs]
    assert np.isnan(run(name, arrays, double)).tolist() == [False, True, False]

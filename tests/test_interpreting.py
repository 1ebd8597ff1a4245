"""The interpreter that tests stand on gives what Triton's own gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import triton
import triton.language as tl
from triton.language import core
from triton.runtime import interpreter

from tests import interpreting

pytestmark = pytest.mark.skipif(not interpreting.KNOWN, reason="Triton is left as it is")

OWN = {name: original for name, (_, original) in interpreting.REPLACED.items()}


@triton.jit
def _largest(a, b):
    return tl.maximum(a, b, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def _first(a, m, b, n):
    """The larger number and its mark; of equal ones the first."""
    return tl.where(b > a, b, a), tl.where(b > a, n, m)


@triton.jit
def _kernel(x_ptr, out_ptr, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    rows, columns = tl.arange(0, ROWS), tl.arange(0, COLUMNS)
    x = tl.load(x_ptr + rows[:, None] * COLUMNS + columns[None, :])
    tl.store(out_ptr + rows, tl.reduce(x, 1, _largest))
    tl.store(out_ptr + ROWS + rows[:, None], tl.reduce(x, 1, _largest, keep_dims=True))
    tl.store(out_ptr + 2 * ROWS + columns, tl.reduce(x, 0, _largest))
    marks = tl.broadcast_to(columns[None, :], (ROWS, COLUMNS))
    value, place = tl.reduce((x, marks), 1, _first)
    tl.store(out_ptr + 2 * ROWS + COLUMNS + rows, value)
    tl.store(out_ptr + 3 * ROWS + COLUMNS + rows, place.to(tl.float32))
    row = tl.load(x_ptr + columns)
    tl.store(out_ptr + 4 * ROWS + COLUMNS, tl.reduce(row, 0, _largest))


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (4, 1), (1, 8), (4, 32)])
def test_reductions_are_those_of_triton(monkeypatch: pytest.MonkeyPatch, rows: int, columns: int) -> None:
    x = torch.randn(rows, columns, generator=torch.Generator().manual_seed(rows)).round(decimals=0)
    x[0, -1], x[-1, 0] = float("inf"), float("nan")
    found = []
    for reduce in (interpreting.by_halves, OWN["generic_reduce"]):
        monkeypatch.setattr(interpreter.ReduceOps, "generic_reduce", reduce)
        out = torch.full((4 * rows + columns + 1,), -7.0)
        with np.errstate(all="ignore"):
            _kernel[(1,)](x, out, ROWS=rows, COLUMNS=columns)
        found.append(out)
    torch.testing.assert_close(*found, rtol=0, atol=0, equal_nan=True)
    assert found[0].isnan().any() and not (found[0] == -7).any()


TYPES = [tl.int1, tl.int32, tl.uint8, tl.float16, tl.bfloat16, tl.float32, tl.float64, tl.pointer_type(tl.float32)]


@pytest.mark.parametrize("element", TYPES, ids=str)
@pytest.mark.parametrize("shape", [[1], [4, 8], [2, 1, 16], core.tuple([core.constexpr(4)])], ids=str)
def test_types_and_tensors_are_those_of_triton(element: tl.dtype, shape: object) -> None:
    mine, theirs = object.__new__(core.block_type), object.__new__(core.block_type)
    interpreting.block_type(mine, element, shape)
    OWN["block_type"](theirs, element, shape)
    assert (mine.name, mine.numel, mine == theirs) == (theirs.name, theirs.numel, True)
    assert mine.shape.type == theirs.shape.type and mine.shape.values == theirs.shape.values
    assert interpreting.np_dtype(mine) == OWN["_get_np_dtype"](mine) == OWN["_get_np_dtype"](element)
    for type in (mine, element):
        ours, own = object.__new__(core.tensor), object.__new__(core.tensor)
        interpreting.tensor(ours, None, type)
        OWN["tensor"](own, None, type)
        assert vars(own).keys() == vars(ours).keys() and ours.type is own.type and ours.dtype == own.dtype
        assert str(ours.shape) == str(own.shape) and ours.shape.type == own.shape.type
        assert type is element or ours.numel.value == own.numel.value


@pytest.mark.parametrize("shape", [[], [3], [2.0], [2**21]])
def test_what_is_no_shape_is_refused_as_by_triton(shape: list[int]) -> None:
    errors = []
    for make in (interpreting.block_type, OWN["block_type"]):
        with pytest.raises((TypeError, ValueError)) as caught:
            make(object.__new__(core.block_type), tl.float32, shape)
        errors.append((caught.type, str(caught.value)))
    assert errors[0] == errors[1]

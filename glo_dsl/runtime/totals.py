"""Totals on a device: losses of rows to one number, rows that count to what their losses are multiplied by.

One kernel adds up in a fixed order, whatever the device does at the same time, so that equal batches have equal losses.
This file is also copied, as it stands, into every module that `glo-compile` writes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor

from glo_dsl.runtime.start import start

Start = Callable[..., object]
"""What starts a kernel, as `start` does."""

CHUNK = 32768
"""Rows that one program adds up; sums of more are added up once more."""

FEW = {"BLOCK": 1024, "num_warps": 4}
MANY = {"BLOCK": 8192, "num_warps": 16}
"""How a program walks its rows, so many at a time."""


@cache
def _total_kernel() -> Any:
    import triton
    import triton.language as tl

    @triton.jit(do_not_specialize=["rows", "ignored"])  # type: ignore[untyped-decorator]
    def total_kernel(  # type: ignore[no-untyped-def]
        out_ptr, values_ptr, plane_stride, row_stride, rows, ignored, scale_ptr, scale_stride,
        CHUNK: tl.constexpr, COUNTS: tl.constexpr, INVERTS: tl.constexpr, BLOCK: tl.constexpr,
    ):  # fmt: skip
        parts = tl.maximum(tl.cdiv(rows, CHUNK), 1)
        plane = (tl.program_id(0) // parts).to(tl.int64)
        first = tl.program_id(0) % parts * CHUNK
        at = values_ptr + plane * plane_stride
        lanes = tl.zeros([BLOCK], tl.float32)
        for place in range(first, tl.minimum(first + CHUNK, rows), BLOCK):
            row = place + tl.arange(0, BLOCK)
            value = tl.load(at + row.to(tl.int64) * row_stride, mask=row < rows, other=0)
            if COUNTS:
                value = tl.where((row < rows) & (value.to(tl.int64) != ignored), 1.0, 0.0)
            lanes += value
        total = tl.sum(lanes, 0)
        if INVERTS:
            total = tl.div_rn(1.0, total)
        if scale_ptr is not None:
            total = total * tl.load(scale_ptr + plane * scale_stride)
        tl.store(out_ptr + tl.program_id(0), total)

    return total_kernel


def summed(values: Tensor, scale: Tensor | None = None, start: Start = start) -> Tensor:
    """The sum of float32 values [rows], or those of values [planes, rows], times a scale of one element or [planes]."""
    return _folded(values, scale, 0, False, False, start)


def one_over_counted(targets: Tensor, ignored: int) -> Tensor:
    """1 over the number of targets [rows], or those of a plane [planes, rows], that are not `ignored`; inf for none."""
    return _folded(targets, None, ignored, True, True, start)


def _folded(
    values: Tensor, scale: Tensor | None, ignored: int, counts: bool, inverts: bool, start: Start
) -> Tensor:  # fmt: skip
    outer, parts = values.shape[:-1], -(-values.shape[-1] // CHUNK)
    while parts > 1:
        partial = torch.empty((*outer, parts), dtype=torch.float32, device=values.device)
        _total(partial, values, None, ignored, counts, False, start)
        values, counts, parts = partial, False, -(-parts // CHUNK)
    out = torch.empty(outer, dtype=torch.float32, device=values.device)
    _total(out, values, scale, ignored, counts, inverts, start)
    return out


def _total(
    out: Tensor, values: Tensor, scale: Tensor | None, ignored: int, counts: bool, inverts: bool, start: Start
) -> None:  # fmt: skip
    """Fills `out` with totals, one for each of its elements."""
    programs, rows = out.numel(), values.shape[-1]
    if programs:
        plane_stride = values.stride(0) if values.dim() > 1 else 0
        scale_stride = 0 if scale is None or scale.numel() == 1 else scale.stride(0)
        start(
            _total_kernel(), programs,
            (out, values, plane_stride, values.stride(-1), rows, ignored, scale, scale_stride),
            {"CHUNK": CHUNK, "COUNTS": counts, "INVERTS": inverts, **(FEW if rows <= FEW["BLOCK"] else MANY)},
        )  # fmt: skip

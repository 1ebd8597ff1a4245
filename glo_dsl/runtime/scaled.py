"""A gradient that was computed with its loss, times what comes from above, rounded: in as few passes as can be."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor

from glo_dsl.runtime.upstream import BLOCK, on_device, scaled_in_place


def times(gradient: Tensor, factor: Tensor, dtype: torch.dtype, kept: bool) -> Tensor:
    """The gradient times a scalar, in its own memory unless that is `kept`.

    Where a pass can round along the way the result has `dtype`; otherwise it has that of the gradient.
    """
    if on_device(gradient) and gradient.dtype == torch.float32 and dtype in (torch.bfloat16, torch.float16):
        return rounded(gradient, factor, dtype)
    if kept:
        return gradient * factor
    if on_device(gradient) and gradient.dtype != torch.float64:
        return scaled_in_place(gradient, factor)
    if factor.is_cpu and factor.item() == 1.0:
        return gradient
    return gradient.mul_(factor)


@cache
def _kernel() -> Any:
    import triton
    import triton.language as tl

    @triton.jit  # type: ignore[untyped-decorator]
    def rounding_kernel(values_ptr, factor_ptr, out_ptr, count, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
        factor = tl.load(factor_ptr).to(tl.float32)
        place = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
        values = tl.load(values_ptr + place, mask=place < count, other=0)
        tl.store(out_ptr + place, (values * factor).to(out_ptr.dtype.element_ty), mask=place < count)

    return rounding_kernel


def rounded(values: Tensor, factor: Tensor, dtype: torch.dtype) -> Tensor:
    """Contiguous float32 numbers times a scalar, rounded once: what is large is read once and written once.

    Args:
        factor: one element, on the same device.
    """
    out = torch.empty(values.shape, dtype=dtype, device=values.device)
    count = values.numel()
    if count:
        with torch.cuda.device_of(values):  # type: ignore[no-untyped-call]
            _kernel()[(-(-count // BLOCK),)](values, factor.contiguous(), out, count, BLOCK=BLOCK, num_warps=8)
    return out

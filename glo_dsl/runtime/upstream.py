"""The upstream gradient of a reduced loss, on a device: almost always 1, which only the device knows.

This file is also copied, as it stands, into every module that `glo-compile` writes.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from torch import Tensor

from glo_dsl.runtime.start import start

BLOCK = 4096
"""Numbers that a program of the kernel scales."""


@cache
def _kernel() -> Any:
    import triton
    import triton.language as tl

    @triton.jit  # type: ignore[untyped-decorator]
    def scale_kernel(values_ptr, factor_ptr, count, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
        factor = tl.load(factor_ptr).to(tl.float32)
        if factor != 1.0:
            place = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
            values = tl.load(values_ptr + place, mask=place < count, other=0).to(tl.float32)
            tl.store(values_ptr + place, (values * factor).to(values_ptr.dtype.element_ty), mask=place < count)

    return scale_kernel


def on_device(gradient: Tensor) -> bool:
    """Whether a factor would have to be waited for."""
    return gradient.is_cuda


def scaled_in_place(gradient: Tensor, factor: Tensor) -> Tensor:
    """A gradient times a scalar, rounded once, in its own memory, which nobody else may need.

    The kernel leaves at once where the factor is 1: no pass over the gradient, and no wait to find out.

    Args:
        gradient: contiguous, or that with its last two axes exchanged.
        factor: one element, on the same device.
    """
    dense = gradient if gradient.is_contiguous() else gradient.transpose(-1, -2)
    count = gradient.numel()
    if count:
        start(_kernel(), -(-count // BLOCK), (dense, factor, count), {"BLOCK": BLOCK, "num_warps": 8})
    return gradient

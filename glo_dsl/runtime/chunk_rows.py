"""How many rows of logits exist at a time where a linear layer runs into a loss, and what the gradient of its weight is
added up in: both are a matter of memory."""

from __future__ import annotations

import torch
from torch import Tensor

SHARE = 8
"""What is taken beyond the gradients, and beyond float32 sums for the gradient of a narrower weight, is at most this
part of all logits."""

ENOUGH_ON_CPU, ENOUGH_ELSEWHERE = 192, 2048
"""Rows below which a matrix product mostly waits for memory: every chunk reads the weight, and reads and writes its
gradient."""

LITTLE = 2**14
"""Numbers of logits that are worth no second chunk: its calls would take longer than all that is computed."""

TILE = 128
"""A matrix product on a GPU takes as long for a part of so many rows as for all of them."""


def rows_at_a_time(states: Tensor, weight: Tensor, dtype: torch.dtype, tensors: int, learns: bool) -> int:
    """How many rows of logits exist at a time, so that memory is kept to `SHARE` and matrix products are fast.

    The gradient of a weight that is narrower than float32 is added up in float32, and rounded when the last chunk is
    done: until then logits may lie where it will. One chunk of all rows needs no sums: where all logits take no more
    memory than sums and share, there is that one, and the gradient is one product.

    Args:
        states: hidden states [rows, H].
        weight: [C, H]; `learns`: whether it has a gradient.
        dtype: of the logits.
        tensors: of the size of a chunk's logits that exist together, themselves included.
    """
    (rows, width), classes = states.shape, weight.shape[0]
    on_cpu = states.device.type == "cpu"
    if on_cpu and dtype.itemsize < torch.float32.itemsize:
        tensors *= 3  # the kernel computes in float32, on copies
    row, share = tensors * dtype.itemsize, rows * dtype.itemsize // SHARE  # bytes for each class, as all that follows
    sums = learns and weight.dtype.itemsize < torch.float32.itemsize
    at_once = width * torch.float32.itemsize + share if sums else 0
    if one_product(weight, dtype) and rows * row <= at_once:
        return max(rows, 1)
    free = width * weight.dtype.itemsize if sums else 0
    like_hidden = states.numel() // max(classes, 1)
    enough = ENOUGH_ON_CPU if on_cpu else max(ENOUGH_ELSEWHERE, free // row)
    little = LITTLE // max(classes * tensors, 1)
    found = max(1, little, min(max(like_hidden, enough), (share + free) // row))
    return found if on_cpu or found < TILE else found - found % TILE


def one_product(weight: Tensor, dtype: torch.dtype) -> bool:
    """Whether the gradient of the weight, if all rows are one chunk, is one product rounded once, with no sum between.

    Not in float16, whose exponents are too few for a sum over rows before it is divided by their number; and not on the
    CPU, which multiplies float32 several times faster than anything narrower.
    """
    return weight.device.type != "cpu" and weight.dtype == dtype == torch.bfloat16

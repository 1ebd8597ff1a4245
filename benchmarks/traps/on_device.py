"""A loss on another device than its inputs: traps are laid on the CPU, where their judge is."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from traps.cases import Loss


def moved(tensor: Tensor, device: torch.device | str) -> Tensor:
    """A copy there that lies in its memory as it lay here, gaps, overlaps and offset included; differentiable."""
    found: Tensor = _Moved.apply(tensor, torch.device(device))  # type: ignore[no-untyped-call]
    return found


class _Moved(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor, device: torch.device) -> Tensor:
        ctx.device = tensor.device
        if tensor.numel() == 0:
            return tensor.to(device)
        everything = torch.empty(0, dtype=tensor.dtype, device=tensor.device).set_(tensor.untyped_storage())
        there = everything.to(device, copy=True)
        return there.as_strided(tensor.shape, tensor.stride(), tensor.storage_offset())

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None]:
        return moved(upstream, ctx.device), None


def on_device(loss: Loss, device: torch.device | str) -> Loss:
    """The loss computed there, of inputs from here, its value back here."""

    def elsewhere(*inputs: Tensor, **options: Any) -> Tensor:
        there = [moved(t, device) for t in inputs]
        value = loss(*there, **options)
        for mine, other in zip(inputs, there):  # whoever writes over its inputs shall be seen to
            if mine.numel():
                mine.untyped_storage().copy_(other.untyped_storage())
        return moved(value, inputs[0].device)

    return elsewhere

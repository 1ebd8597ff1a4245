"""Inputs in many layouts and of many kinds, and how to tell a wrong loss or gradient from a rounded one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from traps.losses import Subject

Loss = Callable[..., Tensor]
LAYOUTS = ("contiguous", "transposed", "stepped", "expanded", "shifted", "image", "class axis last")
VALUES = ("normal", "large", "confident", "long tail", "ties", "masked")


def inputs_of(
    subject: Subject, rows: int, classes: int, dtype: torch.dtype = torch.float32, values: str = "normal", seed: int = 0
) -> list[Tensor]:
    """Inputs of a loss, contiguous, logits (N, C)."""
    g = torch.Generator().manual_seed(seed)
    if subject.kind == "element":
        return [(torch.randn(rows, generator=g) * (30 if values == "large" else 1)).to(dtype) for _ in range(2)]
    z = _filled(values, rows, classes, g)
    t = torch.randint(0, classes, (rows,), generator=g)
    if values == "masked":
        t = torch.arange(rows) * 2 % classes
        z[:, 1::2] = -math.inf
    if subject.kind == "pair":
        other = _filled("normal" if values == "masked" else values, rows, classes, g)
        return [(z if values != "masked" else other.clone()).to(dtype), other.to(dtype)]
    return [z.to(dtype), t, *[(torch.rand(classes, generator=g) + 0.5).to(dtype)] * (subject.kind == "shared")]


def _filled(values: str, rows: int, classes: int, g: torch.Generator) -> Tensor:
    z = torch.randn(rows, classes, generator=g)
    if values == "large":
        return z * 30
    if values == "confident":
        z[torch.arange(rows), torch.randint(0, classes, (rows,), generator=g)] += 12
    if values == "long tail":
        return z.exp() ** 1.5
    return z * 0 + 0.25 if values == "ties" else z


def laid_out(subject: Subject, inputs: list[Tensor], layout: str) -> tuple[list[Tensor], dict[str, Any]]:
    """The inputs in another layout, and the options of a call that it needs."""
    if subject.kind == "element":
        if layout == "expanded":
            return [inputs[0][:1].expand(len(inputs[0])), inputs[1]], {}
        return [torch.stack([t, t], -1)[..., 0] for t in inputs], {}
    rows = [n for n, t in enumerate(inputs) if t.dim() == 2]
    out, options = list(inputs), {}
    for n in rows:
        t = inputs[n]
        if layout == "transposed":
            out[n] = t.T.contiguous().T
        elif layout == "stepped":
            out[n] = torch.stack([t, t + 1], -1).reshape(len(t), -1)[:, ::2]
        elif layout == "expanded":
            out[n] = t[:1].expand(t.shape)
        elif layout == "shifted":
            out[n] = torch.cat([t.new_zeros(1), t.reshape(-1)])[1:].reshape(t.shape)
        elif layout == "image":  # (N, C, d1, d2)
            out[n] = t.reshape(-1, 2, 1, t.shape[1]).movedim(-1, 1).contiguous()
        elif layout == "class axis last":
            out[n], options = t.reshape(-1, 2, t.shape[1]), {"dim": -1}
    for n, t in enumerate(inputs):
        if t.dim() == 1 and n == 1 and layout in ("image", "class axis last"):
            out[n] = t.reshape(-1, 2, 1) if layout == "image" else t.reshape(-1, 2)
    return out, options


def differing(subject: Subject, loss: Loss, inputs: list[Tensor], options: dict[str, Any], factor: float = -1.5) -> str:
    """What differs from PyTorch in float64, by more than rounding and by more than PyTorch does in the dtype."""
    want, wanted = _run(subject, inputs, options, factor, torch.float64)
    if not all(bool((t.abs() < 1e37).all()) for t in (want, *wanted)):
        return ""  # beyond what float32 can compute
    mine, found = _run(loss, inputs, options, factor)
    theirs, usual = _run(subject, inputs, options, factor)
    problems = [_wrong("the value", mine, want, theirs, torch.float32 if mine.dtype != torch.float64 else mine.dtype)]
    reals = [t for t in inputs if t.is_floating_point()]
    for n, (tensor, gradient, truth, other) in enumerate(zip(reals, found, wanted, usual)):
        if gradient.shape != tensor.shape or gradient.dtype != tensor.dtype:
            return f"gradient {n} is {gradient.dtype} {tuple(gradient.shape)}"
        problems.append(_wrong(f"gradient {n}", gradient, truth, other, gradient.dtype))
    return "; ".join(p for p in problems if p)


def _run(
    loss: Loss, inputs: list[Tensor], options: dict[str, Any], factor: float, dtype: torch.dtype | None = None
) -> tuple[Tensor, list[Tensor]]:
    """Value and gradients by the real inputs, with an upstream gradient that is not 1."""
    given = [t.detach().to(dtype or t.dtype).requires_grad_() if t.is_floating_point() else t for t in inputs]
    value = loss(*given, **options)
    above = torch.full_like(value, factor)
    if value.dim():
        above = above * torch.linspace(0.5, 1.5, value.numel(), dtype=value.dtype).reshape(value.shape)
    gradients = torch.autograd.grad(value, [t for t in given if t.is_floating_point()], above)
    return value.detach(), list(gradients)


def _wrong(what: str, mine: Tensor, want: Tensor, theirs: Tensor, dtype: torch.dtype) -> str:
    """Goals: 4e-6 of the largest in float32, one unit in the last place below that; or not twice as bad as PyTorch."""
    number = torch.finfo(dtype)
    largest = want.abs().max().clamp(min=0.05)  # probabilities near 1 are off by 1e-7, and so is 1 less them
    room = {torch.float64: 1e-10}.get(dtype, 4e-6) * largest
    if number.bits == 16:
        room = room + (want.abs() * number.eps).clamp(min=number.smallest_normal * number.eps)
    error, usual = (mine.double() - want).abs(), (theirs.double() - want).abs().nan_to_num(0.0).max()
    fits = want.abs() < number.max  # beyond, infinity is right
    if bool(((error <= torch.maximum(room, 2 * usual)) | ~fits).all()) and bool(mine[fits].isfinite().all()):
        return ""
    return (
        f"{what} is off by {float((error / largest).max()):.1e} of the largest, PyTorch by {float(usual / largest):.1e}"
    )


def close(mine: Tensor, want: Tensor, what: str) -> str:
    """What is wrong with a float32 tensor."""
    if mine.shape != want.shape:
        return f"{what} has shape {tuple(mine.shape)}"
    same = torch.allclose(mine.double(), want.double(), rtol=1e-5, atol=1e-6, equal_nan=True)
    return "" if same else f"{what} is {mine.flatten()[:4].tolist()}, not {want.flatten()[:4].tolist()}"

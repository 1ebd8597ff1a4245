"""What a call of a loss has to provide, and what a kernel is. Imports torch alone.

This file is also copied, as it stands, into every module that `glo-compile` writes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Number = float | Tensor
REDUCTIONS = ("mean", "sum", "none")


@dataclass(frozen=True)
class InputSpec:
    """An input: `kind` is real, bool or class; `rows` says whether it has the class axis, `shared` that it lacks the
    batch axes."""

    name: str
    kind: str
    rows: bool
    shared: bool = False


@dataclass(frozen=True)
class Spec:
    """What a call has to provide: inputs in order, parameters with their defaults; and the names among them that the
    divisor of the mean has a gradient for."""

    name: str
    inputs: tuple[InputSpec, ...]
    params: tuple[tuple[str, float], ...]
    divisor: tuple[str, ...] = ()

    @property
    def by_rows(self) -> bool:
        return any(i.rows for i in self.inputs)

    @property
    def differentiable(self) -> tuple[str, ...]:
        return tuple(i.name for i in self.inputs if i.kind == "real") + tuple(name for name, _ in self.params)


Run = Callable[
    [tuple[Tensor, ...], tuple[Number, ...], tuple[str, ...], str, int, Tensor | None], tuple[Tensor, dict[str, Tensor]]
]
"""A kernel: (inputs, params, wrt, reduction, ignore_index, divisor) -> (loss, gradients).

"mean" divides by the number of rows that count or, where there is one, by the divisor, a scalar.
Inputs are [rows, classes], [rows] or, shared, [classes], of any strides. The loss is a scalar, or [rows] for "none".
Gradients are those of the reduced loss: shaped like the input, [rows, classes] for a shared one and [rows] for a
parameter, whose contributions the caller adds up. They may be wider than the input: the caller rounds, once.
"""

PerRow = Callable[[tuple[Tensor, ...], Tensor, int], Tensor]
"""(inputs, params [K], ignore_index) -> what each row adds to the divisor of the mean [rows], differentiable."""

Launch = Callable[[tuple[Tensor, ...], Tensor, tuple[str, ...], Tensor, int], tuple[Tensor, dict[str, Tensor]]]
"""A generated `launch`: (inputs, params [K], wrt, scale [1], ignore_index) -> (loss [rows], gradients)."""


def reducing(spec: Spec, launch: Launch, dtype: torch.dtype | None = None) -> Run:
    """A kernel out of a generated `launch`, which knows rows only: counts, scales and sums around it, on the device.

    `dtype` is that of parameters and scale; None takes the widest of the inputs.
    """
    constants: dict[tuple[Any, ...], Tensor] = {}

    def constant(values: tuple[Number, ...], like: Tensor, kind: torch.dtype) -> Tensor:
        if any(isinstance(v, Tensor) for v in values):
            return torch.stack([torch.as_tensor(v, device=like.device).to(kind) for v in values])
        key = (values, like.device, kind)
        if key not in constants:
            if len(constants) > 64:
                constants.clear()
            constants[key] = torch.tensor(values, dtype=kind, device=like.device)
        return constants[key]

    def run(
        inputs: tuple[Tensor, ...], params: tuple[Number, ...], wrt: tuple[str, ...], reduction: str, ignore_index: int,
        divisor: Tensor | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:  # fmt: skip
        kind = dtype or widest(spec, inputs)
        scale = constant((1.0,), inputs[0], kind)
        if reduction == "mean":
            scale = scale / (counted(spec, inputs, ignore_index) if divisor is None else divisor.to(kind))
        loss, gradients = launch(inputs, constant(params, inputs[0], kind), wrt, scale, ignore_index)
        if reduction == "sum":
            loss = loss.sum()
        elif reduction == "mean":
            loss = loss.sum() * scale[0]
        return loss, gradients

    return run


def widest(spec: Spec, inputs: tuple[Tensor, ...]) -> torch.dtype:
    double = any(t.dtype == torch.float64 for i, t in zip(spec.inputs, inputs) if i.kind == "real")
    return torch.float64 if double else torch.float32


def counted(spec: Spec, inputs: tuple[Tensor, ...], ignore_index: int) -> Tensor | float:
    """How many rows count: a number, or a tensor on the device when rows may be ignored."""
    targets = [t for i, t in zip(spec.inputs, inputs) if i.kind == "class"]
    if not targets:
        rows = next(t.shape[0] for i, t in zip(spec.inputs, inputs) if not i.shared)
        return float(rows) if rows else math.nan
    valid = targets[0] != ignore_index
    for target in targets[1:]:
        valid = valid & (target != ignore_index)
    return valid.sum()

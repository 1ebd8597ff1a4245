"""What a call of a loss has to provide, and what a kernel is. Imports torch alone.

This file is also copied, as it stands, into every module that `glo-compile` writes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
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

    def batch(self, inputs: Sequence[Tensor]) -> tuple[int, ...]:
        """The axes of rows of inputs as a kernel takes them."""
        return next(tuple(t.shape[:-1] if i.rows else t.shape) for i, t in zip(self.inputs, inputs) if not i.shared)

    def classes(self, inputs: Sequence[Tensor]) -> int:
        """How many classes they have; 0 without a class axis."""
        return next((t.shape[-1] for i, t in zip(self.inputs, inputs) if i.rows), 0)


Step = Callable[
    [Sequence[Tensor], Sequence[Number], int, Tensor | None, Tensor | None], tuple[Tensor, tuple[Tensor, ...]]
]
"""A kernel, ready for a call: (inputs, params, ignore_index, weights, divisor) -> (loss, gradients).

Inputs are [rows, classes], [rows] or, shared, [classes], of any strides. In the place of the rows there may be two
axes, planes and rows of each: then a class axis has the larger stride. `weights` [rows], if any, multiply the loss and
the gradients of each row; one of weight 0 is left out. A mean divides by the divisor, a scalar, or without one by the
number of rows that count. The loss is a scalar, or [rows] for "none". Gradients are those of the reduced loss, by all
that the step was prepared for: shaped like the input, [rows, classes] for a shared one and [rows] for a parameter,
whose contributions the caller adds up. They may be wider than the input: the caller rounds, once.
"""


@dataclass(frozen=True)
class Kernel:
    """What computes a loss on a device.

    Attributes:
        prepare: (inputs, wrt, reduction, inplace) -> a step for gradients by `wrt`, for inputs of these shapes, strides
            and dtypes. It may leave the gradient of the input `inplace` in the memory of that input.
        rounds: gradients of inputs per sample have the input's dtype; otherwise that of the computation.
        overwrites: (inputs, wrt, name) -> whether, for such inputs, it leaves the gradient of the input `name` there.
    """

    prepare: Callable[[Sequence[Tensor], tuple[str, ...], str, str | None], Step]
    rounds: bool = False
    overwrites: Callable[[Sequence[Tensor], tuple[str, ...], str], bool] = lambda inputs, wrt, name: False


PerRow = Callable[[tuple[Tensor, ...], Tensor, int], Tensor]
"""(inputs, params [K], ignore_index) -> what each row adds to the divisor of the mean [rows], differentiable."""

Launch = Callable[..., tuple[Tensor, dict[str, Tensor]]]
"""A generated `launch`: (inputs, params [K], wrt, scale [1], ignore_index, weight [rows]) -> (loss [rows], gradients).
"""


def reducing(spec: Spec, launch: Launch, checks: bool = False) -> Kernel:
    """A kernel out of a generated `launch_torch`, which knows rows only: counts, scales and sums around it.

    With `checks`, a class index out of range raises IndexError on the CPU, where looking for one waits for nothing.
    """
    constants = Constants()

    def prepare(rows: Sequence[Tensor], wrt: tuple[str, ...], reduction: str, inplace: str | None = None) -> Step:
        def step(
            inputs: Sequence[Tensor], params: Sequence[Number], ignore_index: int, weights: Tensor | None,
            divisor: Tensor | None,
        ) -> tuple[Tensor, tuple[Tensor, ...]]:  # fmt: skip
            if checks and inputs[0].device.type == "cpu":
                _refuse_bad_classes(spec, inputs, ignore_index)
            kind = widest(spec, inputs)
            scale = constants.vector((1.0,), inputs[0].device, kind)
            if reduction == "mean":
                scale = scale / (counted(spec, inputs, ignore_index) if divisor is None else divisor.to(kind))
            vector = constants.vector(tuple(params), inputs[0].device, kind)
            weights = None if weights is None else weights.to(kind)
            loss, found = launch(tuple(inputs), vector, wrt, scale, ignore_index, weights)
            gradients = tuple([found[name] for name in wrt])
            if reduction == "sum":
                loss = loss.sum()
            elif reduction == "mean":
                loss = loss.sum() * scale[0]
            return loss, gradients

        return step

    return Kernel(prepare)


def replaceable(row: Tensor) -> bool:
    """Whether an input [rows, classes] or [planes, rows, classes] lies in memory as a kernel lays its gradient."""
    return row.is_contiguous() if row.dim() == 2 else row.transpose(1, 2).is_contiguous()


class Constants:
    """Numbers as vectors on a device. They are kept: a new one costs a transfer, though nobody waits for it."""

    def __init__(self) -> None:
        self._kept: dict[tuple[Any, ...], Tensor] = {}
        self._recorded: dict[tuple[Any, ...], Tensor] = {}

    def vector(self, values: tuple[Number, ...], device: torch.device, dtype: torch.dtype) -> Tensor:
        """The values as a tensor [K]; those that are tensors stay differentiable."""
        key = values, device, dtype
        found = self._kept.get(key)
        if found is None:
            if any(isinstance(v, Tensor) for v in values):
                return _filled(values, device, dtype)
            if device.type == "cuda" and torch.cuda.is_current_stream_capturing():
                return _filled(values, device, dtype)  # a graph would transfer again when replayed, from stale memory
            if len(self._kept) > 64:
                self._kept.clear()
            here = torch.tensor(values, dtype=dtype)
            pinned = here.pin_memory() if device.type == "cuda" else here
            found = self._kept[key] = pinned.to(device, non_blocking=True)
        elif device.type == "cuda" and torch.cuda.is_current_stream_capturing():
            self._recorded[key] = found  # the graph reads it whenever it is replayed
        return found


def _filled(values: tuple[Number, ...], device: torch.device, dtype: torch.dtype) -> Tensor:
    """Values as a vector, by operations of the device alone."""
    like = torch.empty((), dtype=dtype, device=device)
    if not values:
        return like.new_empty(0)
    return torch.stack([v.to(like) if isinstance(v, Tensor) else torch.full_like(like, v) for v in values])


def widest(spec: Spec, inputs: Sequence[Tensor]) -> torch.dtype:
    double = any(t.dtype == torch.float64 for i, t in zip(spec.inputs, inputs) if i.kind == "real")
    return torch.float64 if double else torch.float32


def counts(spec: Spec, inputs: Sequence[Tensor], ignore_index: int) -> Tensor | None:
    """Which rows count; None where all do because nothing can be ignored."""
    targets = [t for i, t in zip(spec.inputs, inputs) if i.kind == "class"]
    return all_count(targets, ignore_index) if targets else None


def all_count(targets: Sequence[Tensor], ignore_index: int) -> Tensor:
    """Where none of the classes is the one to be ignored."""
    valid = targets[0] != ignore_index
    for target in targets[1:]:
        valid = valid & (target != ignore_index)
    return valid


def _refuse_bad_classes(spec: Spec, inputs: Sequence[Tensor], ignore_index: int) -> None:
    valid = counts(spec, inputs, ignore_index)
    classes = spec.classes(inputs)
    for entry, tensor in zip(spec.inputs, inputs):
        if entry.kind == "class" and valid is not None:
            bad = valid & ((tensor < 0) | (tensor >= classes))
            if bool(bad.any()):
                row = int(bad.reshape(-1).nonzero()[0, 0])
                raise IndexError(f"class index {int(tensor.reshape(-1)[row])} in row {row} is outside [0, {classes})")


def counted(spec: Spec, inputs: Sequence[Tensor], ignore_index: int) -> Tensor | float:
    """How many rows count: a number, or a tensor on the device when rows may be ignored."""
    valid = counts(spec, inputs, ignore_index)
    if valid is not None:
        return valid.sum()
    rows = math.prod(spec.batch(inputs))
    return float(rows) if rows else math.nan

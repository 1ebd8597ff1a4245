"""How the tensors of a call lie: checked against each other, turned to the rows of a kernel, and gradients turned back.

This file is also copied, as it stands, into every module that `glo-compile` writes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from glo_dsl.runtime.spec import InputSpec, Spec


@dataclass(frozen=True)
class Layout:
    """Where the batch and the class axis are in the tensors of a call.

    Attributes:
        shape: of the batch; inputs per class have the class axis besides.
        axis: where that is; without a class axis, 0.
        direct: the inputs are what a kernel takes already.
        planes: whether the axes before the class axis and those after it are kept apart: a kernel then takes two axes
            of rows, and needs no copy where the classes are not side by side in memory.
    """

    spec: Spec
    shape: tuple[int, ...]
    axis: int
    direct: bool = False
    planes: bool = False

    @property
    def batch(self) -> tuple[int, ...]:
        """The axes of rows as a kernel sees them: rows, or planes and rows."""
        if self.planes:
            return math.prod(self.shape[: self.axis]), math.prod(self.shape[self.axis :])
        return (math.prod(self.shape),)

    def rows(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The inputs as a kernel takes them, see `Step`; views where possible."""
        if self.direct:
            return tuple(inputs)
        if not self.spec.by_rows:
            return tuple([t.expand(self.shape).reshape(-1) for t in inputs])
        return tuple([self._rows(entry, tensor) for entry, tensor in zip(self.spec.inputs, inputs)])

    def _rows(self, entry: InputSpec, tensor: Tensor) -> Tensor:
        if entry.shared:
            return tensor
        if not entry.rows:
            return tensor.reshape(self.batch)
        if self.planes:
            before, after = self.batch
            return tensor.reshape(before, tensor.shape[self.axis], after).transpose(1, 2)
        return tensor.movedim(self.axis, -1).reshape(*self.batch, tensor.shape[self.axis])

    def restore(self, entry: InputSpec, gradient: Tensor, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """The gradient of an input in the layout of the call, rounded to its dtype."""
        if entry.shared:
            return gradient.sum(tuple(range(gradient.dim() - 1))).to(dtype)
        if gradient.dtype != dtype:
            gradient = gradient.to(dtype)
        if tuple(gradient.shape) == tuple(shape) and (not entry.rows or self.axis == gradient.dim() - 1):
            return gradient
        if entry.rows and self.planes:
            full = gradient.transpose(1, 2).reshape(shape)
        elif entry.rows:
            full = gradient.reshape(*self.shape, gradient.shape[-1]).movedim(-1, self.axis)
        else:
            full = gradient.reshape(self.shape)
        return full.sum_to_size(shape) if tuple(full.shape) != tuple(shape) else full


def weights_of(given: Tensor, shape: Sequence[int], device: torch.device) -> Tensor:
    """`sample_weight`, which broadcasts over the samples, as the weight of each row.

    Raises:
        ValueError: it does not.
    """
    weights = torch.as_tensor(given, device=device)
    try:
        return weights.expand(tuple(shape)).reshape(-1)
    except RuntimeError:
        shapes = f"{tuple(weights.shape)}, which does not fit the samples: {tuple(shape)}"
        raise ValueError(f"sample_weight has shape {shapes}") from None


def layout_of(spec: Spec, inputs: Sequence[Tensor], dim: int) -> Layout:
    """The layout of a call.

    Raises:
        TypeError: a wrong number of inputs, or one that is no tensor.
        ValueError: dtypes, devices or shapes that do not fit; `dim` is no axis.
    """
    if len(inputs) != len(spec.inputs):
        names = ", ".join(i.name for i in spec.inputs)
        raise TypeError(f"{spec.name} takes {len(spec.inputs)} inputs ({names}), got {len(inputs)}")
    for entry, tensor in zip(spec.inputs, inputs):
        _check_kind(entry, tensor)
    if any(tensor.device != inputs[0].device for tensor in inputs):
        raise ValueError(f"the inputs of {spec.name} are on different devices")
    layout = _by_rows(spec, inputs, dim) if spec.by_rows else _elementwise(spec, inputs)
    flat = all(i.shared or t.dim() == 1 + i.rows for i, t in zip(spec.inputs, inputs))
    direct = flat and (layout.axis == 1 if spec.by_rows else all(tuple(t.shape) == layout.shape for t in inputs))
    return Layout(spec, layout.shape, layout.axis, direct, layout.planes)


def _elementwise(spec: Spec, inputs: Sequence[Tensor]) -> Layout:
    if all(t.shape == inputs[0].shape for t in inputs):
        return Layout(spec, tuple(inputs[0].shape), 0)
    try:
        return Layout(spec, tuple(torch.broadcast_shapes(*(t.shape for t in inputs))), 0)  # type: ignore[no-untyped-call]
    except RuntimeError:
        shapes = " and ".join(str(tuple(t.shape)) for t in inputs)
        raise ValueError(f"the inputs of {spec.name} have shapes {shapes}, which do not fit") from None


def _by_rows(spec: Spec, inputs: Sequence[Tensor], dim: int) -> Layout:
    entry, first = next((i, t) for i, t in zip(spec.inputs, inputs) if i.rows and not i.shared)
    if first.dim() == 0:
        raise ValueError(f"{entry.name} needs a class axis, got a scalar")
    axis = 0 if first.dim() == 1 else dim % first.dim() if -first.dim() <= dim < first.dim() else -1
    if axis < 0:
        raise ValueError(f"dim={dim} is no axis of {entry.name} with shape {tuple(first.shape)}")
    classes, shape = first.shape[axis], (*first.shape[:axis], *first.shape[axis + 1 :])
    for other, tensor in zip(spec.inputs, inputs):
        expected = (classes,) if other.shared else tuple(first.shape) if other.rows else shape
        if tuple(tensor.shape) != expected:
            raise ValueError(
                f"{other.name} must have shape {expected} to go with {entry.name}, got {tuple(tensor.shape)}"
            )
    apart = len(shape) > axis and first.stride(axis) != 1
    return Layout(spec, tuple(shape), axis, planes=apart)


def _check_kind(entry: InputSpec, tensor: Tensor) -> None:
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{entry.name} must be a tensor, got {type(tensor).__name__}")
    if entry.kind == "class" and (tensor.is_floating_point() or tensor.dtype == torch.bool):
        raise ValueError(f"{entry.name} holds class indices and must be an integer tensor, got {tensor.dtype}")
    if entry.kind == "real" and not tensor.is_floating_point():
        raise ValueError(f"{entry.name} must be a floating point tensor, got {tensor.dtype}")

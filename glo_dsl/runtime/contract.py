"""The calling contract of a compiled loss: shapes, reductions, autograd. Imports torch alone.

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
    """What a call has to provide: inputs in order, parameters with their defaults."""

    name: str
    inputs: tuple[InputSpec, ...]
    params: tuple[tuple[str, float], ...]

    @property
    def by_rows(self) -> bool:
        return any(i.rows for i in self.inputs)

    @property
    def differentiable(self) -> tuple[str, ...]:
        return tuple(i.name for i in self.inputs if i.kind == "real") + tuple(name for name, _ in self.params)


Run = Callable[[tuple[Tensor, ...], tuple[Number, ...], tuple[str, ...], str, int], tuple[Tensor, dict[str, Tensor]]]
"""A kernel: (inputs, params, wrt, reduction, ignore_index) -> (loss, gradients).

Inputs are [rows, classes], [rows] or, shared, [classes], of any strides. The loss is a scalar, or [rows] for "none".
Gradients are those of the reduced loss: shaped like the input, [rows, classes] for a shared one and [rows] for a
parameter, whose contributions the caller adds up. They may be wider than the input: the caller rounds, once.
"""

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
        inputs: tuple[Tensor, ...], params: tuple[Number, ...], wrt: tuple[str, ...], reduction: str, ignore_index: int
    ) -> tuple[Tensor, dict[str, Tensor]]:
        kind = dtype or _widest(spec, inputs)
        scale = constant((1.0,), inputs[0], kind)
        if reduction == "mean":
            scale = scale / _counted(spec, inputs, ignore_index)
        loss, gradients = launch(inputs, constant(params, inputs[0], kind), wrt, scale, ignore_index)
        if reduction == "sum":
            loss = loss.sum()
        elif reduction == "mean":
            loss = loss.sum() * scale[0]
        return loss, gradients

    return run


def _widest(spec: Spec, inputs: tuple[Tensor, ...]) -> torch.dtype:
    double = any(t.dtype == torch.float64 for i, t in zip(spec.inputs, inputs) if i.kind == "real")
    return torch.float64 if double else torch.float32


def _counted(spec: Spec, inputs: tuple[Tensor, ...], ignore_index: int) -> Tensor | float:
    """How many rows count: a number, or a tensor on the device when rows may be ignored."""
    targets = [t for i, t in zip(spec.inputs, inputs) if i.kind == "class"]
    if not targets:
        rows = next(t.shape[0] for i, t in zip(spec.inputs, inputs) if not i.shared)
        return float(rows) if rows else math.nan
    valid = targets[0] != ignore_index
    for target in targets[1:]:
        valid = valid & (target != ignore_index)
    return valid.sum()


@dataclass(frozen=True)
class _Layout:
    """How the rows of a kernel lie in the tensors of a call: the shape of the batch, and where the class axis is."""

    shape: tuple[int, ...]
    axis: int

    def restore(self, entry: InputSpec, gradient: Tensor, shape: torch.Size, dtype: torch.dtype) -> Tensor:
        """The gradient of an input in the layout of the call, rounded to its dtype."""
        if entry.shared:
            return gradient.sum(0).to(dtype)
        if gradient.dtype != dtype:
            gradient = gradient.to(dtype)
        if gradient.shape == shape and (not entry.rows or self.axis == gradient.dim() - 1):
            return gradient
        if entry.rows:
            full = gradient.reshape(*self.shape, gradient.shape[-1]).movedim(-1, self.axis)
        else:
            full = gradient.reshape(self.shape)
        return full.sum_to_size(shape) if full.shape != shape else full


class CompiledLoss:
    """A loss as a function of tensors.

    Call it as `fn(*inputs, reduction="mean", ignore_index=-100, dim=1, **params)`. Inputs per class are
    (N, C, d1, ...), or (C,) for a single sample, with the class axis at `dim`; inputs per sample have the same shape
    without it; a class index is an integer tensor. Strides may be anything. float16, bfloat16 and float32 are
    computed in float32, float64 in float64 where the target has it. Parameters are floats or tensors with one
    element, differentiable if they require it.

    Raises:
        TypeError: an unknown or missing argument. ValueError: shapes or dtypes that do not fit.
        IndexError: a class index out of range, where it can be seen without waiting for the device.
    """

    def __init__(self, spec: Spec, choose: Callable[[torch.device], Run]) -> None:
        self.spec = spec
        self._choose = choose
        self._runs: dict[torch.device, Run] = {}
        self._defaults = {name: float(default) for name, default in spec.params}
        self._has_classes = spec.by_rows
        self._differentiable = spec.differentiable
        self.__name__ = spec.name

    def __repr__(self) -> str:
        inputs = ", ".join(i.name for i in self.spec.inputs)
        params = "".join(f", {name}={value:g}" for name, value in self.spec.params)
        return f"<compiled loss {self.spec.name}({inputs}{params})>"

    def __call__(
        self, *inputs: Tensor, reduction: str = "mean", ignore_index: int = -100, dim: int = 1, **params: Number
    ) -> Tensor:
        """The loss: a scalar for "mean" and "sum", one value per sample for "none"."""
        values = self._parameters(params)
        _check_reduction(reduction)
        rows, layout = self._rows(inputs, dim)
        run = self._run(rows[0].device)
        if torch.is_grad_enabled() and any(isinstance(v, Tensor) and v.requires_grad for v in (*inputs, *values)):
            loss: Tensor = _Function.apply(self.spec, run, rows, layout, reduction, ignore_index, *inputs, *values)  # type: ignore[no-untyped-call]
        else:
            loss, _ = run(rows, values, (), reduction, ignore_index)
        return loss.reshape(layout.shape) if reduction == "none" else loss

    def value_and_grad(
        self,
        *inputs: Tensor,
        wrt: Sequence[str] | None = None,
        reduction: str = "mean",
        ignore_index: int = -100,
        dim: int = 1,
        **params: Number,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss and its gradients in one pass, without autograd.

        `wrt` names the inputs and parameters to differentiate by; by default the first real input, that is the
        prediction. With reduction "none" the gradients are those of the sum.
        """
        values = self._parameters(params)
        _check_reduction(reduction)
        wanted = self._differentiable[:1] if wrt is None else tuple(wrt)
        for name in wanted:
            if name not in self._differentiable:
                has = ", ".join(self._differentiable)
                raise ValueError(f"{self.spec.name} has no gradient for {name}; it has: {has}")
        rows, layout = self._rows(inputs, dim)
        loss, found = self._run(rows[0].device)(rows, values, wanted, reduction, ignore_index)
        gradients = {name: gradient.sum() for name, gradient in found.items() if name in self._defaults}
        for entry, tensor in zip(self.spec.inputs, inputs):
            if entry.name in found:
                gradients[entry.name] = layout.restore(entry, found[entry.name], tensor.shape, tensor.dtype)
        return (loss.reshape(layout.shape) if reduction == "none" else loss), {name: gradients[name] for name in wanted}

    def module(self, learnable: Sequence[str] = (), reduction: str = "mean", ignore_index: int = -100, dim: int = 1,
               **params: float) -> LossModule:  # fmt: skip
        """The loss as a `torch.nn.Module`; parameters named in `learnable` become `nn.Parameter`s."""
        return LossModule(self, learnable, reduction, ignore_index, dim, params)

    def _run(self, device: torch.device) -> Run:
        if device not in self._runs:
            self._runs[device] = self._choose(device)
        return self._runs[device]

    def _parameters(self, given: dict[str, Number]) -> tuple[Number, ...]:
        if not given:
            return tuple(self._defaults.values())
        for name, value in given.items():
            if name not in self._defaults:
                has = f"its parameters are {', '.join(self._defaults)}" if self._defaults else "it has no parameters"
                raise TypeError(f"{self.spec.name} has no parameter {name}; {has}")
            if not hasattr(value, "__float__"):
                raise TypeError(f"parameter {name} must be a number or a tensor, got {type(value).__name__}")
            if isinstance(value, Tensor) and value.numel() != 1:
                raise ValueError(f"parameter {name} must have one element, got shape {tuple(value.shape)}")
        values = (given.get(name, default) for name, default in self._defaults.items())
        return tuple(v.reshape(()) if isinstance(v, Tensor) else float(v) for v in values)

    def _rows(self, inputs: tuple[Tensor, ...], dim: int) -> tuple[tuple[Tensor, ...], _Layout]:
        """The inputs as a kernel takes them, checked."""
        if len(inputs) != len(self.spec.inputs):
            names = ", ".join(i.name for i in self.spec.inputs)
            raise TypeError(f"{self.spec.name} takes {len(self.spec.inputs)} inputs ({names}), got {len(inputs)}")
        for entry, tensor in zip(self.spec.inputs, inputs):
            _check_kind(entry, tensor)
        if any(tensor.device != inputs[0].device for tensor in inputs):
            raise ValueError(f"the inputs of {self.spec.name} are on different devices")
        return self._by_rows(inputs, dim) if self._has_classes else self._elementwise(inputs)

    def _elementwise(self, inputs: tuple[Tensor, ...]) -> tuple[tuple[Tensor, ...], _Layout]:
        if any(t.shape != inputs[0].shape for t in inputs):
            try:
                inputs = tuple(torch.broadcast_tensors(*inputs))  # type: ignore[no-untyped-call]
            except RuntimeError:
                shapes = " and ".join(str(tuple(t.shape)) for t in inputs)
                raise ValueError(f"the inputs of {self.spec.name} have shapes {shapes}, which do not fit") from None
        flat = tuple(t if t.dim() == 1 else t.reshape(-1) for t in inputs)
        return flat, _Layout(tuple(inputs[0].shape), 0)

    def _by_rows(self, inputs: tuple[Tensor, ...], dim: int) -> tuple[tuple[Tensor, ...], _Layout]:
        entry, first = next((i, t) for i, t in zip(self.spec.inputs, inputs) if i.rows and not i.shared)
        if first.dim() == 0:
            raise ValueError(f"{entry.name} needs a class axis, got a scalar")
        axis = 0 if first.dim() == 1 else dim % first.dim() if -first.dim() <= dim < first.dim() else -1
        if axis < 0:
            raise ValueError(f"dim={dim} is no axis of {entry.name} with shape {tuple(first.shape)}")
        classes, shape = first.shape[axis], (*first.shape[:axis], *first.shape[axis + 1 :])
        count, rows = math.prod(shape), []
        for spec, tensor in zip(self.spec.inputs, inputs):
            expected = (classes,) if spec.shared else first.shape if spec.rows else shape
            if tuple(tensor.shape) != tuple(expected):
                raise ValueError(
                    f"{spec.name} must have shape {tuple(expected)} to go with {entry.name}, got {tuple(tensor.shape)}"
                )
            if spec.shared:
                rows.append(tensor)
            elif spec.rows:
                is_rows = tensor.dim() == 2 and axis == 1
                rows.append(tensor if is_rows else tensor.movedim(axis, -1).reshape(count, classes))
            else:
                rows.append(tensor if tensor.dim() == 1 else tensor.reshape(-1))
        return tuple(rows), _Layout(shape, axis)


def _check_reduction(reduction: str) -> None:
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction must be one of {', '.join(REDUCTIONS)}, got {reduction!r}")


def _check_kind(entry: InputSpec, tensor: Tensor) -> None:
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{entry.name} must be a tensor, got {type(tensor).__name__}")
    if entry.kind == "class" and (tensor.is_floating_point() or tensor.dtype == torch.bool):
        raise ValueError(f"{entry.name} holds class indices and must be an integer tensor, got {tensor.dtype}")
    if entry.kind == "real" and not tensor.is_floating_point():
        raise ValueError(f"{entry.name} must be a floating point tensor, got {tensor.dtype}")


class _Function(torch.autograd.Function):
    """Computes the gradients in the forward pass and hands them out, times the upstream gradient, in the backward."""

    @staticmethod
    def forward(
        ctx: Any, spec: Spec, run: Run, rows: tuple[Tensor, ...], layout: _Layout, reduction: str, ignore_index: int,
        *values: Number,
    ) -> Tensor:  # fmt: skip
        entries: tuple[InputSpec | str, ...] = (*spec.inputs, *(name for name, _ in spec.params))
        wanted = [isinstance(v, Tensor) and v.requires_grad for v in values]
        wrt = tuple(e if isinstance(e, str) else e.name for e, w in zip(entries, wanted) if w)
        params = values[len(spec.inputs) :]
        loss, gradients = run(rows, params, wrt, reduction, ignore_index)
        ctx.save_for_backward(*(gradients[name] for name in wrt))
        ctx.layout, ctx.reduction, ctx.wanted = layout, reduction, wanted
        ctx.likes = [(e, v.shape, v.dtype) for e, v, w in zip(entries, values, wanted) if w and isinstance(v, Tensor)]
        return loss

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        found = []
        with torch.no_grad():
            for (entry, shape, dtype), gradient in zip(ctx.likes, ctx.saved_tensors):
                scaled = _times(gradient, upstream, ctx.reduction)
                is_parameter = isinstance(entry, str)
                found.append(
                    scaled.sum().to(dtype) if is_parameter else ctx.layout.restore(entry, scaled, shape, dtype)
                )
        if torch.is_grad_enabled():  # create_graph=True
            found = [_Final.apply(gradient.detach().requires_grad_()) for gradient in found]  # type: ignore[no-untyped-call]
        remaining = iter(found)
        return None, None, None, None, None, None, *(next(remaining) if wanted else None for wanted in ctx.wanted)


class _Final(torch.autograd.Function):
    """A gradient that cannot be differentiated again and says so: a detached one would silently count as constant."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient.view_as(gradient)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Tensor:
        raise RuntimeError("the gradient of a compiled loss cannot be differentiated again")


def _times(gradient: Tensor, upstream: Tensor, reduction: str) -> Tensor:
    """The gradient times the upstream one, rounded by nobody yet; the usual 1 costs nothing where it can be seen."""
    if reduction == "none":
        per_row = upstream.reshape(-1)
        return gradient * (per_row[:, None] if gradient.dim() == 2 else per_row)
    if upstream.device.type == "cpu" and upstream.item() == 1.0:
        return gradient
    return gradient * upstream


class LossModule(torch.nn.Module):
    """A compiled loss as a module; its parameters are plain numbers, the learnable ones `nn.Parameter`s."""

    def __init__(
        self, fn: CompiledLoss, learnable: Sequence[str], reduction: str, ignore_index: int, dim: int,
        params: dict[str, float],
    ) -> None:  # fmt: skip
        super().__init__()
        _check_reduction(reduction)
        fn._parameters(dict(params))
        known = {**dict(fn.spec.params), **params}
        for name in learnable:
            if name not in known:
                raise TypeError(f"{fn.spec.name} has no parameter {name}")
            self.register_parameter(f"param_{name}", torch.nn.Parameter(torch.tensor(float(known[name]))))
        self.fn, self.reduction, self.ignore_index, self.dim = fn, reduction, ignore_index, dim
        self.learnable = tuple(learnable)
        self.fixed = {name: value for name, value in params.items() if name not in learnable}

    def forward(self, *inputs: Tensor) -> Tensor:
        """The loss of the batch."""
        learned = {name: getattr(self, f"param_{name}") for name in self.learnable}
        return self.fn(
            *inputs, reduction=self.reduction, ignore_index=self.ignore_index, dim=self.dim, **self.fixed, **learned
        )

    def extra_repr(self) -> str:
        fixed = "".join(f", {name}={value:g}" for name, value in self.fixed.items())
        return f"{self.fn!r}, reduction={self.reduction!r}{fixed}, learnable={list(self.learnable)}"

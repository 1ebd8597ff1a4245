"""The calling contract of a compiled loss: shapes, reductions, autograd. Imports torch and `spec` alone.

This file is also copied, as it stands, into every module that `glo-compile` writes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from glo_dsl.runtime.spec import REDUCTIONS, InputSpec, Number, PerRow, Run, Spec, counted, widest


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

    def __init__(self, spec: Spec, choose: Callable[[torch.device], Run], per_row: PerRow | None = None) -> None:
        self.spec = spec
        self._choose = choose
        self._per_row = per_row
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
        divisor = self._divisor(rows, values, ignore_index) if reduction == "mean" else None
        if divisor is not None and divisor.requires_grad:  # the quotient rule is autograd's
            return _quotient(self(*inputs, reduction="sum", ignore_index=ignore_index, dim=dim, **params), divisor)
        run = self._run(rows[0].device)
        if torch.is_grad_enabled() and any(isinstance(v, Tensor) and v.requires_grad for v in (*inputs, *values)):
            options = (reduction, ignore_index, divisor)
            loss: Tensor = _Function.apply(self.spec, run, rows, layout, options, *inputs, *values)  # type: ignore[no-untyped-call]
        else:
            loss, _ = run(rows, values, (), reduction, ignore_index, divisor)
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
        divisor = None
        if reduction == "mean" and self._per_row is not None:
            if set(wanted) & set(self.spec.divisor):
                return self._by_autograd(inputs, wanted, ignore_index, dim, values)
            with torch.no_grad():
                divisor = self._divisor(rows, values, ignore_index)
        loss, found = self._run(rows[0].device)(rows, values, wanted, reduction, ignore_index, divisor)
        gradients = {name: gradient.sum() for name, gradient in found.items() if name in self._defaults}
        for entry, tensor in zip(self.spec.inputs, inputs):
            if entry.name in found:
                gradients[entry.name] = layout.restore(entry, found[entry.name], tensor.shape, tensor.dtype)
        return (loss.reshape(layout.shape) if reduction == "none" else loss), {name: gradients[name] for name in wanted}

    def divisor(self, *inputs: Tensor, ignore_index: int = -100, dim: int = 1, **params: Number) -> Tensor:
        """What the mean of a call divides by, a scalar: the rows that count, or the sum of the loss's `per`,
        differentiable. The sums of several batches over the sum of their divisors are one mean.

        Raises:
            TypeError, ValueError: as a call does.

        >>> import torch, glo_dsl as glo
        >>> ce = glo.compile(glo.zoo["cross_entropy"])
        >>> ce.divisor(torch.zeros(3, 2), torch.tensor([0, 1, -100]))
        tensor(2)
        """
        values = self._parameters(params)
        rows, _ = self._rows(inputs, dim)
        found = self._divisor(rows, values, ignore_index)
        if found is not None:
            return found
        count = counted(self.spec, rows, ignore_index)
        if isinstance(count, float):
            count = torch.full((), count, device=rows[0].device)
        return torch.where(count > 0, count, 0)  # an empty batch is counted as NaN

    def _divisor(self, rows: tuple[Tensor, ...], values: tuple[Number, ...], ignore_index: int) -> Tensor | None:
        """What a mean divides by, or None where it counts rows."""
        if self._per_row is None:
            return None
        kind, device = widest(self.spec, rows), rows[0].device
        params = [v.to(device, kind) if isinstance(v, Tensor) else torch.tensor(v, dtype=kind) for v in values]
        stacked = torch.stack(params).to(device) if params else torch.empty(0, dtype=kind, device=device)
        return self._per_row(rows, stacked, ignore_index).sum()

    def _by_autograd(
        self, inputs: tuple[Tensor, ...], wanted: tuple[str, ...], ignore_index: int, dim: int,
        values: tuple[Number, ...],
    ) -> tuple[Tensor, dict[str, Tensor]]:  # fmt: skip
        """Value and gradients of a mean whose divisor depends on what is wanted."""
        names = [i.name for i in self.spec.inputs]
        leaves = {n: t.detach().requires_grad_(n in wanted) for n, t in zip(names, inputs)}
        numbers = {n: torch.as_tensor(v).detach() for n, v in zip(self._defaults, values)}
        leaves |= {n: t.clone().requires_grad_(n in wanted) for n, t in numbers.items()}
        with torch.enable_grad():
            params: dict[str, Any] = {n: leaves[n] for n in self._defaults}
            loss = self(*(leaves[n] for n in names), ignore_index=ignore_index, dim=dim, **params)
        found = torch.autograd.grad(loss, [leaves[n] for n in wanted])
        return loss.detach(), dict(zip(wanted, found))

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
        ctx: Any, spec: Spec, run: Run, rows: tuple[Tensor, ...], layout: _Layout,
        options: tuple[str, int, Tensor | None], *values: Number,
    ) -> Tensor:  # fmt: skip
        entries: tuple[InputSpec | str, ...] = (*spec.inputs, *(name for name, _ in spec.params))
        wanted = [isinstance(v, Tensor) and v.requires_grad for v in values]
        wrt = tuple(e if isinstance(e, str) else e.name for e, w in zip(entries, wanted) if w)
        params = values[len(spec.inputs) :]
        reduction, ignore_index, divisor = options
        loss, gradients = run(rows, params, wrt, reduction, ignore_index, divisor)
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
        return None, None, None, None, None, *(next(remaining) if wanted else None for wanted in ctx.wanted)


def _quotient(total: Tensor, divisor: Tensor) -> Tensor:
    """A mean; where there is nothing to divide by it is NaN, and its gradient 0, as with a divisor that is counted."""
    nothing = divisor == 0
    return torch.where(nothing, math.nan, total / torch.where(nothing, 1.0, divisor))


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

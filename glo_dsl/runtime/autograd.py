"""A compiled loss as a function that PyTorch differentiates, as often as one likes.

This file is also copied, as it stands, into every module that `glo-compile` writes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from glo_dsl.runtime.layout import Layout
from glo_dsl.runtime.spec import Number, Spec, Step
from glo_dsl.runtime.upstream import on_device, scaled_in_place

Value = Number | None

TENSOR = "tensor"
"""Stands where a tensor is kept."""


OPTIONS = 3
"""What comes before the inputs among the values of a call."""


@dataclass(slots=True)
class Call:
    """All calls with such tensors, ready for their numbers.

    The *values* of a call are: ignore_index, weights of the rows or None, what a mean divides by or None, the inputs,
    the parameters.

    Attributes:
        wrt: names of what gradients are computed for, a subset of `spec.differentiable`.
        step: the kernel, ready for this call.
        again: makes a step of PyTorch operations, whose gradients have gradients.
        exact: the kernel's gradients are laid out and typed like what they are of.
        given: the input whose values are given up, for its gradient to take their memory.
        places: of what gradients are computed for, among the values.
    """

    spec: Spec
    layout: Layout
    wrt: tuple[str, ...]
    step: Step
    again: Callable[[], Step]
    reduction: str
    exact: bool = False
    given: str | None = None
    places: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        self.places = tuple([self.place(name) for name in self.wrt])

    def outcome(self, values: Sequence[Any], step: Step | None = None) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Loss and gradients as the kernel gives them."""
        ignore_index, weights, divisor, *rest = values
        count = len(self.spec.inputs)
        rows = self.layout.rows(rest[:count])
        loss, gradients = (step or self.step)(rows, rest[count:], ignore_index, weights, divisor)
        if self.given is not None:
            gradients = tuple([g.detach() for g in gradients])  # one of them is the input itself
            torch.autograd.graph.increment_version(values[self.place(self.given)])  # its values cannot be used unseen
        return loss, gradients

    def place(self, name: str) -> int:
        """Where an input or parameter is among the values."""
        names = [*(i.name for i in self.spec.inputs), *(n for n, _ in self.spec.params)]
        return OPTIONS + names.index(name)

    def spread(self, gradients: Sequence[Tensor], upstream: Tensor, values: Sequence[Any]) -> list[Tensor | None]:
        """What backward hands on: to each value its gradient times the upstream one, laid out and typed like it."""
        found: list[Tensor | None] = [None] * len(values)
        whole = self.reduction != "none"
        once = whole and _is_one(upstream)
        change = whole and not once and _is_consumed()
        for place, gradient in zip(self.places, gradients):
            if once:
                scaled = gradient
            elif change and on_device(gradient):
                scaled = scaled_in_place(gradient, upstream)
            else:
                scaled = self._times(gradient, upstream)
            found[place] = scaled if self.exact else self.restored(scaled, place, values[place])
        return found

    def _times(self, gradient: Tensor, upstream: Tensor) -> Tensor:
        """The gradient times the upstream one, rounded by nobody yet."""
        if self.reduction != "none":
            return gradient * upstream
        batch = self.layout.batch
        per_row = upstream.reshape(batch)
        return gradient * (per_row if gradient.dim() == len(batch) else per_row[..., None])

    def restored(self, gradient: Tensor, place: int, value: Any) -> Tensor:
        """A gradient as the kernel gives it, laid out and typed like the value at a place."""
        if place < OPTIONS + len(self.spec.inputs):
            entry = self.spec.inputs[place - OPTIONS]
            return self.layout.restore(entry, gradient, value.shape, value.dtype)
        total = gradient.sum()
        return total.to(value) if isinstance(value, Tensor) else total


def _is_one(upstream: Tensor) -> bool:
    """Whether an upstream gradient is the usual 1, where that can be seen without waiting."""
    if not upstream.is_cpu or type(upstream) is not Tensor or torch.is_grad_enabled() or transformed():
        return False
    return upstream.item() == 1.0


def _is_consumed() -> bool:
    """Whether the graph that backward walks now is walked for the last time, so that what it kept may be changed."""
    if torch.is_grad_enabled() or transformed():
        return False
    return not torch._C._autograd._get_current_graph_task_keep_graph()


def transformed() -> bool:
    """Whether a transform of torch.func is at work, or a compiler reads along."""
    return torch.compiler.is_compiling() or bool(torch._C._are_functorch_transforms_active())


def differentiable(call: Call, values: Sequence[Value]) -> Tensor:
    """The loss, with the kernel's gradients as its derivative.

    These are computed with the loss, and kept. A derivative of higher order is computed by PyTorch operations.
    """
    if transformed():
        found: Tensor = _Transformed.apply(call, *values)[0]  # type: ignore[no-untyped-call]
        return found
    loss: Tensor = _Loss.apply(call, *values)  # type: ignore[no-untyped-call]
    return loss


def _backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
    call: Call = ctx.call
    saved = ctx.saved_tensors
    count = len(call.wrt)
    gradients, again = saved[:count], torch.is_grad_enabled()  # create_graph=True
    values = ctx.numbers
    if again or not call.exact:
        tensors = iter(saved[count:])
        values = [next(tensors) if number is TENSOR else number for number in values]
    if again:
        if call.given is not None:
            raise RuntimeError("the gradient of a loss computed in place cannot be differentiated: its input is gone")
        _, gradients = call.outcome(values, call.again())
    return None, *call.spread(gradients, upstream, values)


def _keep(ctx: Any, call: Call, values: Sequence[Value], gradients: Sequence[Tensor]) -> None:
    ctx.call = call
    if call.given is not None:  # of what is gone, what a gradient has to look like
        place = call.place(call.given)
        gone = values[place]
        assert isinstance(gone, Tensor)
        values = [*values[:place], gone.new_empty(()).expand(gone.shape), *values[place + 1 :]]
    ctx.numbers = [TENSOR if isinstance(v, Tensor) else v for v in values]
    ctx.save_for_backward(*gradients, *[v for v in values if isinstance(v, Tensor)])


class _Loss(torch.autograd.Function):
    """The short way: in this form a function costs PyTorch half of what it costs in the other."""

    @staticmethod
    def forward(ctx: Any, call: Call, *values: Value) -> Tensor:
        loss, gradients = call.outcome(values)
        _keep(ctx, call, values, gradients)
        return loss

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        return _backward(ctx, upstream)


class _Transformed(torch.autograd.Function):
    """The form that torch.func and torch.compile need."""

    @staticmethod
    def forward(call: Call, *values: Value) -> tuple[Tensor, ...]:
        loss, gradients = call.outcome(values)
        return loss, *gradients

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        ctx.mark_non_differentiable(*output[1:])
        _keep(ctx, inputs[0], inputs[1:], output[1:])

    @staticmethod
    def backward(ctx: Any, upstream: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        return _backward(ctx, upstream)

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], call: Call, *values: Value
    ) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
        """One call for each element of the mapped axis."""
        outcomes = []
        for n in range(info.batch_size):
            each = [v.select(d, n) if isinstance(v, Tensor) and d is not None else v
                    for v, d in zip(values, in_dims[1:])]  # fmt: skip
            outcomes.append(_Transformed.apply(call, *each))  # type: ignore[no-untyped-call]
        stacked = tuple(torch.stack(parts) for parts in zip(*outcomes))
        return stacked, (0,) * len(stacked)

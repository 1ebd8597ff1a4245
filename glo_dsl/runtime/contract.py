"""The calling contract of a compiled loss: what a call may look like, and what it means.

This file is also copied, as it stands, into every module that `glo-compile` writes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from glo_dsl.runtime.autograd import Call, differentiable, transformed
from glo_dsl.runtime.layout import Layout, layout_of, weights_of
from glo_dsl.runtime.library import Entry, Library
from glo_dsl.runtime.module import LossModule
from glo_dsl.runtime.spec import REDUCTIONS, Kernel, Number, PerRow, Spec, Step, counted, counts, widest

PLAIN = (Tensor, torch.nn.Parameter)
"""Tensors whose memory a kernel may read; others are a tracer's."""

REMEMBERED = 256
"""Kinds of calls that are kept ready."""


@dataclass(frozen=True)
class Backing:
    """What computes a loss.

    Attributes:
        choose: the kernel for a device.
        again: a kernel of PyTorch operations, whose gradients can be differentiated.
        library, key: the operator that stands for kernels in a compiled graph, and what the loss is called there.
        per_row: what each row adds to the divisor of the mean; None: 1.
        remake: how a pickle says what the loss is, as `__reduce__` does: a function and its arguments, or the name that
            the loss has in the module that holds it. None: not at all.
    """

    choose: Callable[[torch.device], Kernel]
    again: Callable[[], Kernel]
    library: Library
    key: str
    per_row: PerRow | None = None
    remake: str | tuple[Callable[..., CompiledLoss], tuple[Any, ...]] | None = None


class CompiledLoss:
    """A loss as a function of tensors.

    Call it as `fn(*inputs, reduction="mean", ignore_index=-100, sample_weight=None, dim=1, inplace=False, **params)`.
    Inputs per class are (N, C, d1, ...), or (C,) for a single sample, with the class axis at `dim`; inputs per sample
    have the same shape without it; a class index is an integer tensor. Strides may be anything. float16, bfloat16 and
    float32 are computed in float32, float64 in float64 where the target has it. Parameters are floats or tensors with
    one element, differentiable if they require it.

    `sample_weight` broadcasts over the samples: one with weight 2 is as good as two of them, and one with weight 0 is
    left out. A mean divides by the sum of the weights of the samples that are not ignored, or of weight times `per`
    where the loss has that.

    `inplace=True` gives up the values of the prediction, the first real input: its gradient may take their memory, if
    it has the same dtype and the memory is contiguous. Then no second tensor of that size is needed, and PyTorch
    refuses to use the values, which is also why such a loss is differentiable once.

    It can be differentiated any number of times, mapped and transformed by torch.func, and traced by torch.compile
    with no break in the graph. It can be pickled, and so sent to other processes or saved with a model.

    Raises:
        TypeError: an unknown or missing argument. ValueError: shapes or dtypes that do not fit.
        IndexError: a class index out of range, where it can be seen without waiting for the device.
    """

    def __init__(self, spec: Spec, backing: Backing) -> None:
        self.spec = spec
        self._backing = backing
        self._per_row = backing.per_row
        self._kernels: dict[torch.device, Kernel] = {}
        self._ready: dict[tuple[Any, ...], Call] = {}
        self._again: Kernel | None = None
        self._defaults = {name: float(default) for name, default in spec.params}
        self._usual = tuple(self._defaults.values())
        self._differentiable = spec.differentiable
        self._entry = backing.library.add(backing.key, Entry(spec, self._kernel))
        self.__name__ = spec.name

    def __repr__(self) -> str:
        inputs = ", ".join(i.name for i in self.spec.inputs)
        params = "".join(f", {name}={value:g}" for name, value in self.spec.params)
        return f"<compiled loss {self.spec.name}({inputs}{params})>"

    def __deepcopy__(self, _: dict[int, Any]) -> CompiledLoss:
        """Itself, for a call leaves nothing behind: copies of a model share its compiled loss."""
        return self

    def __reduce__(self) -> str | tuple[Callable[..., CompiledLoss], tuple[Any, ...]]:
        """A pickle holds no kernel: where it is loaded, the loss is compiled again, through the cache."""
        if self._backing.remake is None:
            raise TypeError(f"{self!r} cannot be pickled: nothing is known of how it was made")
        return self._backing.remake

    def __call__(
        self, *inputs: Tensor, reduction: str = "mean", ignore_index: int = -100, sample_weight: Tensor | None = None,
        dim: int = 1, inplace: bool = False, **params: Number,
    ) -> Tensor:  # fmt: skip
        """The loss: a scalar for "mean" and "sum", one value per sample for "none"."""
        values = self._parameters(params)
        check_reduction(reduction)
        wrt = self._wanted(inputs, values) if torch.is_grad_enabled() else ()
        if self._per_row is not None and reduction == "mean":
            inputs = self._widened(inputs, wrt)
        call = self._prepared(inputs, wrt, reduction, dim, inplace)
        layout, weights, divisor = call.layout, None, None
        if sample_weight is not None or self._per_row is not None:
            rows = layout.rows(inputs)
            weights, divisor = self._weights(rows, values, ignore_index, layout, sample_weight, reduction)
            if any(t is not None and t.requires_grad for t in (weights, divisor)):
                options: dict[str, Any] = {"ignore_index": ignore_index, "dim": dim, **params}
                each = self(*inputs, reduction="none", **options)
                return _reduced(each.reshape(layout.batch), weights, divisor, layout, reduction)
        everything = (ignore_index, weights, divisor, *inputs, *values)
        loss = differentiable(call, everything) if wrt else call.outcome(everything)[0]
        return loss.reshape(layout.shape) if reduction == "none" else loss

    def value_and_grad(
        self, *inputs: Tensor, wrt: Sequence[str] | None = None, reduction: str = "mean", ignore_index: int = -100,
        sample_weight: Tensor | None = None, dim: int = 1, inplace: bool = False, **params: Number,
    ) -> tuple[Tensor, dict[str, Tensor]]:  # fmt: skip
        """The loss and its gradients in one pass, without autograd.

        `wrt` names the inputs and parameters to differentiate by; by default the first real input, that is the
        prediction. With reduction "none" the gradients are those of the sum.
        """
        values = self._parameters(params)
        check_reduction(reduction)
        wanted = self._differentiable[:1] if wrt is None else self._known(wrt)
        call = self._prepared(inputs, wanted, reduction, dim, inplace)
        layout, weights, divisor = call.layout, None, None
        if sample_weight is not None or self._per_row is not None:
            if reduction == "mean" and set(wanted) & set(self.spec.divisor):
                return self._by_autograd(inputs, wanted, ignore_index, sample_weight, dim, values)
            with torch.no_grad():
                weights, divisor = self._weights(
                    layout.rows(inputs), values, ignore_index, layout, sample_weight, reduction
                )
        everything = (ignore_index, weights, divisor, *inputs, *values)
        loss, found = call.outcome(everything)
        if call.exact:
            return loss, dict(zip(wanted, found))
        named = {n: call.restored(g, p, everything[p]) for n, g, p in zip(wanted, found, call.places)}
        return (loss.reshape(layout.shape) if reduction == "none" else loss), named

    def overwritten(self, rows: Sequence[Tensor], wrt: Sequence[str]) -> str | None:
        """The input whose memory its gradient takes, with `inplace=True` and gradients by `wrt`; None: there is none.
        `rows` are inputs of a single batch axis, of which only their layout and dtype count."""
        if transformed() or any(type(t) not in PLAIN for t in rows):
            return None
        wanted = tuple(wrt)
        given = self._given_up(rows, wanted)
        kernel = self._kernel(rows[0].device)
        return given if given is not None and kernel.overwrites(rows, wanted, given) else None

    def module(self, learnable: Sequence[str] = (), reduction: str = "mean", ignore_index: int = -100, dim: int = 1,
               inplace: bool = False, **params: float) -> LossModule:  # fmt: skip
        """The loss as a `torch.nn.Module`; parameters named in `learnable` become `nn.Parameter`s."""
        check_reduction(reduction)
        self._parameters(dict(params))
        for name in learnable:
            if name not in self._defaults:
                raise TypeError(f"{self.spec.name} has no parameter {name}")
        values = {**self._defaults, **params}
        return LossModule(self, values, learnable, reduction, ignore_index, dim, inplace, tuple(params))

    def _wanted(self, inputs: Sequence[Tensor], values: Sequence[Number]) -> tuple[str, ...]:
        """What autograd wants a gradient by. In a transform that cannot be seen, and is whatever may have one."""
        every = transformed() and not torch.compiler.is_compiling()
        names = [i.name for i, t in zip(self.spec.inputs, inputs)
                 if i.kind == "real" and isinstance(t, Tensor) and (t.requires_grad or every)]  # fmt: skip
        for name, value in zip(self._defaults, values):
            if isinstance(value, Tensor) and (value.requires_grad or every):
                names.append(name)
        return tuple(names)

    def divisor(
        self, *inputs: Tensor, ignore_index: int = -100, sample_weight: Tensor | None = None, dim: int = 1,
        **params: Number,
    ) -> Tensor:  # fmt: skip
        """What the mean of a call divides by, a scalar: the rows that count, or the sum of the loss's `per`,
        times `sample_weight`; differentiable. The sums of several batches over the sum of their divisors are one mean.

        Raises:
            TypeError, ValueError: as a call does.

        >>> import torch, glo_dsl as glo
        >>> ce = glo.compile(glo.zoo["cross_entropy"])
        >>> ce.divisor(torch.zeros(3, 2), torch.tensor([0, 1, -100]))
        tensor(2)
        """
        values, layout = self._parameters(params), layout_of(self.spec, inputs, dim)
        rows = layout.rows(inputs)
        _, found = self._weights(rows, values, ignore_index, layout, sample_weight, "mean")
        if found is not None:
            return found
        count = counted(self.spec, rows, ignore_index)
        if isinstance(count, float):
            count = torch.full((), count, device=rows[0].device)
        return torch.where(count > 0, count, 0)  # an empty batch is counted as NaN

    def _widened(self, inputs: tuple[Tensor, ...], wrt: tuple[str, ...]) -> tuple[Tensor, ...]:
        """What has a gradient by loss and divisor both, in float32 at least: their difference is rounded, not they."""
        names = set(wrt) & set(self.spec.divisor)
        return tuple(
            t.to(torch.promote_types(t.dtype, torch.float32)) if i.name in names else t
            for i, t in zip(self.spec.inputs, inputs)
        )

    def _known(self, wrt: Sequence[str]) -> tuple[str, ...]:
        for name in wrt:
            if name not in self._differentiable:
                has = ", ".join(self._differentiable)
                raise ValueError(f"{self.spec.name} has no gradient for {name}; it has: {has}")
        return tuple(wrt)

    def _prepared(
        self, inputs: Sequence[Tensor], wrt: tuple[str, ...], reduction: str, dim: int, inplace: bool = False
    ) -> Call:
        """What all calls with such tensors have in common, from the last of them if there was one."""
        traced = transformed()
        for tensor in inputs:
            traced = traced or type(tensor) not in PLAIN
        if traced:
            layout, step = layout_of(self.spec, inputs, dim), self._operator(wrt, reduction)
            return Call(self.spec, layout, wrt, step, self._differentiably(wrt, reduction), reduction)
        given = self._given_up(inputs, wrt) if inplace else None
        key: list[Any] = [wrt, reduction, dim, given]
        for tensor in inputs:
            key += (tensor.shape, tensor.stride(), tensor.dtype, tensor.device)
        found = self._ready.get(tuple(key))
        if found is None:
            found = self._prepare(inputs, wrt, reduction, dim, given)
            if len(self._ready) >= REMEMBERED:
                self._ready.clear()
            self._ready[tuple(key)] = found
        return found

    def _given_up(self, inputs: Sequence[Tensor], wrt: tuple[str, ...]) -> str | None:
        """The input whose memory may take its gradient: the prediction, unless another one lies there."""
        place = next((n for n, i in enumerate(self.spec.inputs) if i.kind == "real"), None)
        if place is None or self.spec.inputs[place].name not in wrt:
            return None
        taken = [t.untyped_storage().data_ptr() for t in inputs]
        return self.spec.inputs[place].name if taken.count(taken[place]) == 1 else None

    def _prepare(
        self, inputs: Sequence[Tensor], wrt: tuple[str, ...], reduction: str, dim: int, given: str | None
    ) -> Call:
        layout = layout_of(self.spec, inputs, dim)
        rows = layout.rows(inputs)
        dtype = widest(self.spec, rows)
        named = {i.name: t for i, t in zip(self.spec.inputs, inputs) if not i.shared}
        exact = layout.direct and all(name in named and named[name].dtype == dtype for name in wrt)
        step = self._kernel(inputs[0].device).prepare(rows, wrt, reduction, given)
        return Call(self.spec, layout, wrt, step, self._differentiably(wrt, reduction), reduction, exact, given)

    def _operator(self, wrt: tuple[str, ...], reduction: str) -> Step:
        """A step through the operator of the library."""
        key, operator = self._backing.key, self._backing.library.operator

        def step(
            rows: Sequence[Tensor], params: Sequence[Number], ignore_index: int, weights: Tensor | None,
            divisor: Tensor | None,
        ) -> tuple[Tensor, tuple[Tensor, ...]]:  # fmt: skip
            vector = self._vector(rows, params)
            loss, *gradients = operator(key, list(rows), vector, list(wrt), reduction, ignore_index, weights, divisor)
            return loss, tuple(gradients)

        return step

    def _differentiably(self, wrt: tuple[str, ...], reduction: str) -> Callable[[], Step]:
        def again() -> Step:
            if self._again is None:
                self._again = self._backing.again()
            return self._again.prepare((), wrt, reduction, None)

        return again

    def _vector(self, rows: Sequence[Tensor], values: Sequence[Number]) -> Tensor:
        """The parameters as one tensor."""
        kind, device = widest(self.spec, rows), rows[0].device
        if not values:
            return torch.empty(0, dtype=kind, device=device)
        one = torch.ones((), dtype=kind, device=device)  # a product keeps a number open in a compiled graph
        return torch.stack([v.to(device, kind) if isinstance(v, Tensor) else one * v for v in values])

    def _weights(
        self, rows: Sequence[Tensor], values: Sequence[Number], ignore_index: int, layout: Layout,
        given: Tensor | None, reduction: str,
    ) -> tuple[Tensor | None, Tensor | None]:  # fmt: skip
        """The weight of each row, and what a mean divides by; None where every row that counts counts once."""
        weights = None
        if given is not None:
            weights = weights_of(given, layout.shape, rows[0].device).reshape(layout.batch)
            weights = weights.to(widest(self.spec, rows))
            valid = counts(self.spec, rows, ignore_index)
            weights = weights if valid is None else torch.where(valid, weights, 0.0)
        if reduction != "mean":
            return weights, None
        if self._per_row is None:
            return weights, None if weights is None else weights.sum()
        each = self._per_row(tuple(rows), self._vector(rows, values), ignore_index)
        return weights, (each if weights is None else each * weights).sum()

    def _by_autograd(
        self, inputs: tuple[Tensor, ...], wanted: tuple[str, ...], ignore_index: int, weight: Tensor | None, dim: int,
        values: tuple[Number, ...],
    ) -> tuple[Tensor, dict[str, Tensor]]:  # fmt: skip
        """Value and gradients of a mean whose divisor depends on what is wanted."""
        names = [i.name for i in self.spec.inputs]
        leaves = {n: t.detach().requires_grad_(n in wanted) for n, t in zip(names, inputs)}
        numbers = {n: torch.as_tensor(v).detach() for n, v in zip(self._defaults, values)}
        leaves |= {n: t.clone().requires_grad_(n in wanted) for n, t in numbers.items()}
        with torch.enable_grad():
            params: dict[str, Any] = {n: leaves[n] for n in self._defaults}
            weight = None if weight is None else torch.as_tensor(weight).detach()
            loss = self(*(leaves[n] for n in names), ignore_index=ignore_index, sample_weight=weight, dim=dim, **params)
        found = torch.autograd.grad(loss, [leaves[n] for n in wanted])
        return loss.detach(), dict(zip(wanted, found))

    def _kernel(self, device: torch.device) -> Kernel:
        if device not in self._kernels:
            self._kernels[device] = self._backing.choose(device)
        return self._kernels[device]

    def _parameters(self, given: dict[str, Number]) -> tuple[Number, ...]:
        if not given:
            return self._usual
        for name, value in given.items():
            if name not in self._defaults:
                has = f"its parameters are {', '.join(self._defaults)}" if self._defaults else "it has no parameters"
                raise TypeError(f"{self.spec.name} has no parameter {name}; {has}")
            if not isinstance(value, (float, int, Tensor)) and not hasattr(value, "__float__"):
                raise TypeError(f"parameter {name} must be a number or a tensor, got {type(value).__name__}")
            if isinstance(value, Tensor) and value.numel() != 1:
                raise ValueError(f"parameter {name} must have one element, got shape {tuple(value.shape)}")
        values = [given.get(name, default) for name, default in self._defaults.items()]
        return tuple([v.reshape(()) if isinstance(v, Tensor) else float(v) for v in values])


def check_reduction(reduction: str) -> None:
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction must be one of {', '.join(REDUCTIONS)}, got {reduction!r}")


def _reduced(each: Tensor, weights: Tensor | None, divisor: Tensor | None, layout: Layout, reduction: str) -> Tensor:
    """The losses of rows reduced by autograd's own operations: weights or divisor have a gradient too."""
    weighted = each if weights is None else each * weights
    if reduction == "none":
        return weighted.reshape(layout.shape)
    return weighted.sum() if divisor is None else quotient(weighted.sum(), divisor)


def quotient(total: Tensor, divisor: Tensor) -> Tensor:
    """A mean; where there is nothing to divide by it is NaN, and its gradient 0, as with a divisor that is counted."""
    nothing = divisor == 0
    return torch.where(nothing, math.nan, total / torch.where(nothing, 1.0, divisor))

"""A linear layer into a loss, chunk by chunk of rows: the arithmetic behind `linear`, and its autograd functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from glo_dsl.runtime.chunk_rows import one_product
from glo_dsl.runtime.contract import CompiledLoss
from glo_dsl.runtime.scaled import times
from glo_dsl.runtime.spec import InputSpec, Number

LAYER = 3
"""Hidden states, weight and bias come before the inputs of the loss."""


@dataclass(frozen=True)
class Chunks:
    """What does not change from chunk to chunk: the loss, which of its inputs the layer computes, how it is reduced
    ("sum" or "none"), the rows of a chunk, the dtype of the logits, and for a sum the weight of each row, if any."""

    fn: CompiledLoss
    place: int
    reduction: str
    ignore_index: int
    rows: int
    dtype: torch.dtype
    weights: Tensor | None = None

    def run(
        self, arguments: Sequence[Tensor | Number | None], wanted: Sequence[bool], upstream: Tensor | None = None
    ) -> tuple[Tensor, list[Tensor | None]]:
        """Loss and gradients.

        Args:
            arguments: hidden states [rows, H], weight [C, H], bias [C] or None, other inputs, parameters.
            wanted: which of them need a gradient.
            upstream: the gradient of each row's loss [rows]; without it, that of their sum.

        Returns:
            The sum, or one loss per row; gradients shaped like their arguments, those of what all rows share in
            float32 or float64.
        """
        with torch.no_grad():
            return _Walk(self, arguments, wanted).run(upstream)


def others(fn: CompiledLoss, place: int) -> tuple[InputSpec, ...]:
    """The inputs of a loss that the layer does not compute."""
    return tuple(e for n, e in enumerate(fn.spec.inputs) if n != place)


def wanted_of(fn: CompiledLoss, place: int, wanted: Sequence[bool]) -> tuple[str, ...]:
    """By what a loss is differentiated for the gradients that are wanted of a layer's arguments and its own."""
    logits = [fn.spec.inputs[place].name] if any(wanted[:LAYER]) else []
    names = [*(e.name for e in others(fn, place)), *(name for name, _ in fn.spec.params)]
    return (*logits, *(name for name, want in zip(names, wanted[LAYER:]) if want))


class _Walk:
    """One walk over the rows."""

    def __init__(self, chunks: Chunks, arguments: Sequence[Any], wanted: Sequence[bool]) -> None:
        self.chunks, spec = chunks, chunks.fn.spec
        self.hidden, weight, bias = arguments[:LAYER]
        self.weight = weight.to(chunks.dtype)
        self.bias = None if bias is None else bias.to(chunks.dtype)
        self.rest = arguments[LAYER:]
        self.given = others(chunks.fn, chunks.place)
        self.split = [not e.shared for e in self.given]
        self.logits = spec.inputs[chunks.place].name
        self.params = [name for name, _ in spec.params]
        self.names = [*(e.name for e in self.given), *self.params]
        self.wrt = wanted_of(chunks.fn, chunks.place, wanted)
        self.layer = any(wanted[:LAYER])
        by_rows = [True, False, False, *self.split, *(False for _ in self.params)]
        self.gradients = [
            self._gradient(a, rows) if want else None for a, want, rows in zip(arguments, wanted, by_rows)
        ]
        if wanted[1]:
            self.gradients[1] = self._of_weight(weight)

    def _gradient(self, argument: Tensor, by_rows: bool) -> Tensor:
        """Room for a gradient: written row by row and rounded, or added up, in float32 at least."""
        if by_rows:
            return torch.empty(argument.shape, dtype=argument.dtype, device=self.hidden.device)
        return torch.zeros(argument.shape, dtype=self._wide(argument), device=self.hidden.device)

    def _of_weight(self, weight: Tensor) -> Tensor:
        """Room for the gradient of the weight, which the first chunk writes."""
        alone = self.chunks.rows >= self.hidden.shape[0] and one_product(weight, self.chunks.dtype)
        kind = weight.dtype if alone else self._wide(weight)
        return torch.empty(weight.shape, dtype=kind, device=self.hidden.device)

    def _wide(self, argument: Tensor) -> torch.dtype:
        """What is added up in."""
        return torch.float64 if torch.float64 in (argument.dtype, self.chunks.dtype) else torch.float32

    def run(self, upstream: Tensor | None) -> tuple[Tensor, list[Tensor | None]]:
        count, rows = self.hidden.shape[0], self.chunks.rows
        room = self.hidden.new_empty((min(count, rows), self.weight.shape[0]), dtype=self.chunks.dtype)
        total = None
        for start in range(0, max(count, 1), rows):
            part = slice(start, min(start + rows, count))
            states = self.hidden[part].to(self.chunks.dtype)
            logits = _product(states, self.weight, self.bias, room[: states.shape[0]])
            loss, found = self._loss(logits, part, upstream)
            total = self._added(total, loss, part)
            if self.layer:
                self._layer(found[self.logits], states, part)
            self._others(found, part)
            del found, loss  # before the next chunk asks for as much
        assert total is not None
        return total, self.gradients

    def _added(self, total: Tensor | None, loss: Tensor, part: slice) -> Tensor:
        """The loss so far. It is kept in one place: small tensors left behind by every chunk would lie between the
        large ones, and C's allocator could not use the room between them again."""
        if self.chunks.reduction == "none":
            total = loss.new_empty(self.hidden.shape[0]) if total is None else total
            total[part] = loss
            return total
        return loss if total is None else total.add_(loss)

    def _loss(self, logits: Tensor, part: slice, upstream: Tensor | None) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a chunk, and its gradients by the logits and whatever else is wanted."""
        chunks, fn = self.chunks, self.chunks.fn
        inputs = [t[part] if split else t for t, split in zip(self.rest, self.split)]
        inputs.insert(chunks.place, logits)
        params = dict(zip(self.params, self.rest[len(self.split) :]))
        weights = chunks.weights if upstream is None else upstream
        try:
            return fn.value_and_grad(
                *inputs, wrt=self.wrt, reduction=chunks.reduction, ignore_index=chunks.ignore_index,
                sample_weight=None if weights is None else weights[part], inplace=True, **params,
            )  # fmt: skip
        except IndexError as error:
            raise self._bad_class(error) from None

    def _layer(self, slope: Tensor, states: Tensor, part: slice) -> None:
        """What the gradient of a chunk's logits means for hidden states, weight and bias."""
        hidden, weight, bias = self.gradients[:LAYER]
        if hidden is not None:
            if hidden.dtype == slope.dtype:
                torch.mm(slope, self.weight, out=hidden[part])
            else:
                hidden[part] = slope @ self.weight
        if weight is not None:
            _add_product(weight, slope.t(), states, first=part.start == 0)
        if bias is not None:
            bias += slope.sum(0, dtype=bias.dtype)

    def _others(self, found: dict[str, Tensor], part: slice) -> None:
        split = [*self.split, *(False for _ in self.params)]
        for name, gradient, rows in zip(self.names, self.gradients[LAYER:], split):
            if gradient is not None and rows:
                gradient[part] = found[name]
            elif gradient is not None:
                gradient += found[name].reshape(gradient.shape)

    def _bad_class(self, error: IndexError) -> IndexError:
        """The error with the row of the call, where the kernel knows the row of the chunk."""
        classes = self.weight.shape[0]
        for entry, tensor in zip(self.given, self.rest):
            if entry.kind == "class":
                bad = ((tensor < 0) | (tensor >= classes)) & (tensor != self.chunks.ignore_index)
                for row in bad.nonzero()[:1, 0].tolist():
                    return IndexError(f"class index {int(tensor[row])} in row {row} is outside [0, {classes})")
        return error


def _product(states: Tensor, weight: Tensor, bias: Tensor | None, out: Tensor) -> Tensor:
    return torch.mm(states, weight.t(), out=out) if bias is None else torch.addmm(bias, states, weight.t(), out=out)


def _add_product(total: Tensor, a: Tensor, b: Tensor, first: bool) -> None:
    """Adds a product to a total that may be wider than its factors, with no product in between; the first is written
    over whatever is there."""
    if a.dtype == total.dtype:
        torch.mm(a, b, out=total) if first else total.addmm_(a, b)
    elif total.is_cuda and torch.version.hip is None:
        if first:
            torch.mm(a, b, out_dtype=total.dtype, out=total)
        else:
            torch.addmm(total, a, b, out_dtype=total.dtype, out=total)  # it copies what it adds to, unless that is out
    else:
        _add_product(total, a.to(total.dtype), b.to(total.dtype), first)


class Computed(torch.autograd.Function):
    """A sum, with its gradients computed along the way."""

    @staticmethod
    def forward(ctx: Any, chunks: Chunks, *arguments: Tensor | Number | None) -> Tensor:
        loss, gradients = chunks.run(arguments, ctx.needs_input_grad[1:])
        ctx.save_for_backward(*(g for g in gradients if g is not None))
        ctx.likes = _likes(arguments, ctx.needs_input_grad[1:])
        return loss

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        kept = torch._C._autograd._get_current_graph_task_keep_graph()
        kinds = [like[0] for like in ctx.likes if like is not None]
        with torch.no_grad():
            scaled = [times(g, upstream, kind, kept) for g, kind in zip(ctx.saved_tensors, kinds)]
        return None, *_handed_out(scaled, ctx.likes)


class Recomputed(torch.autograd.Function):
    """One loss per row. Its gradient needs what comes from above, and so a second walk."""

    @staticmethod
    def forward(ctx: Any, chunks: Chunks, *arguments: Tensor | Number | None) -> Tensor:
        ctx.chunks, ctx.wanted = chunks, ctx.needs_input_grad[1:]
        ctx.save_for_backward(*(a if isinstance(a, Tensor) else None for a in arguments))
        ctx.numbers = [None if isinstance(a, Tensor) else a for a in arguments]
        return chunks.run(arguments, [False] * len(arguments))[0]

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        arguments = [n if t is None else t for t, n in zip(ctx.saved_tensors, ctx.numbers)]
        found = ctx.chunks.run(arguments, ctx.wanted, upstream)[1]
        return None, *_handed_out([g for g in found if g is not None], _likes(arguments, ctx.wanted))


class _Final(torch.autograd.Function):
    """A gradient that cannot be differentiated again and says so: a detached one would silently count as constant."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient.view_as(gradient)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Tensor:
        raise RuntimeError(
            "the gradient of a linear layer into a loss cannot be differentiated again; "
            "apply the compiled loss to logits for that"
        )


Like = tuple[torch.dtype, torch.device] | None
"""What the gradient of an argument is to be like; None: there is none."""


def _likes(arguments: Sequence[Any], wanted: Sequence[bool]) -> list[Like]:
    return [(a.dtype, a.device) if want else None for a, want in zip(arguments, wanted)]


def _handed_out(found: Sequence[Tensor], likes: Sequence[Like]) -> list[Tensor | None]:
    """A gradient or None for each argument."""
    remaining = iter(found)
    with torch.no_grad():
        out = [None if like is None else next(remaining).to(dtype=like[0], device=like[1]) for like in likes]
    if torch.is_grad_enabled():  # create_graph=True
        return [None if g is None else _Final.apply(g.detach().requires_grad_()) for g in out]  # type: ignore[no-untyped-call]
    return out

"""`linear`: hidden states times a weight to a loss. Rows are walked in chunks: the whole logits need not exist."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from glo_dsl.errors import GloError, did_you_mean
from glo_dsl.lang.loss import Loss
from glo_dsl.runtime.chunk_rows import rows_at_a_time
from glo_dsl.runtime.chunks import Chunks, Computed, Recomputed, others, wanted_of
from glo_dsl.runtime.compile import compile
from glo_dsl.runtime.contract import CompiledLoss, check_reduction, quotient
from glo_dsl.runtime.layout import weights_of
from glo_dsl.runtime.spec import Number


def linear(loss: Loss | CompiledLoss, logits: str | None = None) -> LinearLoss:
    """A loss on top of a linear layer, without the logits in between; see `LinearLoss` for how to call it.

    Args:
        loss: any loss of rows, compiled or not.
        logits: the name of the input that the layer computes; by default the first real input per class.

    Raises:
        GloError: the loss has no such input, or cannot be compiled. TypeError: `loss` is no loss.

    >>> import torch, glo_dsl as glo
    >>> fused = glo.linear(glo.zoo["cross_entropy"])
    >>> hidden, weight = torch.ones(2, 3, requires_grad=True), torch.zeros(4, 3, requires_grad=True)
    >>> loss = fused(hidden, weight, torch.tensor([0, 1]))
    >>> loss
    tensor(1.3863, grad_fn=...)
    >>> loss.backward()
    >>> weight.grad[:, 0]
    tensor([-0.2500, -0.2500,  0.2500,  0.2500])
    """
    fn = compile(loss) if isinstance(loss, Loss) else loss
    if not isinstance(fn, CompiledLoss):
        raise TypeError(f"linear takes a loss or a compiled loss, got {type(loss).__name__}")
    return LinearLoss(fn, _place(fn, logits))


def _place(fn: CompiledLoss, name: str | None) -> int:
    """Which input the layer computes."""
    able = {e.name: n for n, e in enumerate(fn.spec.inputs) if e.kind == "real" and e.rows and not e.shared}
    if not able:
        raise GloError(
            f"{fn.spec.name} has no logits that a linear layer could compute",
            hint="it needs an input of real numbers per class, as z: real[C]; others take the layer's output as it is",
        )
    if name is None:
        return next(iter(able.values()))
    if name not in able:
        hint = did_you_mean(name, able) or f"it has: {', '.join(able)}"
        raise GloError(f"{fn.spec.name} has no real input {name} per class", hint=hint)
    return able[name]


class LinearLoss:
    """A loss of `hidden @ weight.T + linear_bias`, computed chunk by chunk of rows, value and gradients at once.

    Call it as `fused(hidden, weight, *inputs, linear_bias=None, reduction="mean", ignore_index=-100,
    sample_weight=None, chunk=None, **params)`: hidden is (..., H), weight (C, H) and linear_bias (C,), as
    `torch.nn.Linear` has them; `inputs` are the loss's other inputs in order: (...) per sample, (..., C) per class and
    (C,) if shared. `chunk` is the number of rows of logits that exist at a time. The rest is as in a call of the loss.

    Everything real may require a gradient, parameters included; nothing is computed for what does not. "mean" and
    "sum" compute gradients along with the value and keep nothing else; "none" keeps its arguments and computes the
    logits again in the backward. Under autocast the products are in its dtype.

    The gradient of the weight is added up in float32 (float64 for float64) and rounded once; what comes from above
    multiplies it before. For a weight of float32 or wider these sums are the gradient itself. For a narrower one they
    are a tensor of their own, twice as large as the gradient. Beyond them and the gradients it takes by default at most
    an eighth of the memory of all logits (on the CPU too, where copies in float32 are counted), and less where few rows
    are enough for fast matrix products; only logits of a few kilobytes are not cut up.

    In bfloat16 on a GPU sums are not needed where all rows are one chunk: the gradient of the weight is one product,
    rounded once, which what comes from above multiplies after. So it is by default wherever the logits of all rows
    take no more memory than the sums and that eighth: for up to about twice as many rows as hidden is wide.

    Raises:
        TypeError: an unknown or missing argument. ValueError: shapes, dtypes or devices that do not fit.
        IndexError: a class index out of range, where it can be seen without waiting for the device.
    """

    def __init__(self, fn: CompiledLoss, place: int) -> None:
        self.fn = fn
        self._place = place
        self._others = others(fn, place)

    def __repr__(self) -> str:
        return f"<linear layer into {self.fn!r}>"

    def __call__(
        self, hidden: Tensor, weight: Tensor, /, *inputs: Tensor, linear_bias: Tensor | None = None,
        reduction: str = "mean", ignore_index: int = -100, sample_weight: Tensor | None = None,
        chunk: int | None = None, **params: Number,
    ) -> Tensor:  # fmt: skip
        """The loss: a scalar for "mean" and "sum", one value per sample, shaped like them, for "none"."""
        check_reduction(reduction)
        numbers = self.fn._parameters(params)
        dtype = _check_layer(hidden, weight, linear_bias)
        flat = self._flat(hidden, weight, inputs)
        states = hidden.reshape(-1, hidden.shape[-1])
        weights = None if sample_weight is None else weights_of(sample_weight, hidden.shape[:-1], hidden.device)
        by_row = reduction == "none" or (weights is not None and weights.requires_grad)
        divisor = self._divisor(states, weight, flat, ignore_index, weights, params) if reduction == "mean" else None
        within = divisor is not None and not by_row and dtype != torch.float16
        if divisor is not None and within:
            weights = _divided(divisor, weights, states.shape[0], dtype)
        tensors = (states, weight, linear_bias, *flat, *numbers)
        loss = self._walked(tensors, None if by_row else weights, by_row, ignore_index, chunk, dtype)
        if by_row and weights is not None:
            loss = loss * weights
        if reduction == "none":
            return loss.reshape(hidden.shape[:-1])
        loss = loss.sum() if by_row else loss
        if divisor is None:
            return loss
        return _marked(loss, divisor) if within else quotient(loss, divisor)

    def _walked(
        self, tensors: Sequence[Any], weights: Tensor | None, by_row: bool, ignore_index: int, chunk: int | None,
        dtype: torch.dtype,
    ) -> Tensor:  # fmt: skip
        """The sum of the losses of all rows, or with `by_row` each of them."""
        wanted = [torch.is_grad_enabled() and isinstance(t, Tensor) and t.requires_grad for t in tensors]
        rows = self._rows(tensors, wanted, dtype) if chunk is None else _checked(chunk)
        total = "none" if by_row else "sum"
        chunks = Chunks(self.fn, self._place, total, ignore_index, rows, dtype, weights)
        if not any(wanted):
            return chunks.run(tensors, wanted)[0]
        found: Tensor = (Recomputed if by_row else Computed).apply(chunks, *tensors)  # type: ignore[no-untyped-call]
        return found

    def _rows(self, tensors: Sequence[Any], wanted: Sequence[bool], dtype: torch.dtype) -> int:
        """How many rows of logits exist at a time, by default."""
        states, weight, _, *rest = tensors
        inputs = rest[: len(self._others)]
        inputs.insert(self._place, states.new_empty((1, weight.shape[0]), dtype=dtype))
        wrt = wanted_of(self.fn, self._place, wanted)
        alone = self.fn.overwritten(inputs, wrt) == self.fn.spec.inputs[self._place].name
        return rows_at_a_time(states, weight, dtype, tensors=1 if alone else 2, learns=wanted[1])

    def _flat(self, hidden: Tensor, weight: Tensor, inputs: Sequence[Tensor]) -> list[Tensor]:
        """The other inputs as the rows that go with the hidden states, checked; their kinds the loss checks itself."""
        batch, classes, name = hidden.shape[:-1], weight.shape[0], self.fn.spec.name
        if len(inputs) != len(self._others):
            names = "".join(f", {e.name}" for e in self._others)
            raise TypeError(f"{name} takes hidden, weight{names}; got {len(inputs)} inputs after weight")
        flat = []
        for entry, tensor in zip(self._others, inputs):
            if not isinstance(tensor, Tensor):
                raise TypeError(f"{entry.name} must be a tensor, got {type(tensor).__name__}")
            expected = (classes,) if entry.shared else (*batch, classes) if entry.rows else tuple(batch)
            if tuple(tensor.shape) != expected:
                got = f"to go with hidden and weight, got {tuple(tensor.shape)}"
                raise ValueError(f"{entry.name} must have shape {expected} {got}")
            if tensor.device != hidden.device:
                raise ValueError(f"{entry.name} is on {tensor.device}, hidden on {hidden.device}")
            flat.append(tensor if entry.shared else tensor.reshape(-1, classes) if entry.rows else tensor.reshape(-1))
        return flat

    def _divisor(
        self, states: Tensor, weight: Tensor, flat: Sequence[Tensor], ignore_index: int, weights: Tensor | None,
        params: dict[str, Any],
    ) -> Tensor:  # fmt: skip
        """What the mean divides by; it must not depend on the logits, for they never exist together."""
        spec = self.fn.spec
        logits = spec.inputs[self._place].name
        if logits in spec.divisor:
            raise ValueError(
                f"the mean of {spec.name} divides by a sum over {logits}, and that is never there as a whole; "
                f'use reduction="sum"'
            )
        inputs = list(flat)
        inputs.insert(self._place, states.new_zeros(()).expand(states.shape[0], weight.shape[0]))  # one number
        return self.fn.divisor(*inputs, ignore_index=ignore_index, sample_weight=weights, **params)


def _check_layer(hidden: Tensor, weight: Tensor, bias: Tensor | None) -> torch.dtype:
    """The dtype of the logits: that of hidden and weight, or autocast's."""
    given = {"hidden": hidden, "weight": weight} | ({} if bias is None else {"linear_bias": bias})
    for name, tensor in given.items():
        if not isinstance(tensor, Tensor):
            raise TypeError(f"{name} must be a tensor, got {type(tensor).__name__}")
        if not tensor.is_floating_point():
            raise ValueError(f"{name} must be a floating point tensor, got {tensor.dtype}")
        if tensor.device != hidden.device:
            raise ValueError(f"{name} is on {tensor.device}, hidden on {hidden.device}")
    if hidden.dim() == 0 or weight.dim() != 2 or hidden.shape[-1] != weight.shape[1]:
        shapes = f"{tuple(hidden.shape)} and {tuple(weight.shape)}"
        raise ValueError(f"hidden must be (..., H) and weight (C, H), got {shapes}")
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"linear_bias must have shape ({weight.shape[0]},), got {tuple(bias.shape)}")
    kinds = {tensor.dtype for tensor in given.values()}
    kind = hidden.device.type
    if torch.is_autocast_enabled(kind) and torch.float64 not in kinds:
        return torch.get_autocast_dtype(kind)
    if len(kinds) > 1:
        had = ", ".join(f"{name} {tensor.dtype}" for name, tensor in given.items())
        raise ValueError(f"hidden, weight and linear_bias must have one dtype, got {had}")
    return hidden.dtype


def _checked(chunk: int) -> int:
    if not isinstance(chunk, int) or chunk < 1:
        raise ValueError(f"chunk must be a positive number of rows, got {chunk!r}")
    return chunk


def _divided(divisor: Tensor, weights: Tensor | None, rows: int, dtype: torch.dtype) -> Tensor:
    """What makes a sum of rows their mean, as the weight of each: gradients are divided before they are rounded. Where
    there is nothing to divide by, no row counts."""
    kind = torch.float64 if dtype == torch.float64 else torch.float32
    known = divisor.detach().to(kind)
    inverse = torch.where(known == 0, 0.0, 1.0 / torch.where(known == 0, 1.0, known))
    return inverse.expand(rows) if weights is None else weights * inverse


def _marked(mean: Tensor, divisor: Tensor) -> Tensor:
    """A mean that has been divided already: NaN where there was nothing to divide by, and with a gradient by what it
    was divided by; that of the mean itself stays exactly what comes from above."""
    nothing = divisor == 0
    if divisor.requires_grad:
        some = torch.where(nothing, 1.0, divisor)
        mean = mean * (some.detach() / some)
    return torch.where(nothing, math.nan, mean)

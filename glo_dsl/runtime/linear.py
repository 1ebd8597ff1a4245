"""`linear`: hidden states times a weight to a loss. Rows are walked in chunks: the whole logits never exist."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from glo_dsl.errors import GloError, did_you_mean
from glo_dsl.lang.loss import Loss
from glo_dsl.runtime.chunks import Chunks, Computed, Recomputed, others
from glo_dsl.runtime.compile import compile
from glo_dsl.runtime.contract import CompiledLoss, check_reduction, quotient
from glo_dsl.runtime.layout import weights_of
from glo_dsl.runtime.spec import Number

SHARE = 8
"""What exists of the logits at a time, gradients and copies included, is at most this part of all of them."""

ENOUGH_ON_CPU, ENOUGH_ELSEWHERE = 192, 1024
"""Rows below which a matrix product mostly waits for memory: every chunk reads the weight, and reads and writes its
gradient."""


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
    (C,) if shared. `chunk` is the number of rows of logits that exist at a time; by default so few that they take an
    eighth of the memory of all at most, with their gradient, and no more than hidden where that is enough rows for
    fast matrix products. The rest is as in a call of the loss.

    Everything real may require a gradient, parameters included; nothing is computed for what does not. "mean" and
    "sum" compute gradients along with the value and keep nothing else; "none" keeps its arguments and computes the
    logits again in the backward. The gradient of the weight is added up in float32 (float64 for float64) and rounded
    once. Under autocast the products are in its dtype.

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
        total = "none" if by_row else "sum"
        rows = _rows_at_a_time(states, weight, chunk, dtype, total)
        chunks = Chunks(self.fn, self._place, total, ignore_index, rows, dtype, None if by_row else weights)
        tensors = (states, weight, linear_bias, *flat, *numbers)
        if torch.is_grad_enabled() and any(isinstance(t, Tensor) and t.requires_grad for t in tensors):
            function = Recomputed if total == "none" else Computed
            loss: Tensor = function.apply(chunks, *tensors)  # type: ignore[no-untyped-call]
        else:
            loss, _ = chunks.run(tensors, [False] * len(tensors))
        if by_row and weights is not None:
            loss = loss * weights
        if by_row and reduction != "none":
            loss = loss.sum()
        if reduction == "mean":
            return quotient(loss, self._divisor(states, weight, flat, ignore_index, weights, params))
        return loss.reshape(hidden.shape[:-1]) if reduction == "none" else loss

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


def _rows_at_a_time(states: Tensor, weight: Tensor, chunk: int | None, dtype: torch.dtype, reduction: str) -> int:
    """How many rows of logits exist at a time."""
    if chunk is not None:
        if not isinstance(chunk, int) or chunk < 1:
            raise ValueError(f"chunk must be a positive number of rows, got {chunk!r}")
        return chunk
    on_cpu = states.device.type == "cpu"
    tensors = 3 if reduction == "none" else 2  # logits, their gradient, and that times what comes from above
    if on_cpu and dtype.itemsize < torch.float32.itemsize:
        tensors *= 3  # the kernel computes in float32, on copies
    like_hidden = states.numel() // max(weight.shape[0], 1)
    enough = ENOUGH_ON_CPU if on_cpu else ENOUGH_ELSEWHERE
    return max(1, min(max(like_hidden, enough), states.shape[0] // (SHARE * tensors)))

"""A kernel out of a generated `launch` of Triton: what rows are multiplied by and their total, found on the device.

This file is also copied, as it stands, into every module that `glo-compile` writes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from glo_dsl.runtime.repeated import Recorder, Repeated
from glo_dsl.runtime.spec import Constants, Kernel, Launch, Number, Spec, Step, all_count, replaceable
from glo_dsl.runtime.totals import CHUNK, one_over_counted, summed

COUNTED = 1024
"""Rows that every program of a kernel counts for itself: for so few that costs less than one more launch."""

SHORT = 4096
"""Classes of such rows: of longer ones the work hides another launch, and a cluster of blocks may do it, which cannot
count."""

IGNORED = 16
"""Values of `ignore_index` for which a step keeps its launches."""


def launched(spec: Spec, launch: Launch, overwrites: Sequence[str] = ()) -> Kernel:
    """The kernel. A mean of few rows is two launches, the loss and its total; one of many rows counts them before.

    Gradients come rounded. `overwrites` names the inputs whose memory the launch can leave their gradient in.
    """
    constants = Constants()

    def replaces(rows: Sequence[Tensor], wrt: tuple[str, ...], name: str) -> bool:
        named = {i.name: t for i, t in zip(spec.inputs, rows)}
        return name in overwrites and name in wrt and replaceable(named[name])

    def prepare(rows: Sequence[Tensor], wrt: tuple[str, ...], reduction: str, inplace: str | None = None) -> Step:
        replaced = (inplace,) if inplace is not None and replaces(rows, wrt, inplace) else ()
        return _Launched(spec, launch, constants, rows, wrt, reduction, replaced)

    return Kernel(prepare, rounds=True, overwrites=replaces)


class _Launched:
    """A step; see `Step`. Its launches are kept, to be repeated."""

    def __init__(
        self, spec: Spec, launch: Launch, constants: Constants, rows: Sequence[Tensor], wrt: tuple[str, ...],
        reduction: str, replaced: tuple[str, ...],
    ) -> None:  # fmt: skip
        self._launch, self._constants, self._device, self._batch = launch, constants, rows[0].device, spec.batch(rows)
        self._wrt, self._reduction, self._replaced = wrt, reduction, replaced
        self._classes = spec.classes(rows)
        self._targets = [n for n, i in enumerate(spec.inputs) if i.kind == "class"]
        few = len(self._batch) == 1 and self._batch[0] <= CHUNK
        self._repeats = few and not replaced and len(set(wrt)) == len(wrt)
        self._repeated: dict[int, Repeated] = {}

    def __call__(
        self, inputs: Sequence[Tensor], params: Sequence[Number], ignore_index: int, weights: Tensor | None,
        divisor: Tensor | None,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:  # fmt: skip
        vector = self._constants.vector(tuple(params), self._device, torch.float32)
        scale = self._scale(inputs, ignore_index, divisor)
        if weights is not None:
            weights = weights.to(torch.float32).contiguous()
        repeated = self._repeated.get(ignore_index)
        found = None
        if repeated is not None and weights is None and (scale is None) == repeated.finds:
            found = repeated.run(inputs, vector, scale)
        return found or self._anew(inputs, vector, scale, ignore_index, weights)

    def _scale(self, inputs: Sequence[Tensor], ignore_index: int, divisor: Tensor | None) -> Tensor | None:
        """What gradients are multiplied by; None where the launch finds it."""
        if self._reduction != "mean":
            return self._constants.vector((1.0,), self._device, torch.float32)
        if divisor is not None:
            return divisor.to(torch.float32).reciprocal()
        one = len(self._batch) == 1
        targets = [inputs[n] if one else inputs[n].reshape(-1) for n in self._targets]
        return mean_scale(self._constants, targets, self._batch, self._classes, ignore_index, self._device)

    def _anew(
        self, inputs: Sequence[Tensor], vector: Tensor, scale: Tensor | None, ignore_index: int, weights: Tensor | None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The outcome by launches that are made up from the start; they are kept where they can be repeated."""
        finds: dict[str, Any] = {"counts": True} if scale is None else {}
        if scale is None:
            scale = torch.empty(1, dtype=torch.float32, device=self._device)
        rows, total = Recorder(), Recorder()
        loss, found = self._launch(
            inputs, vector, self._wrt, scale, ignore_index, weights, self._replaced, start=rows, **finds
        )
        gradients, value = tuple([found[name] for name in self._wrt]), loss
        if self._reduction != "none":
            losses = loss if loss.dim() == 1 else loss.view(-1)
            value = summed(losses, scale if self._reduction == "mean" else None, start=total)
        if self._repeats and weights is None:
            first = rows.again([*inputs, vector, scale, loss, *gradients])
            second = None if value is loss else total.again([value, loss, scale])
            if first is not None and (value is loss or second is not None):
                if len(self._repeated) >= IGNORED:
                    self._repeated.clear()
                made = tuple([(tuple(g.shape), g.stride(), g.dtype) for g in gradients])
                self._repeated[ignore_index] = Repeated(first, second, loss.numel(), made, bool(finds))
        return value, gradients


def mean_scale(
    constants: Constants, targets: Sequence[Tensor], batch: Sequence[int], classes: int, ignore_index: int,
    device: torch.device,
) -> Tensor | None:  # fmt: skip
    """1 over the rows that count, of a batch or of each of its planes; None where the launch of the loss finds it.

    Args:
        targets: the classes by which rows are ignored [rows] or, where planes count for themselves, [planes, rows].
        batch: how many rows there are, by axes; of a plane, where planes count for themselves.
    """
    if not targets:
        rows = math.prod(batch)
        return constants.vector((1.0 / rows if rows else math.nan,), device, torch.float32)
    if len(batch) == 1 and 0 < batch[0] <= COUNTED and classes <= SHORT:
        return None
    if len(targets) == 1:
        return one_over_counted(targets[0], ignore_index)
    return one_over_counted(all_count(targets, ignore_index), 0)

"""Compiled losses as one operator of PyTorch's, which torch.compile and other tracers take as it stands.

This file is also copied, as it stands, into every module that `glo-compile` writes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from glo_dsl.runtime.spec import Kernel, Spec, widest

SCHEMA = (
    "(str key, Tensor[] inputs, Tensor params, str[] wrt, str reduction, int ignore_index, Tensor? weights, "
    "Tensor? divisor) -> Tensor[]"
)


@dataclass(frozen=True, weakref_slot=True, slots=True)
class Entry:
    """A loss behind the operator: what its calls provide, and its kernel on a device."""

    spec: Spec
    kernel: Callable[[torch.device], Kernel]


class Library:
    """The operator and the losses behind it, each under a key that says what it computes.

    The operator takes the arguments of a `Step`, parameters as a vector, and returns the loss and the gradients by
    `wrt`. It has no derivative: that of the loss is the business of whoever calls it.
    """

    def __init__(self, name: str) -> None:
        self._entries: WeakValueDictionary[str, Entry] = WeakValueDictionary()
        namespace, _, short = name.partition("::")
        if not hasattr(getattr(torch.ops, namespace), short):  # the same module may be imported under two names
            operator = torch.library.custom_op(name, self._compute, mutates_args=(), schema=SCHEMA)
            operator.register_fake(self._shapes)
        self.operator: Any = getattr(getattr(torch.ops, namespace), short).default

    def add(self, key: str, entry: Entry) -> Entry:
        """Makes a loss known for as long as what this returns is held: all who hold the same loss hold one entry."""
        return self._entries.setdefault(key, entry)

    def _entry(self, key: str) -> Entry:
        if key not in self._entries:
            raise RuntimeError(f"the loss {key} of a compiled graph is no longer there: keep what glo.compile returned")
        return self._entries[key]

    def _compute(
        self, key: str, inputs: Sequence[Tensor], params: Tensor, wrt: Sequence[str], reduction: str,
        ignore_index: int, weights: Tensor | None, divisor: Tensor | None,
    ) -> list[Tensor]:  # fmt: skip
        step = self._entry(key).kernel(inputs[0].device).prepare(inputs, tuple(wrt), reduction, None)
        loss, gradients = step(inputs, params.unbind(), ignore_index, weights, divisor)
        per_class = {i.name for i in self._entry(key).spec.inputs if i.rows}
        laid = [_laid(g) if name in per_class else g.contiguous() for name, g in zip(wrt, gradients)]
        return _apart([loss.contiguous(), *laid])

    def _shapes(
        self, key: str, inputs: Sequence[Tensor], params: Tensor, wrt: Sequence[str], reduction: str,
        ignore_index: int, weights: Tensor | None, divisor: Tensor | None,
    ) -> list[Tensor]:  # fmt: skip
        """What `_compute` gives, without its numbers."""
        entry = self._entry(key)
        spec, kernel = entry.spec, entry.kernel(inputs[0].device)
        dtype, named = widest(spec, inputs), dict(zip((i.name for i in spec.inputs), zip(spec.inputs, inputs)))
        rows = spec.batch(inputs)
        found = [inputs[0].new_empty(rows if reduction == "none" else (), dtype=dtype)]
        for name in wrt:
            per_class = name in named and named[name][0].rows
            shape = (*rows, named[name][1].shape[-1]) if per_class else rows
            rounded = kernel.rounds and name in named and not named[name][0].shared
            made = inputs[0].new_empty(shape, dtype=named[name][1].dtype if rounded else dtype)
            found.append(_laid(made) if per_class else made)
        return found


def _laid(gradient: Tensor) -> Tensor:
    """A gradient per class, in memory as an operator returns it: with planes, rows are side by side."""
    if gradient.dim() < 3:
        return gradient.contiguous()
    return gradient.transpose(1, 2).contiguous().transpose(1, 2)


def _apart(tensors: list[Tensor]) -> list[Tensor]:
    """The tensors, none on the memory of another, as the results of an operator have to be."""
    taken: set[int] = set()
    for n, tensor in enumerate(tensors):
        if tensor.untyped_storage().data_ptr() in taken:
            tensors[n] = tensor.clone()
        taken.add(tensors[n].untyped_storage().data_ptr())
    return tensors

"""The launches of a step once more, with nothing new but where its tensors are.

Of a small batch the device makes short work, and what a call costs is what the host does before. Shapes, strides and
dtypes are those of the call before, and with them everything else that a launch is given.
This file is also copied, as it stands, into every module that `glo-compile` writes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from glo_dsl.runtime.start import Argument, Startable, start


@dataclass(frozen=True, slots=True)
class Again:
    """A launch as it was, for pointers that are multiples of 16.

    Attributes:
        passed: its arguments.
        places: which of them are pointers, and to which of the tensors.
    """

    startable: Startable
    programs: int
    passed: tuple[int | None, ...]
    places: tuple[tuple[int, int], ...]

    def start(self, pointers: Sequence[int]) -> bool:
        """Starts it with these; False where it has to be started by Triton."""
        passed = list(self.passed)
        for place, n in self.places:
            passed[place] = pointers[n]
        return self.startable.again(self.programs, passed)


class Recorder:
    """Starts kernels, and knows how the last one was started."""

    def __init__(self) -> None:
        self._last: tuple[Startable | None, int, Sequence[Argument]] = None, 0, ()

    def __call__(self, kernel: Any, programs: int, values: Sequence[Argument], sizes: Mapping[str, int]) -> None:
        self._last = start(kernel, programs, values, sizes), programs, values

    def again(self, tensors: Sequence[Tensor]) -> Again | None:
        """That launch, for others in the place of these tensors; None where they are not all that it was given."""
        startable, programs, values = self._last
        order = {id(tensor): n for n, tensor in enumerate(tensors)}
        given = [(place, value) for place, value in enumerate(values) if isinstance(value, Tensor)]
        strange = any(id(value) not in order or value.data_ptr() & 15 for _, value in given)
        if startable is None or strange or len(order) < len(tensors):
            return None
        passed = tuple([None if isinstance(value, Tensor) else value for value in values])
        return Again(startable, programs, passed, tuple([(place, order[id(value)]) for place, value in given]))


@dataclass(frozen=True, slots=True)
class Repeated:
    """The launches of a step: the loss of its rows and, unless they are the result, their total.

    Attributes:
        loss: the first launch; its tensors are the inputs, the parameters, the scale, the losses, the gradients.
        total: the second; its tensors are the total, the losses, the scale.
        rows: of the batch.
        gradients: size, stride and dtype of each.
        finds: the launch finds the scale.
    """

    loss: Again
    total: Again | None
    rows: int
    gradients: tuple[tuple[tuple[int, ...], tuple[int, ...], torch.dtype], ...]
    finds: bool

    def run(
        self, inputs: Sequence[Tensor], vector: Tensor, scale: Tensor | None
    ) -> tuple[Tensor, tuple[Tensor, ...]] | None:
        """The outcome of a step; None where it is no repetition."""
        device, rows = vector.device, self.rows
        room = torch.empty(rows + 4 if scale is None else rows, dtype=torch.float32, device=device)
        gradients = tuple([torch.empty_strided(size, stride, dtype=dtype, device=device)
                           for size, stride, dtype in self.gradients])  # fmt: skip
        losses = room.data_ptr()
        at_scale = losses + 4 * (rows + -rows % 4) if scale is None else scale.data_ptr()
        pointers = [t.data_ptr() for t in inputs]
        pointers += (vector.data_ptr(), at_scale, losses)
        pointers += [g.data_ptr() for g in gradients]
        bits = 0
        for pointer in pointers:
            bits |= pointer
        if bits & 15 or not self.loss.start(pointers):
            return None
        if self.total is None:
            return room, gradients
        total = torch.empty((), dtype=torch.float32, device=device)
        if not self.total.start((total.data_ptr(), losses, at_scale)):
            return None
        return total, gradients

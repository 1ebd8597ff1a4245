"""The losses of a bundle by Triton: each member is a plane of rows, and one launch computes the planes of many."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
import torch
from torch import Tensor

from glo_codegen.triton_switch import emit_switch, input_name, parameter_name
from glo_dsl.lang.loss import Loss
from glo_dsl.passes.pipeline import whole_program
from glo_dsl.runtime.compile import spec_of, triton_module
from glo_dsl.runtime.launched import mean_scale
from glo_dsl.runtime.load_module import load_module
from glo_dsl.runtime.spec import Constants, Launch, Spec
from glo_dsl.runtime.start import start
from glo_dsl.runtime.totals import summed

Places = slice | Tensor
"""Members by their place: those of one launch often follow each other, and then are a view."""

Wanted = tuple[int | str, ...]
"""What gradients are computed for: places of inputs, names of parameters."""

CONSTANTS = Constants()

TOGETHER = 16
"""Different losses in one kernel. It is compiled whole, a second or so for each of them."""


@dataclass(frozen=True)
class Group:
    """Members that are computed by one launch.

    Attributes:
        spec: the inputs, as the launch calls them.
        launch: as `emit_triton` prints it.
        names: what the launch calls the gradients that it has.
        count: of members.
        places: of these among all.
    """

    spec: Spec
    launch: Launch
    names: Mapping[int | str, str]
    count: int
    places: Places

    def run(
        self, inputs: Sequence[Tensor], own: Sequence[bool], wanted: Wanted, theta: Tensor, reduction: str,
        ignore_index: int, divisors: Tensor | None,
    ) -> tuple[Tensor, dict[int, Tensor]]:  # fmt: skip
        """The losses [P] or [P, N] of its members, and their gradients [P, N, C] or [P, N] by the place in `wanted`."""
        parts = [self._of(t) if mine else t for t, mine in zip(inputs, own)]
        mean, finds = reduction == "mean", {}
        if mean:
            scale = self._scale(parts, own, ignore_index, divisors)
            if scale is None:
                scale, finds = torch.empty(self.count, dtype=torch.float32, device=theta.device), {"counts": True}
        else:
            scale = CONSTANTS.vector((1.0,), theta.device, torch.float32)
        wrt = {n: self.names[w] for n, w in enumerate(wanted) if w in self.names}
        loss, found = self.launch(
            parts, self._of(theta), tuple(wrt.values()), scale, ignore_index, start=start, **finds
        )
        gradients = {n: self._each(found[name], 1 + self._per_class(name)) for n, name in wrt.items()}
        if reduction == "none":
            return self._each(loss, 1), gradients
        return self._each(summed(loss, scale if mean else None, start), 0), gradients

    def _of(self, everyones: Tensor) -> Tensor:
        """The parts of its members; all of them, if there are no others."""
        return everyones if len(everyones) == self.count else everyones[self.places]

    def _scale(
        self, parts: Sequence[Tensor], own: Sequence[bool], ignore_index: int, divisors: Tensor | None
    ) -> Tensor | None:
        """1 over what each member's mean divides by: [P], or [1] if that is the same for all; None if the launch finds
        it."""
        if divisors is not None:
            return self._of(divisors).reciprocal()
        targets = [t for t, i in zip(parts, self.spec.inputs) if i.kind == "class"]
        alone = [t[0] if mine else t for t, mine in zip(parts, own)]
        batch, classes = self.spec.batch(alone), self.spec.classes(alone)
        return mean_scale(CONSTANTS, targets, batch, classes, ignore_index, parts[0].device)

    def _per_class(self, name: str) -> bool:
        return any(i.name == name and i.rows for i in self.spec.inputs)

    def _each(self, found: Tensor, axes: int) -> Tensor:
        """A result for each member, where all have the same inputs and there is no constant to tell them apart."""
        return found if found.dim() > axes else found.expand(self.count, *found.shape)


class Planes:
    """The different losses of a bundle on a device, compiled when they are needed.

    `place` [P] says which of them each member is.
    """

    def __init__(self, losses: Sequence[Loss], place: np.ndarray, device: torch.device) -> None:
        self._losses, self._place, self._device = losses, place, device

    def groups(self, classes: int) -> list[Group]:
        """All members, in as few launches as rows of so many classes allow."""
        if len(self._losses) == 1:
            return self._apart
        longest, groups = self._together
        return groups if classes <= longest else self._apart

    @cached_property
    def _together(self) -> tuple[int, list[Group]]:
        """Several losses in each launch, and how many classes there may be."""
        parts = [range(n, min(n + TOGETHER, len(self._losses))) for n in range(0, len(self._losses), TOGETHER)]
        made = [self._switch(part) for part in parts]
        return min(longest for longest, _ in made), [group for _, group in made]

    @cached_property
    def _apart(self) -> list[Group]:
        """Each loss in a launch of its own."""
        groups = []
        for n, loss in enumerate(self._losses):
            spec, members = spec_of(loss), np.flatnonzero(self._place == n)
            names: dict[int | str, str] = {place: i.name for place, i in enumerate(spec.inputs) if i.kind == "real"}
            names |= {name: name for name, _ in spec.params}
            groups.append(Group(spec, triton_module(loss).launch, names, len(members), self._places(members)))
        return groups

    def _switch(self, part: range) -> tuple[int, Group]:
        """The losses of these numbers in one launch."""
        specs = [spec_of(self._losses[n]) for n in part]
        module = load_module(emit_switch([whole_program(self._losses[n]) for n in part]))
        members = np.flatnonzero((self._place >= part.start) & (self._place < part.stop))
        which = torch.from_numpy(self._place[members] - part.start).to(self._device, torch.int32)
        inputs = tuple([replace(i, name=input_name(n)) for n, i in enumerate(specs[0].inputs)])
        names: dict[int | str, str] = {n: i.name for n, i in enumerate(inputs) if i.kind == "real"}
        names |= {name: parameter_name(name) for spec in specs for name, _ in spec.params}
        launch = partial(module.launch, which)
        group = Group(Spec("switch", inputs, ()), launch, names, len(members), self._places(members))
        return module.LONGEST if group.spec.by_rows else sys.maxsize, group

    def _places(self, members: np.ndarray) -> Places:
        consecutive = bool(np.all(np.diff(members) == 1))
        return (
            slice(int(members[0]), int(members[-1]) + 1) if consecutive else torch.from_numpy(members).to(self._device)
        )


def gathered(parts: Sequence[tuple[Group, Tensor]], count: int) -> Tensor:
    """One tensor of all members out of those of each group; 0 where a member has none."""
    if parts[0][0].count == count:
        return parts[0][1]
    whole = parts[0][1].new_zeros((count, *parts[0][1].shape[1:]))
    for group, part in parts:
        whole[group.places] = part
    return whole

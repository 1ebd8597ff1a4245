"""The losses of a bundle by Triton: of every different one a single launch, in which each member is a plane of rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from glo_dsl.lang.loss import Loss
from glo_dsl.runtime.compile import spec_of, triton_module
from glo_dsl.runtime.spec import Launch, Spec, counted

Places = slice | Tensor
"""Members by their place: those of one loss often follow each other, and then are a view."""


@dataclass(frozen=True)
class Group:
    """The members that are the same loss: how many, and where they are."""

    spec: Spec
    launch: Launch
    count: int
    places: Places

    def run(
        self, inputs: Sequence[Tensor], own: Sequence[bool], wrt: Mapping[int, str], theta: Tensor, reduction: str,
        ignore_index: int, divisors: Tensor | None,
    ) -> tuple[Tensor, dict[int, Tensor]]:  # fmt: skip
        """The losses [P] or [P, N] of its members, and their gradients [P, N, C] or [P, N] by what is wanted."""
        parts = [t[self.places] if mine else t for t, mine in zip(inputs, own)]
        scale = torch.ones(1, device=theta.device)
        if reduction == "mean":
            scale = 1.0 / self._divisors(parts, own, ignore_index, divisors)
        params = theta[self.places, : len(self.spec.params)].contiguous()
        loss, found = self.launch(tuple(parts), params, tuple(wrt.values()), scale, ignore_index)
        gradients = {n: self._each(found[name], 1 + self._per_class(name)) for n, name in wrt.items()}
        loss = self._each(loss, 1)
        if reduction != "none":
            loss = loss.sum(1) * scale
        return loss, gradients

    def _divisors(
        self, parts: Sequence[Tensor], own: Sequence[bool], ignore_index: int, divisors: Tensor | None
    ) -> Tensor:
        """What each member's mean divides by: [P], or [1] if that is the same for all."""
        if divisors is not None:
            return divisors[self.places]
        classes = [(t, mine) for t, mine, i in zip(parts, own, self.spec.inputs) if i.kind == "class"]
        if not classes:
            alone = [t[0] if mine else t for t, mine in zip(parts, own)]
            return torch.full((1,), float(counted(self.spec, alone, ignore_index)), device=parts[0].device)
        valid = torch.ones((1, 1), dtype=torch.bool, device=parts[0].device)
        for target, mine in classes:
            valid = valid & (target if mine else target[None]).ne(ignore_index)
        return valid.sum(1)

    def _per_class(self, name: str) -> bool:
        return any(i.name == name and i.rows for i in self.spec.inputs)

    def _each(self, found: Tensor, axes: int) -> Tensor:
        """A result for each member, where all have the same inputs and there is no constant to tell them apart."""
        return found if found.dim() > axes else found.expand(self.count, *found.shape)


def groups_of(losses: Sequence[Loss], place: np.ndarray, device: torch.device) -> list[Group]:
    """The different losses of a bundle, compiled; `place` [P] says which of them each member is."""
    made = []
    for n, loss in enumerate(losses):
        members = np.flatnonzero(place == n)
        consecutive = bool(np.all(np.diff(members) == 1))
        places = slice(int(members[0]), int(members[-1]) + 1) if consecutive else torch.from_numpy(members).to(device)
        made.append(Group(spec_of(loss), triton_module(loss).launch, len(members), places))
    return made


def gathered(parts: Sequence[tuple[Group, Tensor]], count: int) -> Tensor:
    """One tensor of all members out of those of each group; 0 where a member has none."""
    if parts[0][0].count == count:
        return parts[0][1]
    whole = parts[0][1].new_zeros((count, *parts[0][1].shape[1:]))
    for group, part in parts:
        whole[group.places] = part
    return whole

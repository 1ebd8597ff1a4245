"""What networks are fed with: the batches of every seed, and parts that are read in pieces."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from glo_dsl.evolve.tasks.task import Task

BATCHES = 1_000_003
"""What is added to a seed for the generator of its batches, which is not that of its weights."""

AT_ONCE = 2**24
"""Numbers in the inputs of one evaluation."""


class Feed:
    """The batches of S seeds, each in an order of its own; the same to all who train with these seeds.

    Steps are asked for one after the other, for augmentation draws at each; whoever goes back sets `chance` back.

    Attributes:
        batch: samples of a step. example: inputs [2, ...] to try a network with.
        plain: whether samples are shown as they are, without augmentation.
    """

    def __init__(self, task: Task, seeds: Sequence[int], device: torch.device) -> None:
        self._augment, self.plain = task.augment, task.augment is None
        self._inputs, self._targets = (t.to(device) for t in task.train)
        self._order = torch.stack([batches(task, seed) for seed in seeds], dim=1).to(device)  # [steps, S, batch]
        self._generators = [Generator(device).manual_seed(seed + 2 * BATCHES) for seed in seeds]
        self.batch = self._order.shape[-1]
        self.example = self._inputs[:2]

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        """Inputs [S, batch, ...] and targets [S, batch] of a step."""
        inputs, targets = self._taken(self._order[step])
        if self._augment is not None:
            inputs = torch.stack([self._augment(x, g) for x, g in zip(inputs, self._generators)])
        return inputs, targets

    def at(self, step: Tensor) -> tuple[Tensor, Tensor]:
        """The same without augmentation, of a step [1] that the device knows and the host need not."""
        return self._taken(self._order.index_select(0, step)[0])

    def _taken(self, chosen: Tensor) -> tuple[Tensor, Tensor]:
        return self._inputs[chosen], self._targets[chosen]

    @property
    def chance(self) -> list[Tensor]:
        """Where the generators of the augmentation are."""
        return [g.get_state() for g in self._generators]

    @chance.setter
    def chance(self, states: Sequence[Tensor]) -> None:
        for generator, state in zip(self._generators, states):
            generator.set_state(state)


def pieces(inputs: Tensor, networks: int) -> list[Tensor]:
    """Inputs [samples, ...] in pieces that so many networks can be shown at once."""
    size = max(1, AT_ONCE // (networks * inputs[0].numel()))
    return [inputs[n : n + size] for n in range(0, len(inputs), size)]


def batches(task: Task, seed: int) -> Tensor:
    """Places of samples [steps, batch]: every epoch a new permutation, the incomplete last batch left out."""
    generator = Generator().manual_seed(seed + BATCHES)
    samples = task.train[0].shape[0]
    batch = min(task.recipe.batch, samples)
    each = samples // batch
    epochs = -(-task.recipe.steps // each)
    orders = [torch.randperm(samples, generator=generator)[: each * batch] for _ in range(epochs)]
    return torch.cat(orders).view(-1, batch)[: task.recipe.steps]

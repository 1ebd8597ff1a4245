"""An honest comparison: every loss at its own best learning rate, on fresh seeds and data nobody has looked at."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

import torch

from glo_dsl.evolve.kernels import Candidate
from glo_dsl.evolve.task import Task
from glo_dsl.evolve.trainer import train

FACTOR = 2**0.5
"""Neighbouring learning rates of a grid differ by this factor."""


@dataclass(frozen=True)
class Grid:
    """A learning-rate grid, ascending, with mean validation accuracies."""

    rates: tuple[float, ...]
    accuracy: tuple[float, ...]

    @property
    def best(self) -> float:
        """The rate of the highest accuracy; of several, the middle one."""
        tied = [n for n, a in enumerate(self.accuracy) if a == max(self.accuracy)]
        return self.rates[tied[len(tied) // 2]]

    @property
    def interior(self) -> bool:
        """Whether both ends are worse than the best: nothing better can be expected beyond them."""
        return max(self.accuracy[0], self.accuracy[-1]) < max(self.accuracy)


@dataclass(frozen=True)
class Result:
    """Test accuracies of one loss at its best rate, one per fresh seed."""

    name: str
    grid: Grid
    accuracies: tuple[float, ...]

    @property
    def mean(self) -> float:
        return fmean(self.accuracies)

    @property
    def standard_error(self) -> float:
        return stdev(self.accuracies) / math.sqrt(len(self.accuracies))


def tune_rate(
    task: Task, candidate: Candidate, seeds: Sequence[int], start: float, span: int = 6, widest: int = 12
) -> Grid:
    """The grid around `start`, widened until its optimum on validation data is in the interior.

    Raises:
        AssertionError: no interior optimum within `widest` extensions: there is no best rate to compare at.
    """
    found: dict[float, float] = {}
    low, high = -span, span
    for _ in range(widest):
        steps = [n for n in range(low, high + 1) if n not in found]
        rates = torch.tensor([[start * FACTOR**n for n in steps]])
        means = train(task, [candidate], rates, seeds, task.validation)[0].mean(0)
        found.update(zip(steps, means.tolist()))
        order = sorted(found)
        grid = Grid(tuple(start * FACTOR**n for n in order), tuple(found[n] for n in order))
        if grid.interior:
            return grid
        best = max(grid.accuracy)
        low, high = low - 3 * (grid.accuracy[0] == best), high + 3 * (grid.accuracy[-1] == best)
    raise AssertionError(f"the learning rate of {candidate.loss.name} has no interior optimum in {grid.rates}")


def held_out_accuracies(task: Task, candidate: Candidate, rate: float, seeds: Sequence[int]) -> tuple[float, ...]:
    """Accuracy on the test part after training with each seed."""
    return tuple(train(task, [candidate], torch.tensor([[rate]]), seeds, task.test)[0, :, 0].tolist())


def welch(first: Result, second: Result) -> float:
    """Two-sided p-value of Welch's test that both have the same mean."""
    from scipy.stats import ttest_ind

    return float(ttest_ind(first.accuracies, second.accuracies, equal_var=False).pvalue)

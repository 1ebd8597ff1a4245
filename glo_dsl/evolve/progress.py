"""What a search says of itself while it runs: to a terminal, to a log, to whoever waits for it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SEARCHING = "searching"
LEADERS = "second look at the leaders"
RATES = "learning rates of the finalists"
CONSTANTS = "constants of the finalists"
CONFIRMING = "validation once more, on many seeds"
FRESH = "fresh seeds on test data"

STAGES = (SEARCHING, LEADERS, RATES, CONSTANTS, CONFIRMING, FRESH)
"""Of a search, in their order; constants are left out where none are to be tuned."""


@dataclass(frozen=True)
class Leader:
    """The best of its size so far, and better than all that are smaller.

    Attributes:
        text: what fills the hole; where there is none, the constants.
        trainings: networks that had been trained at the end of the generation that it was found in.
    """

    size: int
    fitness: float
    text: str
    trainings: int


@dataclass(frozen=True)
class Agreement:
    """Spearman's rank correlation of the fitness at the first rung with that at the last.

    It is taken over the `count` trainings that reached both. Those are the better ones at the first, a narrower range
    than all of them have, so it is more likely too low than too high.
    """

    correlation: float
    count: int


@dataclass(frozen=True)
class Generation:
    """The last one that the strategy was told about.

    Attributes:
        number: from 0.
        median: of the fitness of those of it that have one.
    """

    number: int
    median: float | None


@dataclass(frozen=True)
class Progress:
    """What a search is doing.

    Attributes:
        stage: one of `stages`. done, total: of its steps.
        units: ended, and all, of the work that is out; (0, 0) where none is.
        best: validation fitness of the best candidate so far.
        counts: what became of the proposals so far. untrained: those for which no network was trained.
        trainings: networks trained so far, also by earlier runs of the study. fresh: those of this run.
        front: smallest first.
        agreement: None where there is one rung, or too few have reached the last.
        workers: how many units are worked at a time.
        replayed: events of the study that were gone over again, and all that it had.
    """

    stage: str
    done: int
    total: int
    stages: tuple[str, ...] = STAGES
    units: tuple[int, int] = (0, 0)
    best: float | None = None
    counts: tuple[tuple[str, int], ...] = ()
    untrained: int = 0
    trainings: int = 0
    fresh: int = 0
    front: tuple[Leader, ...] = ()
    agreement: Agreement | None = None
    generation: Generation | None = None
    workers: int = 1
    replayed: tuple[int, int] = (0, 0)

    @property
    def replaying(self) -> bool:
        """Whether it goes over what the study has."""
        return self.replayed[0] < self.replayed[1]

    @property
    def proposals(self) -> int:
        return sum(count for _, count in self.counts)

    @property
    def share(self) -> float:
        """Of the stage, from 0 to 1: its steps and, after the search, the units of the one that it is at."""
        ended, units = self.units
        begun = ended / units if units and self.stage != SEARCHING else 0.0
        return min(1.0, (self.done + begun) / max(1, self.total))


def agreement(pairs: Collection[tuple[float, float]]) -> Agreement | None:
    """Of pairs (fitness at the first rung, at the last); None below three, or where all of either are the same.

    >>> agreement([(0.1, 0.5), (0.2, 0.6), (0.3, 0.9), (0.4, 0.8)])
    Agreement(correlation=0.8, count=4)
    """
    if len(pairs) < 3:
        return None
    first, last = (_ranks(column) for column in np.array(list(pairs)).T)
    first, last = first - first.mean(), last - last.mean()
    size = float(np.sqrt((first**2).sum() * (last**2).sum()))
    return Agreement(round(float((first * last).sum()) / size, 12), len(pairs)) if size > 0 else None


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Equals share the mean of their ranks."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (np.cumsum(count) - (count - 1) / 2)[place]
    return ranks

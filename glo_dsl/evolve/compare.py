"""An honest comparison: every loss at its own best learning rate, on fresh seeds and data nobody has looked at."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

FACTOR = 2**0.5
"""Neighbouring learning rates of a grid differ by this factor."""


@dataclass(frozen=True)
class Grid:
    """A learning-rate grid, ascending, with mean validation fitness."""

    rates: tuple[float, ...]
    accuracy: tuple[float, ...]

    @property
    def best(self) -> float:
        """The rate that is best together with its neighbours, which count half; of several, the middle one.

        So a rate that is one step from where training diverges is not chosen for a lucky mean, and one that is best by
        chance less often.
        """
        trained = [n for n, a in enumerate(self.accuracy) if math.isfinite(a)] or range(len(self.rates))
        lowest = min(self.accuracy[n] for n in trained)
        known = [max(a, lowest) for a in self.accuracy]
        padded = (known[0], *known, known[-1])
        smooth = [a + 2 * b + c for a, b, c in zip(padded, padded[1:], padded[2:])]
        most = max(smooth[n] for n in trained)
        tied = [n for n in trained if smooth[n] == most]
        return self.rates[tied[len(tied) // 2]]

    @property
    def interior(self) -> bool:
        """Whether both ends are worse than the best: nothing better can be expected beyond them."""
        return max(self.accuracy[0], self.accuracy[-1]) < max(self.accuracy)

    @property
    def written(self) -> dict[str, float | None]:
        """As JSON has it: the fitness by rate, None where nothing could be trained."""
        found = zip(self.rates, self.accuracy)
        return {str(rate): fitness if math.isfinite(fitness) else None for rate, fitness in found}


@dataclass(frozen=True)
class Result:
    """Test accuracies of one loss at its best rate, one per fresh seed; of networks that have `diverged` they are 0.
    `attacked`: the same on inputs that are changed, where the search has an attack."""

    name: str
    grid: Grid
    accuracies: tuple[float, ...]
    diverged: int = 0
    attacked: tuple[float, ...] = ()

    @property
    def mean(self) -> float:
        return fmean(self.accuracies)

    @property
    def standard_error(self) -> float:
        return _standard_error(self.accuracies)

    @property
    def under_attack(self) -> str:
        """Mean and standard error of `attacked`, to be read; "" where there is none."""
        if not self.attacked:
            return ""
        return f"{fmean(self.attacked):.4f} ± {_standard_error(self.attacked):.4f}"


def _standard_error(values: Sequence[float]) -> float:
    return stdev(values) / math.sqrt(len(values))


def welch(first: Result, second: Result) -> float:
    """Two-sided p-value of Welch's test that both have the same mean; 1 where neither varies, which is no test."""
    from scipy.stats import ttest_ind

    if len({*first.accuracies}) == len({*second.accuracies}) == 1:
        return 1.0
    with warnings.catch_warnings():  # scipy warns of one that does not vary, which is no more than its variance says
        warnings.simplefilter("ignore", RuntimeWarning)
        return float(ttest_ind(first.accuracies, second.accuracies, equal_var=False).pvalue)

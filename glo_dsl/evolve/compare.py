"""An honest comparison: every loss at its own best learning rate, on fresh seeds and data nobody has looked at."""

from __future__ import annotations

import math
import warnings
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


def welch(first: Result, second: Result) -> float:
    """Two-sided p-value of Welch's test that both have the same mean."""
    from scipy.stats import ttest_ind

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of numbers that are all equal there is none: NaN
        return float(ttest_ind(first.accuracies, second.accuracies, equal_var=False).pvalue)

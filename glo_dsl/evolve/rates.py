"""The learning rate at which a loss is best: a grid that is widened until its optimum lies inside."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from glo_dsl.errors import GloError
from glo_dsl.evolve.compare import FACTOR, Grid

Judge = Callable[[Sequence[float]], list[float]]
"""Mean validation fitness at learning rates."""


def grid_of(judge: Judge, name: str, start: float, span: int = 6, widest: int = 12) -> Grid:
    """The grid around `start`, `span` steps of a factor sqrt(2) to each side, and further while an end is its best.

    Raises:
        GloError: no optimum inside after `widest` times: there is no best rate to compare at.
    """
    found: dict[int, float] = {}
    low, high = -span, span
    for _ in range(widest):
        steps = [n for n in range(low, high + 1) if n not in found]
        found.update(zip(steps, judge([start * FACTOR**n for n in steps])))
        order = sorted(found)
        grid = Grid(tuple(start * FACTOR**n for n in order), tuple(found[n] for n in order))
        if grid.interior:
            return grid
        best = max(grid.accuracy)
        low, high = low - 3 * (grid.accuracy[0] == best), high + 3 * (grid.accuracy[-1] == best)
    raise GloError(
        f"the learning rate of {name} has no best value between {min(grid.rates):.3g} and {max(grid.rates):.3g}",
        hint="train for more steps, or on more seeds: fitness hardly depends on the rate",
    )

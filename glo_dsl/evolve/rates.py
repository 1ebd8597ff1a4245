"""The learning rate at which a loss is best: a grid that is widened until its optimum lies inside."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from glo_dsl.evolve.compare import FACTOR, Grid

Judge = Callable[[Sequence[float]], list[float]]
"""Mean validation fitness at learning rates."""


def grid_of(judge: Judge, start: float, span: int = 6, widest: int = 12) -> Grid:
    """The grid around `start`, `span` steps of a factor sqrt(2) to each side, and further while an end is its best.

    After `widest` times it is left at that: then its best is no optimum, see `Grid.interior`, and a report says so.
    """
    found: dict[int, float] = {}
    low, high = -span, span
    for _ in range(widest):
        steps = [n for n in range(low, high + 1) if n not in found]
        found.update(zip(steps, judge([start * FACTOR**n for n in steps])))
        order = sorted(found)
        grid = Grid(tuple(start * FACTOR**n for n in order), tuple(found[n] for n in order))
        if grid.interior:
            break
        best = max(grid.accuracy)
        low, high = low - 3 * (grid.accuracy[0] == best), high + 3 * (grid.accuracy[-1] == best)
    return grid

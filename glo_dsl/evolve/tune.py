"""CMA-ES on the constants of a loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from glo_dsl.evolve.strategies.cmaes import CmaEs, Sampling

Objective = Callable[[Sequence[Sequence[float]]], list[float]]
"""Fitness of parameter vectors, larger is better; NaN for one that could not be judged."""


def tune(
    start: Sequence[float], objective: Objective, generator: np.random.Generator, sigma: float, generations: int,
    population: int | None = None, report: Callable[[int, float], None] = lambda *_: None,
) -> list[float]:  # fmt: skip
    """The mean of the final distribution: with a noisy fitness the best sample seen is mostly the luckiest."""
    search = CmaEs(start, generator, Sampling(sigma, population))
    for number in range(generations):
        if search.finished:
            break
        fitness = objective(search.ask())
        search.tell(fitness)
        report(number, max((f for f in fitness if not np.isnan(f)), default=0.0))
    return search.mean

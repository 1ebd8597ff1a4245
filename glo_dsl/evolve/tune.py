"""CMA-ES on the constants of a loss."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

with warnings.catch_warnings():  # cma warns that it cannot plot when matplotlib is missing; nothing here plots
    warnings.simplefilter("ignore", UserWarning)
    import cma

Objective = Callable[[Sequence[Sequence[float]]], list[float]]
"""Fitness of parameter vectors, larger is better; NaN for one that could not be judged."""


def tune(
    start: Sequence[float], objective: Objective, generator: np.random.Generator, sigma: float, generations: int,
    population: int | None = None, report: Callable[[int, float], None] = lambda *_: None,
) -> list[float]:  # fmt: skip
    """The mean of the final distribution: with a noisy fitness the best sample seen is mostly the luckiest.

    pycma is kept from its side effects: it draws from `generator`, writes no files, reads no signal file. It is
    never told NaN: a vector that could not be judged ranks behind all others.
    """
    options = {
        "seed": np.nan, "randn": _normals(generator), "verbose": -9, "verb_log": 0, "signals_filename": "",
        "maxiter": generations, **({"popsize": population} if population else {}),
    }  # fmt: skip
    strategy: Any = cma.CMAEvolutionStrategy(list(start), sigma, options)
    for number in range(generations):
        if strategy.stop():
            break
        vectors: list[NDArray[np.float64]] = strategy.ask()
        fitness = objective([v.tolist() for v in vectors])
        strategy.tell(vectors, costs_of(fitness))
        report(number, max((f for f in fitness if not np.isnan(f)), default=0.0))
    return [float(v) for v in strategy.result.xfavorite]


def costs_of(fitness: Sequence[float]) -> list[float]:
    """Finite costs to minimise, in the order of the fitness.

    >>> costs_of([0.5, float("nan"), 0.75])
    [-0.5, 0.5, -0.75]
    """
    finite = [f for f in fitness if np.isfinite(f)]
    worst = min(finite, default=0.0)
    return [-f if np.isfinite(f) else 1.0 - worst for f in fitness]


def _normals(generator: np.random.Generator) -> Callable[..., NDArray[np.float64]]:
    def draw(*shape: int) -> NDArray[np.float64]:
        return generator.standard_normal(shape)

    return draw

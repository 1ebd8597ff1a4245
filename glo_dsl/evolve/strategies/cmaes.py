"""CMA-ES as ask and tell: pycma without what it does on the side, and restarts that are on record.

Hansen & Ostermeier 2001, doi:10.1162/106365601750190398; Hansen 2016, arXiv:1604.00772. Restarts: Auger & Hansen 2005
(IPOP), Hansen 2009 (BIPOP).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

QUIET = {"seed": np.nan, "verbose": -9, "signals_filename": ""}
"""No seeding of NumPy's global generator, nothing printed, no files written, none read."""

TIES_ARE_USUAL = {"tolflatfitness": np.inf, "tolfun": 0, "tolfunhist": 0, "tolstagnation": 0}
"""For a fitness that counts right answers: equal values do not say that the search has converged."""

Size = Literal["large", "small"]


@dataclass(frozen=True)
class Sampling:
    """How CMA-ES draws.

    Attributes:
        sigma: the first step size, in every direction.
        population: vectors of a generation; None for 4 + floor(3 ln n), pycma's default for n dimensions.
        restarts: what follows when the distribution has converged. "none": the end; "ipop": a run from the start with
            twice the population; "bipop": such runs in turn with short ones of small population and step size.
        most_restarts: how often the population is doubled before the end.
        active: whether the covariance also learns from the worse half (Jastrebski & Arnold 2006); the papers on
            loss search have weights above 0 only.
    """

    sigma: float
    population: int | None = None
    restarts: Literal["none", "ipop", "bipop"] = "none"
    most_restarts: int = 9
    active: bool = True


@dataclass(frozen=True)
class Run:
    """One run of CMA-ES between restarts.

    Attributes:
        size: "large", or "small" for the short runs of BIPOP.
        sigma, population: as it began. generations: told; at most `most`, where there is a bound.
        stopped: pycma's reasons for the end, such as "tolx", or "most"; () while it runs.
    """

    size: Size
    sigma: float
    population: int
    most: float = np.inf
    generations: int = 0
    stopped: tuple[str, ...] = ()

    @property
    def evaluations(self) -> int:
        return self.generations * self.population


class CmaEs:
    """Maximises a fitness of vectors by asking for generations and being told.

    All chance comes from `generator`, and only ranks count: a strictly rising function of the fitness changes nothing.

    >>> search = CmaEs([0.0, 0.0], np.random.default_rng(0), Sampling(sigma=0.5))
    >>> for _ in range(60):
    ...     search.tell([-((x - 1) ** 2) - (y - 2) ** 2 for x, y in search.ask()])
    >>> [round(value, 3) for value in search.mean]
    [1.0, 2.0]
    """

    def __init__(self, start: Sequence[float], generator: np.random.Generator, sampling: Sampling) -> None:
        """`start` is the first mean, of n >= 1 finite numbers.

        Raises:
            ValueError: no or not finite numbers in `start`, a step size not above 0, a population below 2.
        """
        _check(start, sampling)
        self.sampling = sampling
        self.runs: list[Run] = []
        self._start, self._generator = [float(v) for v in start], generator
        self._asked: list[NDArray[np.float64]] = []
        self._begin("large", sampling.sigma, sampling.population)

    @property
    def finished(self) -> bool:
        """Whether the last run has converged and no other follows."""
        return bool(self.runs[-1].stopped)

    @property
    def mean(self) -> list[float]:
        """The mean of the distribution now: with a noisy fitness the best vector seen is mostly the luckiest."""
        return [float(v) for v in self._cma.result.xfavorite]

    @property
    def sigma(self) -> float:
        """The step size now."""
        return float(self._cma.sigma)

    def ask(self) -> list[list[float]]:
        """The vectors of the next generation; [] when finished. Asked again before `tell`: the same."""
        if not self._asked and not self.finished:
            self._asked = _silently(self._cma.ask)
        return [[float(v) for v in vector] for vector in self._asked]

    def tell(self, fitness: Sequence[float | None]) -> None:
        """The fitness of the vectors asked for last, larger is better; None or NaN for one that could not be judged.

        Raises:
            ValueError: not one value for each vector, or nothing was asked for.
        """
        if not self._asked or len(fitness) != len(self._asked):
            raise ValueError(f"{len(self._asked)} vectors wait for a fitness, got {len(fitness)} values")
        _silently(self._cma.tell, self._asked, costs_of(fitness))
        self._asked = []
        run = replace(self.runs[-1], generations=self.runs[-1].generations + 1)
        spent = ("most",) if run.generations >= run.most else ()
        self.runs[-1] = replace(run, stopped=tuple(sorted(_silently(self._cma.stop))) + spent)
        if self.finished and self.sampling.restarts != "none":
            self._restart()

    def _restart(self) -> None:
        """The next run, if there is one: with BIPOP a small one while small ones have cost less than large ones."""
        large = [run for run in self.runs if run.size == "large"]
        if len(large) > self.sampling.most_restarts:
            return
        first, last = large[0], large[-1]
        on_large = sum(run.evaluations for run in large[1:])  # the first run counts as small
        if self.sampling.restarts == "bipop" and sum(run.evaluations for run in self.runs) < 2 * on_large:
            sigma, share = self.sampling.sigma * 0.01 ** self._uniform(), self._uniform() ** 2
            population = int(first.population * (last.population / first.population / 2) ** share)
            self._begin("small", sigma, population, most=max(1, last.evaluations // (2 * population)))
        else:
            self._begin("large", self.sampling.sigma, 2 * last.population)

    def _uniform(self) -> float:
        return float(self._generator.random())

    def _begin(self, size: Size, sigma: float, population: int | None, most: float = np.inf) -> None:
        options = {**QUIET, "randn": self._normals, "CMA_active": self.sampling.active}
        if population:
            options["popsize"] = population
        if self.sampling.restarts == "none":
            options |= TIES_ARE_USUAL
        self._cma: Any = _silently(pycma().CMAEvolutionStrategy, self._start, sigma, options)
        self.runs.append(Run(size, sigma, int(self._cma.popsize), most))

    def _normals(self, *shape: int) -> NDArray[np.float64]:
        return self._generator.standard_normal(shape)


def costs_of(fitness: Sequence[float | None]) -> list[float]:
    """Finite costs to minimise, in the order of the fitness; what could not be judged comes last.

    >>> costs_of([0.5, None, 0.75])
    [-0.5, 0.5, -0.75]
    """
    finite = [f for f in fitness if f is not None and np.isfinite(f)]
    worst = min(finite, default=0.0)
    behind = max(1.0 - worst, float(np.nextafter(-worst, np.inf)))  # 1 more is lost on a large number
    return [-f if f is not None and np.isfinite(f) else behind for f in fitness]


def pycma() -> Any:
    """The module: it brings libraries for plots and statistics, which take longer to import than all else here."""
    return _silently(import_module, "cma")


def _silently(call: Callable[..., Any], *args: object) -> Any:
    """pycma warns on the console, and changes what Python warns of: neither is for the caller of a search."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call(*args)


def _check(start: Sequence[float], sampling: Sampling) -> None:
    if len(start) == 0 or not np.isfinite(np.asarray(start, dtype=np.float64)).all():
        raise ValueError(f"CMA-ES starts from one or more finite numbers, got {list(start)}")
    if not (sampling.sigma > 0 and np.isfinite(sampling.sigma)):
        raise ValueError(f"the step size must be above 0, got {sampling.sigma}")
    if sampling.population is not None and sampling.population < 2:
        raise ValueError(f"a population is 2 or more, got {sampling.population}")
    if sampling.restarts not in ("none", "ipop", "bipop"):
        raise ValueError(f'restarts are "none", "ipop" or "bipop", got {sampling.restarts!r}')

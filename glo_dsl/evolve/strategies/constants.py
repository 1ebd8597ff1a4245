"""CMA-ES on the constants of one loss: every proposal is that loss with other defaults."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from glo_dsl.evolve.strategies.cmaes import CmaEs, Sampling
from glo_dsl.evolve.work import Proposal, Strategy, Told, with_outcomes
from glo_dsl.ir.types import Interval
from glo_dsl.lang.loss import Loss

Refuse = Callable[[Sequence[Loss]], Sequence[str]]
"""Of each loss the reason for not training it, or ""."""


@dataclass(frozen=True)
class Coordinate:
    """A constant as a coordinate of the search: its value is `unit` times the coordinate, which begins at `start`."""

    name: str
    start: float
    unit: float = 1.0


@dataclass(frozen=True)
class Best:
    """The loss of the highest fitness so far; the first of equals."""

    loss: Loss
    fitness: float


class Constants(Strategy):
    """A strategy: asks about the loss at the vectors of CMA-ES.

    A vector outside the domain of a parameter, or one that `refuse` gives a reason against, is not asked about and
    ranks last, as does one whose training failed; nothing is drawn in its place. A generation in which nothing can be
    asked about counts, and the next one is asked about.

    Attributes:
        best: see `Best`; None before any fitness.
        counts: vectors by what became of them: "asked", or a reason against.
    """

    def __init__(
        self, loss: Loss, coordinates: Sequence[Coordinate], generator: np.random.Generator, sampling: Sampling,
        generations: int, refuse: Refuse = lambda losses: [""] * len(losses), parents: tuple[int, ...] = (),
    ) -> None:  # fmt: skip
        """`coordinates` are parameters of `loss`, in the order of the vectors; others keep their defaults.

        Raises:
            ValueError: a coordinate is no parameter of the loss, or CMA-ES cannot begin so.
        """
        unknown = {c.name for c in coordinates} - loss.defaults.keys()
        if unknown:
            raise ValueError(f"{loss.name} has no parameter {', '.join(sorted(unknown))}")
        self.best: Best | None = None
        self.counts: Counter[str] = Counter()
        self.generation = 0
        self._loss, self._coordinates, self._refuse, self._parents = loss, tuple(coordinates), refuse, parents
        self._generations = generations
        self.search = CmaEs([c.start for c in coordinates], generator, sampling)
        self._told: list[list[float | None]] = []
        self._asked: list[Proposal] = []
        self._reasons: list[str] = []

    @property
    def mean(self) -> Loss:
        """The loss at the mean of the distribution: with a noisy fitness the best one is mostly the luckiest."""
        return placed(self._loss, self._coordinates, self.search.mean)

    def ask(self) -> Sequence[Proposal]:
        """The losses of the next generation, see `work.Strategy`."""
        while not self._asked and not self.search.finished and self.generation < self._generations:
            self._draw()
        return tuple(self._asked)

    def tell(self, outcomes: Sequence[Told]) -> None:
        """What became of them.

        Raises:
            ValueError: not one outcome for each proposal, or nothing was asked.
        """
        for proposal, told in with_outcomes(self._asked, outcomes):
            fitness = told.fitness
            if fitness is not None and np.isfinite(fitness) and (self.best is None or fitness > self.best.fitness):
                self.best = Best(proposal.loss, fitness)
        self._told.append([told.fitness for told in outcomes])
        self._learn(outcomes)

    def state(self) -> dict[str, Any]:
        """See `work.Strategy`. It is what was told: to draw all vectors again takes milliseconds, and pycma keeps its
        state to itself."""
        return {"told": [[f if f is None or np.isfinite(f) else None for f in each] for each in self._told]}

    def restore(self, state: dict[str, Any]) -> None:
        """See `work.Strategy`."""
        for each in state["told"]:
            self.ask()
            self.tell([Told(fitness) for fitness in each])

    def _draw(self) -> None:
        losses = [placed(self._loss, self._coordinates, vector) for vector in self.search.ask()]
        given = self._refuse(losses)
        self._reasons = [_outside(loss) or reason for loss, reason in zip(losses, given)]
        self.counts.update(reason or "asked" for reason in self._reasons)
        run = self.search.runs[-1]
        notes = {
            "generation": self.generation, "run": len(self.search.runs) - 1, "population": run.population,
            "sigma": self.search.sigma, "refused": dict(Counter(r for r in self._reasons if r)),
        }  # fmt: skip
        kept = [loss for loss, reason in zip(losses, self._reasons) if not reason]
        self._asked = [Proposal(loss, "sample", self._parents, notes) for loss in kept]
        if not kept:
            self._learn(())

    def _learn(self, outcomes: Sequence[Told]) -> None:
        waiting = iter(outcomes)
        self.search.tell([None if reason else next(waiting).fitness for reason in self._reasons])
        self._asked = []
        self.generation += 1


def placed(loss: Loss, coordinates: Sequence[Coordinate], vector: Sequence[float]) -> Loss:
    """The loss with constants at these coordinates; parameters that are none keep their defaults."""
    values = {c.name: c.unit * value for c, value in zip(coordinates, vector)}
    return replace(loss, params=tuple(replace(p, default=values.get(p.name, p.default)) for p in loss.params))


def _outside(loss: Loss) -> str:
    """Which parameter is outside of its domain, in words; "" if none is."""
    for p in loss.params:
        if p.var.domain.meet(Interval(p.default, p.default)).empty:
            return f"{p.name} outside of its domain"
    return ""

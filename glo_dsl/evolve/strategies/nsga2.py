"""NSGA-II: losses that are good at several things at once, such as fit and small (Deb et al. 2002)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from glo_codegen.work import work
from glo_dsl.evolve.predictions import logits_name
from glo_dsl.evolve.space import Space
from glo_dsl.evolve.strategies.breeding import TRIES, Breeding, Child, Member
from glo_dsl.evolve.strategies.fronts import fronts, ranks
from glo_dsl.evolve.strategies.islands import proposed
from glo_dsl.evolve.strategies.starts import Kind, Start
from glo_dsl.evolve.strategies.states import read_digests, set_generator, written_digests, written_generator
from glo_dsl.evolve.variation import Vocabulary
from glo_dsl.evolve.work import Judged, Proposal, Strategy, Told, with_outcomes
from glo_dsl.ir.expr import Expr
from glo_dsl.lang.loss import Loss
from glo_dsl.passes.pipeline import compile_program

Measure = Callable[[Judged, int], float]
"""Of a loss and the number of classes: larger is better."""

OBJECTIVES: dict[str, Measure] = {
    "fitness": lambda judged, classes: judged.fitness,
    "complexity": lambda judged, classes: -judged.complexity,
    "cost": lambda judged, classes: -cost(judged.loss, max(classes, 1)),
    "robustness": lambda judged, classes: -math.inf if judged.robustness is None else judged.robustness,
}


def cost(loss: Loss, classes: int) -> float:
    """What the kernel of value and gradient has to do, see `glo_codegen.work`.

    >>> import glo_dsl as glo
    >>> cost(glo.zoo["cross_entropy"], 10) < cost(glo.zoo["focal"], 10)
    True
    """
    return work(compile_program(loss, [logits_name(loss)], walked=True), classes)


@dataclass(frozen=True)
class Settings:
    """How NSGA-II searches.

    Attributes:
        population: members that are kept. offspring: proposals of a generation; the first has what `start` gives and
            random trees.
        generations: after which it ends.
        objectives: two or more of "fitness", "complexity" (nodes), "cost" (of the kernel) and "robustness" (fitness on
            inputs that are changed: the search has to have an attack).
        crossover, constant: shares of children that are bred of two, or differ in a constant factor; the others are
            mutated.
        newcomers: share of proposals that are random trees. depth: of these.
        start: known losses that are asked about first, as `islands` has it.
    """

    population: int = 40
    offspring: int = 60
    generations: int = 100
    objectives: tuple[str, ...] = ("fitness", "complexity")
    crossover: float = 0.5
    constant: float = 0.15
    newcomers: float = 0.1
    depth: int = 2
    start: Kind = "both"


@dataclass(frozen=True)
class _Placed:
    """A member with its objectives."""

    member: Member
    point: tuple[float, ...]


class Nsga2(Strategy):
    """The strategy. It searches the hole of a loss; `start` is asked about before anything else."""

    def __init__(self, space: Space, settings: Settings, seed: int, classes: int, start: Sequence[Start] = ()) -> None:
        """
        Raises:
            ValueError: objectives that there are not, or fewer than two; a population or offspring below 2.
        """
        unknown = [name for name in settings.objectives if name not in OBJECTIVES]
        if unknown or len(set(settings.objectives)) < 2:
            given = ", ".join(map(str, settings.objectives))
            raise ValueError(f"objectives are two or more of {', '.join(OBJECTIVES)}, got {given or 'none'}")
        if settings.population < 2 or settings.offspring < 2:
            raise ValueError(
                f"population and offspring are 2 at least, got {settings.population}, {settings.offspring}"
            )
        self.space, self.settings, self._classes = space, settings, classes
        self._generator = np.random.default_rng(seed)
        words = Vocabulary(space.terms)
        self._breeding = Breeding(words, self._generator, settings.crossover, settings.constant, settings.depth)
        self._start = list(start)
        self._population: list[_Placed] = []
        self._ranks: list[tuple[int, float]] = []
        self._seen: set[bytes] = set()
        self._asked: list[Child] = []
        self._proposals: tuple[Proposal, ...] = ()
        self._count = self._generation = 0

    @property
    def front(self) -> list[Expr]:
        """What fills the hole in those that none of the population is better than, the fittest first."""
        places = fronts([one.point for one in self._population])
        first = [self._population[n] for front in places[:1] for n in front]
        return [one.member.genotype for one in sorted(first, key=lambda one: -one.member.fitness)]

    @property
    def attacks(self) -> bool:
        return "robustness" in self.settings.objectives

    def order(self, judged: Sequence[Judged]) -> list[int]:
        """The places of losses by their rank: a front as wide as can be comes first."""
        found = ranks([self._point(one) for one in judged])
        return sorted(range(len(judged)), key=lambda n: (*found[n], -judged[n].fitness))

    def ask(self) -> Sequence[Proposal]:
        """The next generation, see `work.Strategy`."""
        if not self._asked and self._generation < self.settings.generations:
            self._asked = [self._new() for _ in range(self.settings.offspring)]
            self._proposals = tuple(proposed(self.space, child) for child in self._asked)
        return self._proposals

    def tell(self, outcomes: Sequence[Told]) -> None:
        """The fittest of parents and children are the next parents; the same gradient in fewer nodes counts as well.

        Raises:
            ValueError: not one outcome for each proposal, or nothing was asked.
        """
        pool = {one.point: one for one in self._population}
        for (child, told), proposal in zip(with_outcomes(self._asked, outcomes), self._proposals):
            if told.fitness is not None and np.isfinite(told.fitness):
                member = Member(child.genotype, self._count, told.fitness, child.seeds)
                point = self._point(Judged(proposal.loss, -member.rank[1], told.fitness, told.robustness))
                pool.setdefault(point, _Placed(member, point))
            self._count += 1
        self._survive(list(pool.values()))
        self._asked, self._proposals = [], ()
        self._generation += 1

    def state(self) -> dict[str, Any]:
        """See `work.Strategy`."""
        return {
            "generator": written_generator(self._generator), "count": self._count, "generation": self._generation,
            "population": [[one.member.written, [None if p == -math.inf else p for p in one.point]]
                           for one in self._population],
            "seen": written_digests(self._seen), "start": len(self._start),
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """See `work.Strategy`."""
        self._population = [
            _Placed(Member.read(member, self.space), tuple(-math.inf if p is None else float(p) for p in point))
            for member, point in state["population"]
        ]
        self._ranks = ranks([one.point for one in self._population])
        self._seen = read_digests(state["seen"])
        self._start = self._start[len(self._start) - int(state["start"]) :]
        self._count, self._generation = int(state["count"]), int(state["generation"])
        set_generator(self._generator, state["generator"])

    def _survive(self, pool: list[_Placed]) -> None:
        """Front after front, and of the last the least crowded."""
        found = ranks([one.point for one in pool])
        kept = sorted(range(len(pool)), key=lambda n: found[n])[: self.settings.population]
        self._population = [pool[n] for n in kept]
        self._ranks = ranks([one.point for one in self._population])

    def _point(self, judged: Judged) -> tuple[float, ...]:
        return tuple(float(OBJECTIVES[name](judged, self._classes)) for name in self.settings.objectives)

    def _new(self) -> Child:
        """A child that was not proposed before, if one turns up soon."""
        if self._start:
            first = self._start.pop(0)
            self._seen.add(first.genotype.digest)
            return Child(first.genotype, first.origin, seeds=(first.origin,), known=True)
        for _ in range(TRIES):
            found = self._child()
            if found.genotype.digest not in self._seen:
                break
        self._seen.add(found.genotype.digest)
        return found

    def _child(self) -> Child:
        if not self._population or self._generator.random() < self.settings.newcomers:
            return self._breeding.newcomer()
        return self._breeding.child(self._parent)

    def _parent(self) -> Member:
        """The better ranked of two (crowded tournament)."""
        one, other = (int(n) for n in self._generator.integers(len(self._population), size=2))
        return self._population[one if self._ranks[one] <= self._ranks[other] else other].member

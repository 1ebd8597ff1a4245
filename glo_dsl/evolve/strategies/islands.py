"""Age-regularised islands: the search of this project's own.

Several populations that rarely meet, each of which forgets its oldest members rather than its worst (Real et al. 2019,
arXiv:1802.01548; Cranmer 2023, arXiv:2305.01582): with a fitness that is noise in its last digits, the best of many is
mostly the luckiest, and must not rule for ever. The best of every size are kept beside them, and at times bred from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from glo_dsl.evolve.space import Space
from glo_dsl.evolve.variation import Vocabulary, crossover, mutate, paths, random_tree, replaced, subtree
from glo_dsl.evolve.work import Proposal, Told
from glo_dsl.ir.expr import Const, Expr, Var, apply, const, size, walk

TRIES = 10
"""Draws of a child that is new before one is taken that is not."""


@dataclass(frozen=True)
class Settings:
    """The knobs.

    Attributes:
        population: proposals in a generation, of all islands.
        islands, members: how many there are, and how many members each remembers.
        tournament: members of which the best becomes a parent.
        crossover, constant: shares of children that are bred of two, or differ in a constant factor; the others are
            mutated.
        newcomers: share of proposals that are random trees. depth: of these.
        elites: share of parents from the best of their size.
        migration: generations after which the best of each island is copied to the next.
    """

    population: int = 60
    generations: int = 100
    islands: int = 3
    members: int = 24
    tournament: int = 4
    crossover: float = 0.4
    constant: float = 0.15
    newcomers: float = 0.15
    elites: float = 0.15
    migration: int = 5
    depth: int = 2


@dataclass(frozen=True)
class Member:
    """An expression that was trained, the number of the proposal that it was, and what it reached."""

    genotype: Expr
    number: int
    fitness: float


@dataclass
class _Island:
    members: list[Member] = field(default_factory=list)

    def add(self, member: Member, most: int) -> None:
        self.members.append(member)
        del self.members[:-most]

    @property
    def best(self) -> Member | None:
        return max(self.members, key=_rank, default=None)


class Islands:
    """The strategy. It searches the hole of a loss; `start` are expressions for it that are known to be worth a try."""

    def __init__(self, space: Space, settings: Settings, seed: int, start: Sequence[Expr] = ()) -> None:
        self.space, self.settings = space, settings
        self.words = Vocabulary(space.terms)
        self._generator = np.random.default_rng(seed)
        self._islands = [_Island() for _ in range(settings.islands)]
        self._elites: dict[int, Member] = {}
        self._seen: set[Expr] = set()
        self._start = list(start)
        self._asked: list[tuple[Expr, int, Proposal]] = []
        self._count = self._generation = 0

    @property
    def elites(self) -> list[Member]:
        """The best of every size, the smallest first."""
        return [self._elites[n] for n in sorted(self._elites)]

    def ask(self) -> Sequence[Proposal]:
        """A generation, the islands in turn."""
        if not self._asked and self._generation < self.settings.generations:
            for n in range(self.settings.population):
                self._asked.append(self._proposed(n % len(self._islands)))
        return [proposal for _, _, proposal in self._asked]

    def tell(self, outcomes: Sequence[Told]) -> None:
        """Members for the islands; one whose gradient is known already is no new one."""
        for (genotype, island, _), told in zip(self._asked, outcomes, strict=True):
            if told.fitness is not None and not told.reason:
                member = Member(genotype, self._count, told.fitness)
                self._islands[island].add(member, self.settings.members)
                self._keep(member)
            self._count += 1
        self._asked = []
        self._generation += 1
        if self._generation % self.settings.migration == 0:
            self._migrate()

    def _keep(self, member: Member) -> None:
        place = size(member.genotype)
        if place not in self._elites or member.fitness > self._elites[place].fitness:
            self._elites[place] = member

    def _migrate(self) -> None:
        best = [island.best for island in self._islands]
        for island, guest in zip(self._islands[1:] + self._islands[:1], best):
            if guest is not None:
                island.add(guest, self.settings.members)

    def _proposed(self, place: int) -> tuple[Expr, int, Proposal]:
        child, origin, parents = self._new(self._islands[place])
        self._seen.add(child)
        filled = self.space.fill(child)
        return child, place, Proposal(filled, origin, parents, {"complexity": size(child)}, child)

    def _new(self, island: _Island) -> tuple[Expr, str, tuple[int, ...]]:
        """A child that was not proposed before, if one turns up soon."""
        if self._start:
            return self._start.pop(0), "start", ()
        for _ in range(TRIES):
            found = self._child(island)
            if found[0] not in self._seen:
                break
        return found

    def _child(self, island: _Island) -> tuple[Expr, str, tuple[int, ...]]:
        generator, settings = self._generator, self.settings
        if not island.members or generator.random() < settings.newcomers:
            return self._random(), "random", ()
        parent = self._parent(island)
        chance = generator.random()
        if chance < settings.crossover:
            other = self._parent(island)
            child, _ = crossover(parent.genotype, other.genotype, self.words, generator)
            return mutate(child, self.words, generator), "crossover", (parent.number, other.number)
        if chance < settings.crossover + settings.constant:
            return self._scaled(parent.genotype), "constant", (parent.number,)
        child = parent.genotype
        for _ in range(TRIES):
            child = mutate(parent.genotype, self.words, generator)
            if child is not parent.genotype:
                break
        return child, "mutation", (parent.number,)

    def _parent(self, island: _Island) -> Member:
        if self._elites and self._generator.random() < self.settings.elites:
            elites = self.elites
            return elites[int(self._generator.integers(len(elites)))]
        drawn = self._generator.integers(len(island.members), size=self.settings.tournament)
        return max((island.members[int(n)] for n in drawn), key=_rank)

    def _random(self) -> Expr:
        """A random tree that mentions every term, if one turns up soon: without a term it can hardly be a loss."""
        tree = random_tree(self.words, self._generator, self.settings.depth)
        for _ in range(2 * TRIES):
            if set(self.words.terms) <= {node for node in walk((tree,)) if isinstance(node, Var)}:
                break
            tree = random_tree(self.words, self._generator, self.settings.depth)
        return tree

    def _scaled(self, root: Expr) -> Expr:
        """One node times a factor around 1, a literal changed in its place."""
        found = paths(root)
        path = found[int(self._generator.integers(len(found)))]
        factor = float(f"{np.exp(self._generator.normal(0, 0.5)):.3g}")
        node = subtree(root, path)
        value = const(float(f"{node.value * factor:.3g}")) if isinstance(node, Const) else None
        child = replaced(root, path, value if value is not None else apply("mul", const(factor), node))
        return child if size(child) <= self.words.largest else root


def _rank(member: Member) -> tuple[float, int]:
    """The fitter; of equally fit ones the smaller."""
    return member.fitness, -size(member.genotype)

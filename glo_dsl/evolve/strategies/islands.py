"""Age-regularised islands: the search of this project's own.

Several populations that rarely meet, each of which forgets its oldest members rather than its worst (Real et al. 2019,
arXiv:1802.01548; Cranmer 2023, arXiv:2305.01582): with a fitness that is noise in its last digits, the best of many is
mostly the luckiest, and must not rule for ever. The best of every size are kept beside them, and at times bred from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import numpy as np

from glo_dsl.evolve.space import Space
from glo_dsl.evolve.strategies.breeding import TRIES, Breeding, Child, Member
from glo_dsl.evolve.strategies.foresight import Foresight, Slopes
from glo_dsl.evolve.strategies.starts import Kind, Start
from glo_dsl.evolve.strategies.states import read_digests, set_generator, written_digests, written_generator
from glo_dsl.evolve.variation import Vocabulary
from glo_dsl.evolve.work import Proposal, Strategy, Told, with_outcomes
from glo_dsl.ir.expr import size

DIGITS = 1e5
"""Slopes that are equal to one part in so many are taken for the same: the funnel looks closer."""


ROUNDS = 20
"""How often as many children as a generation takes are bred, before a space counts as exhausted: whatever fills its
hole, the gradient is one that was met already, or none."""


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
        breadth: expressions that are bred for each that is asked about: those without a usable gradient, or with one
            that is known, are dropped, and of the rest the most promising are taken. foresight: share of proposals that
            are chosen so; the others are the first that were bred.
        start: known losses that are asked about first: "zoo", the library's; "taylor", polynomials around points of
            cross-entropy; "both" or "none".
    """

    population: int = 20
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
    breadth: int = 6
    foresight: float = 0.8
    start: Kind = "both"


@dataclass
class _Island:
    members: list[Member] = field(default_factory=list)

    def add(self, member: Member, most: int) -> None:
        self.members.append(member)
        del self.members[:-most]

    @property
    def best(self) -> Member | None:
        return max(self.members, key=lambda member: member.rank, default=None)


@dataclass(frozen=True)
class _Bred:
    """A child that could be asked about, the island that it is of, and its slopes."""

    child: Child
    island: int
    slopes: Slopes


class Islands(Strategy):
    """The strategy. It searches the hole of a loss; `start` is asked about before anything else."""

    def __init__(self, space: Space, settings: Settings, seed: int, classes: int, start: Sequence[Start] = ()) -> None:
        self.space, self.settings = space, settings
        self._generator = np.random.default_rng(seed)
        words = Vocabulary(space.terms)
        self._breeding = Breeding(words, self._generator, settings.crossover, settings.constant, settings.depth)
        self._islands = [_Island() for _ in range(settings.islands)]
        self._elites: dict[int, Member] = {}
        self._seen: set[bytes] = set()
        self._start = list(start)
        self._foresight = Foresight(classes)
        self._met: set[bytes] = set()
        self._dropped: Counter[str] = Counter()
        self._asked: list[_Bred] = []
        self._proposals: tuple[Proposal, ...] = ()
        self._count = self._generation = 0
        self._exhausted = False

    @property
    def dropped(self) -> Counter[str]:
        """Expressions that were bred and not asked about, by reason."""
        return self._dropped

    @property
    def elites(self) -> list[Member]:
        """The best of every size, the smallest first."""
        return [self._elites[n] for n in sorted(self._elites)]

    def ask(self) -> Sequence[Proposal]:
        """The next generation, see `work.Strategy`."""
        if not self._asked and not self._exhausted and self._generation < self.settings.generations:
            bred = self._bred()
            self._exhausted = not bred
            self._asked = self._chosen(bred) if bred else []
            self._proposals = tuple(proposed(self.space, one.child) for one in self._asked)
        return self._proposals

    def tell(self, outcomes: Sequence[Told]) -> None:
        """Members for the islands; one whose gradient is known already is no new one.

        Raises:
            ValueError: not one outcome for each proposal, or nothing was asked.
        """
        for asked, told in with_outcomes(self._asked, outcomes):
            if told.fitness is not None and not told.reason:
                member = Member(asked.child.genotype, self._count, told.fitness, asked.child.seeds)
                self._islands[asked.island].add(member, self.settings.members)
                self._keep(member)
                self._foresight.learn(asked.slopes, told.fitness)
            self._count += 1
        self._asked, self._proposals = [], ()
        self._generation += 1
        if self._generation % self.settings.migration == 0:
            self._migrate()

    def state(self) -> dict[str, Any]:
        """See `work.Strategy`."""
        return {
            "generator": written_generator(self._generator), "count": self._count, "generation": self._generation,
            "islands": [[member.written for member in island.members] for island in self._islands],
            "elites": [member.written for member in self.elites],
            "seen": written_digests(self._seen), "met": written_digests(self._met), "start": len(self._start),
            "dropped": [*self._dropped.items()], "foresight": self._foresight.state(),
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """See `work.Strategy`."""
        islands = [[Member.read(member, self.space) for member in island] for island in state["islands"]]
        for island, members in zip(self._islands, islands, strict=True):
            island.members = members
        elites = [Member.read(member, self.space) for member in state["elites"]]
        self._elites = {size(member.genotype): member for member in elites}
        self._seen, self._met = read_digests(state["seen"]), read_digests(state["met"])
        self._start = self._start[len(self._start) - int(state["start"]) :]
        self._dropped = Counter(dict(state["dropped"]))
        self._foresight.restore(state["foresight"])
        self._count, self._generation = int(state["count"]), int(state["generation"])
        set_generator(self._generator, state["generator"])

    def _bred(self) -> list[_Bred]:
        """Children of the islands in turn, those that are worth a question; none where the space has no more."""
        found: list[_Bred] = []
        fresh = self.settings.population * self.settings.breadth
        for _ in range(ROUNDS):
            for n in range(fresh):
                place = n % len(self._islands)
                child = self._new(self._islands[place])
                slopes = self._foresight.slopes_in(self.space, child.genotype)
                if slopes is None:
                    self._dropped["no usable gradient"] += 1
                elif (key := _digest(slopes)) in self._met:
                    self._dropped["gradient known"] += 1
                else:
                    self._met.add(key)
                    found.append(_Bred(child, place, slopes))
            if found:
                break
        return found

    def _chosen(self, bred: Sequence[_Bred]) -> list[_Bred]:
        """Known losses, then the most promising, then the first of the others; in the order in which they were bred."""
        order = sorted(range(len(bred)), key=lambda n: not bred[n].child.known)
        known = sum(one.child.known for one in bred)
        places, rest = order[:known][: self.settings.population], order[known:]
        expected = self._foresight.expected([bred[n].slopes for n in rest])
        promising = [n for _, n in sorted(zip(expected, rest), key=lambda pair: -pair[0])]
        wanted = self.settings.population - len(places)
        places += promising[: round(self.settings.foresight * wanted)]
        places += [n for n in rest if n not in places][: self.settings.population - len(places)]
        self._dropped["passed over"] += len(bred) - len(places)
        return [bred[n] for n in sorted(places)]

    def _keep(self, member: Member) -> None:
        place = size(member.genotype)
        if place not in self._elites or member.fitness > self._elites[place].fitness:
            self._elites[place] = member

    def _migrate(self) -> None:
        best = [island.best for island in self._islands]
        for island, guest in zip(self._islands[1:] + self._islands[:1], best):
            if guest is not None:
                island.add(guest, self.settings.members)

    def _new(self, island: _Island) -> Child:
        """A child that was not proposed before, if one turns up soon."""
        if self._start:
            first = self._start.pop(0)
            self._seen.add(first.genotype.digest)
            return Child(first.genotype, first.origin, seeds=(first.origin,), known=True)
        for _ in range(TRIES):
            found = self._child(island)
            if found.genotype.digest not in self._seen:
                break
        self._seen.add(found.genotype.digest)
        return found

    def _child(self, island: _Island) -> Child:
        if not island.members or self._generator.random() < self.settings.newcomers:
            return self._breeding.newcomer()
        return self._breeding.child(lambda: self._parent(island))

    def _parent(self, island: _Island) -> Member:
        if self._elites and self._generator.random() < self.settings.elites:
            elites = self.elites
            return elites[int(self._generator.integers(len(elites)))]
        drawn = self._generator.integers(len(island.members), size=self.settings.tournament)
        return max((island.members[int(n)] for n in drawn), key=lambda member: member.rank)


def _digest(slopes: Slopes) -> bytes:
    """By which slopes are known again."""
    return blake2b(np.round(slopes * DIGITS).tobytes(), digest_size=16).digest()


def proposed(space: Space, child: Child) -> Proposal:
    """The question about a child: `seeds` in its notes tell what is found from what is remembered."""
    notes: dict[str, object] = {"complexity": size(child.genotype)}
    if child.seeds:
        notes["seeds"] = list(child.seeds)
    parents = tuple(dict.fromkeys(member.number for member in child.parents))
    return Proposal(space.fill(child.genotype), child.origin, parents, notes, child.genotype)

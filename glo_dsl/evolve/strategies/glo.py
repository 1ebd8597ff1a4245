"""GLO: genetic programming on the expression of a loss, then CMA-ES on a coefficient at every node of the best.

Gonzalez & Miikkulainen 2019, arXiv:1905.11528, to the letter; docs/search-strategies.md has what they leave open.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from glo_dsl.evolve.space import Space, with_coefficients
from glo_dsl.evolve.strategies.cmaes import Sampling
from glo_dsl.evolve.strategies.constants import Constants, Coordinate
from glo_dsl.evolve.strategies.states import set_generator, written_generator
from glo_dsl.evolve.variation import Vocabulary, crossover, mutate, random_tree
from glo_dsl.evolve.work import Proposal, Strategy, Told, with_outcomes
from glo_dsl.ir.expr import Expr, size, variables
from glo_dsl.lang.definitions import losses_of
from glo_dsl.lang.loss import Loss
from glo_dsl.lang.show import show


@dataclass(frozen=True)
class Settings:
    """How GLO searches.

    Attributes:
        population: trees of a generation. elites: the fittest of them, which stay as they are.
        crossover: how often two parents exchange subtrees.
        depth: levels below the root of the first trees.
        generations: of trees, the first one included. The paper does not say how many.
        sigma: the first step size of CMA-ES on the coefficients, which start from 1.
        samples: its population; None for 4 + floor(3 ln n). sample_generations: how many. The paper says neither.
    """

    population: int = 80
    elites: int = 6
    crossover: float = 0.8
    depth: int = 2
    generations: int = 100
    sigma: float = 1.5
    samples: int | None = None
    sample_generations: int = 30


@dataclass(frozen=True)
class Individual:
    """A tree and how it was made: from the proposals in `parents`, those of its parents that were trained."""

    tree: Expr
    origin: str
    parents: tuple[int, ...] = ()


@dataclass(frozen=True)
class Fate:
    """What is known of a tree: its fitness, and the number of the proposal that told it; None for an untrained one."""

    fitness: float
    number: int | None


class Glo(Strategy):
    """The strategy. A tree is asked about once; elites and trees that come again keep what was told.

    Attributes:
        population: the trees of the present generation, elites first.
        fates: what is known of every tree so far, by its digest.
        best: the fittest tree so far, the first of equals; None before any fitness above 0.
        constants: the search for coefficients, once it has begun.
        counts: trees that were made, by what became of them: "asked", "known", or why they were not trained.
    """

    def __init__(self, space: Space, settings: Settings, seed: int, words: Vocabulary | None = None) -> None:
        """`words` are those of the paper by default; `Vocabulary(space.terms)` has the weights of the operator table.

        Raises:
            ValueError: no elites or more than the population, or a number that is too small.
        """
        s = settings
        if not 0 <= s.elites < s.population or s.generations < 1 or s.depth < 0:
            raise ValueError(f"a population is larger than its elites, with one generation or more; got {s}")
        self.space, self.settings = space, settings
        self.words = Vocabulary.paper(space.terms) if words is None else words
        self.counts: Counter[str] = Counter()
        self.fates: dict[bytes, Fate] = {}
        self.best: Expr | None = None
        self.generation = 0
        self.constants: Constants | None = None
        self._before: dict[str, Any] = {}
        self._generator = np.random.default_rng(seed)
        self._asked: list[Proposal] = []
        self._trees: list[Expr] = []
        self._number = 0
        self.population = [
            Individual(random_tree(self.words, self._generator, s.depth), "random") for _ in range(s.population)
        ]
        self._settle(self.population)

    @property
    def dropped(self) -> Counter[str]:
        """Trees that were made and not asked about, by reason."""
        told = {"known": "tree known"}
        return Counter({told.get(reason, reason): n for reason, n in self.counts.items() if reason != "asked"})

    @property
    def answer(self) -> Loss | None:
        """The loss of the highest fitness of all that were told: one of the population, as in the paper, no mean.

        It is called best, and its text can be read back.
        """
        winner = self.best
        if winner is None:
            return None
        tuned = self.constants.best if self.constants else None
        if tuned is None or tuned.fitness <= self._fate(winner).fitness:
            return losses_of(self.space.text(winner))["best"]
        expr, _ = with_coefficients(winner, _prefix(self.space))
        return losses_of(self.space.text(expr, tuned.loss.params[len(self.space.loss.params) :]))["best"]

    def ask(self) -> Sequence[Proposal]:
        """The next generation of trees that are not known yet, then of coefficients, see `work.Strategy`."""
        while not self._asked and self.constants is None and self.generation + 1 < self.settings.generations:
            self._breed()
        if not self._asked and self.constants is None and self.best is not None:
            self._before = self.state()
            self.constants = self._begin_constants(self.best)
        return tuple(self._asked) if self.constants is None else self.constants.ask()

    def tell(self, outcomes: Sequence[Told]) -> None:
        """What became of them. No fitness is fitness 0, and so is one below 0, for a roulette cannot go below.

        Raises:
            ValueError: not one outcome for each proposal, or nothing was asked.
        """
        if self.constants is not None:
            self.constants.tell(outcomes)
            return
        for (_, told), tree in zip(with_outcomes(self._asked, outcomes), self._trees):
            fitness = told.fitness if told.fitness is not None and np.isfinite(told.fitness) else 0.0
            self._learn(tree, Fate(max(fitness, 0.0), self._number))
            self._number += 1
        self._asked, self._trees = [], []

    def state(self) -> dict[str, Any]:
        """See `work.Strategy`."""
        if self.constants is not None:
            return {**self._before, "constants": self.constants.state()}
        return {
            "generator": written_generator(self._generator), "number": self._number, "generation": self.generation,
            "population": [[show(i.tree), i.origin, list(i.parents)] for i in self.population],
            "fates": [[digest.hex(), fate.fitness, fate.number] for digest, fate in self.fates.items()],
            "best": None if self.best is None else show(self.best), "counts": [*self.counts.items()],
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """See `work.Strategy`."""
        self.population = [
            Individual(self.space.read(text), str(origin), tuple(map(int, parents)))
            for text, origin, parents in state["population"]
        ]
        self.fates = {bytes.fromhex(digest): Fate(float(f), number) for digest, f, number in state["fates"]}
        self.best = None if state["best"] is None else self.space.read(state["best"])
        self.counts = Counter(dict(state["counts"]))
        self.generation, self._number = int(state["generation"]), int(state["number"])
        self._asked, self._trees = [], []
        set_generator(self._generator, state["generator"])
        if "constants" in state:
            self.ask()
            if self.constants is None:
                raise ValueError("a search for coefficients without a tree")
            self.constants.restore(state["constants"])

    def _fate(self, tree: Expr) -> Fate:
        return self.fates[tree.digest]

    def _learn(self, tree: Expr, fate: Fate) -> None:
        if fate.fitness > (0.0 if self.best is None else self._fate(self.best).fitness):
            self.best = tree
        self.fates[tree.digest] = fate

    def _breed(self) -> None:
        """The next population: the elites, then children of parents drawn by the roulette, pair after pair."""
        fitness = [self._fate(i.tree).fitness for i in self.population]
        fittest = sorted(range(len(fitness)), key=lambda n: -fitness[n])[: self.settings.elites]
        parents = [self.population[n] for n in roulette(fitness, self._places(), self._generator)]
        children = [child for pair in zip(parents[::2], parents[1::2]) for child in self._children(*pair)]
        elites = [self.population[n] for n in fittest]
        self.population = [*elites, *children][: self.settings.population]
        self.generation += 1
        self._settle(self.population[len(elites) :])

    def _places(self) -> int:
        """How many parents: one for each child, and one more where the number is odd."""
        count = self.settings.population - self.settings.elites
        return count + count % 2

    def _children(self, first: Individual, second: Individual) -> list[Individual]:
        trees, origin, sources = (first.tree, second.tree), "mutation", ([first], [second])
        if self._generator.random() < self.settings.crossover:
            trees, origin = crossover(*trees, self.words, self._generator), "crossover"
            sources = ([first, second], [second, first])
        return [
            Individual(mutate(tree, self.words, self._generator), origin, self._numbers(of))
            for tree, of in zip(trees, sources)
        ]

    def _numbers(self, individuals: Sequence[Individual]) -> tuple[int, ...]:
        numbers = [self._fate(i.tree).number for i in individuals]
        return tuple(dict.fromkeys(n for n in numbers if n is not None))

    def _settle(self, newcomers: Sequence[Individual]) -> None:
        """Asks about the trees of which nothing is known; 0 to those that cannot be trained."""
        for individual in newcomers:
            tree = individual.tree
            if tree.digest in self.fates or tree in self._trees:
                self.counts["known"] += 1
                continue
            loss = self.space.fill(tree)
            reason = self._refused(tree, loss)
            self.counts[reason or "asked"] += 1
            if reason:
                self._learn(tree, Fate(0.0, None))
                continue
            notes = {"generation": self.generation, "f": show(tree), "size": size(tree)}
            self._asked.append(Proposal(loss, individual.origin, individual.parents, notes))
            self._trees.append(tree)

    def _refused(self, tree: Expr, loss: Loss) -> str:
        """Why a tree has fitness 0 without training, or "". In the paper's space: it lacks x or y."""
        if tree.type.axes != self.space.hole.type.axes:
            return "does not vary as the hole does"
        missing = set(loss.inputs) - set(variables((loss.expr,)))
        return f"does not depend on {' and '.join(sorted(v.name for v in missing))}" if missing else ""

    def _begin_constants(self, winner: Expr) -> Constants:
        """CMA-ES from all ones: a coefficient multiplies what its node gives, and a literal is a node."""
        expr, params = with_coefficients(winner, _prefix(self.space))
        coordinates = [Coordinate(p.name, 1.0, unit=p.default) for p in params]
        number = self._fate(winner).number
        return Constants(
            self.space.fill(expr, params), coordinates, self._generator,
            Sampling(self.settings.sigma, self.settings.samples, active=False), self.settings.sample_generations,
            parents=() if number is None else (number,),
        )  # fmt: skip


def _prefix(space: Space) -> str:
    """What coefficients are called, such that their names are nobody's in the file of the space."""
    taken, prefix = set(re.findall(r"\w+", space.loss.source.text)), "c"
    while any(word.removeprefix(prefix).isdigit() for word in taken if word.startswith(prefix)):
        prefix += "c"
    return prefix


def roulette(fitness: Sequence[float], count: int, generator: np.random.Generator) -> list[int]:
    """`count` places, each drawn with a chance in proportion to its fitness; if all are 0, with equal chances.

    Raises:
        ValueError: a fitness below 0, or none at all.

    >>> roulette([0.0, 0.5, 0.0], 4, np.random.default_rng(0))
    [1, 1, 1, 1]
    """
    if len(fitness) == 0 or min(fitness) < 0:
        raise ValueError(f"a roulette takes one fitness or more, none below 0; got {list(fitness)}")
    largest = max(fitness)
    shares = np.ones(len(fitness)) if largest == 0 else np.asarray(fitness) / largest
    return [int(n) for n in generator.choice(len(fitness), size=count, p=shares / shares.sum())]

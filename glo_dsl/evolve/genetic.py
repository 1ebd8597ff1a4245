"""Genetic programming on the expressions of a hole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from glo_dsl.evolve.variation import Vocabulary, crossover, mutate, random_tree
from glo_dsl.ir.expr import Expr, Var, size, walk

Evaluate = Callable[[Sequence[Expr]], list[float]]
"""Fitness in [0, 1] of genotypes, in their order; what was not worth training, or nothing new, has fitness 0."""


@dataclass(frozen=True)
class Settings:
    """The knobs of the genetic algorithm.

    GLO has population 80, 6 elites, crossover 0.8, initial depth 2 and roulette selection. Here the parents are the
    `parents` best of all that was ever evaluated, and selection is by tournament: accuracies differ by parts in a
    hundred, which a roulette hardly sees.
    """

    population: int = 60
    parents: int = 30
    newcomers: int = 10
    crossover: float = 0.8
    tournament: int = 3
    depth: int = 2


@dataclass(frozen=True)
class Individual:
    """A genotype and its fitness."""

    genotype: Expr
    fitness: float

    @property
    def rank(self) -> tuple[float, int]:
        """The fitter first; of equally fit ones, the smaller."""
        return (-self.fitness, size(self.genotype))


def evolve(
    words: Vocabulary, evaluate: Evaluate, generator: np.random.Generator, settings: Settings, generations: int,
    report: Callable[[int, list[Individual]], None] = lambda *_: None,
) -> list[Individual]:  # fmt: skip
    """Every distinct individual of fitness above 0, the fittest first.

    Each generation is bred from the best so far and joined by `newcomers` random trees, which keep it from closing
    in on one family. `report` is called after each generation with its number and the individuals so far.
    """
    found: dict[Expr, Individual] = {}
    for number in range(generations + 1):
        parents = sorted(found.values(), key=lambda i: i.rank)[: settings.parents]
        new = settings.newcomers if parents else settings.population
        children = _children(parents, settings.population - new, words, generator, settings)
        children += [_initial(words, generator, settings) for _ in range(new)]
        for genotype, fitness in zip(children, evaluate(children)):
            if fitness > 0:
                found.setdefault(genotype, Individual(genotype, fitness))
        report(number, sorted(found.values(), key=lambda i: i.rank))
    return sorted(found.values(), key=lambda i: i.rank)


def _initial(words: Vocabulary, generator: np.random.Generator, settings: Settings) -> Expr:
    """A random tree that mentions every term, if one turns up soon: without a term it cannot be a loss."""
    tree = random_tree(words, generator, settings.depth)
    for _ in range(20):
        if set(words.terms) <= {node for node in walk((tree,)) if isinstance(node, Var)}:
            break
        tree = random_tree(words, generator, settings.depth)
    return tree


def _children(
    ranked: Sequence[Individual], count: int, words: Vocabulary, generator: np.random.Generator, settings: Settings
) -> list[Expr]:
    children: list[Expr] = []
    while len(children) < count:
        first, second = (_selected(ranked, generator, settings).genotype for _ in range(2))
        if generator.random() < settings.crossover:
            first, second = crossover(first, second, words, generator)
        children.extend(mutate(child, words, generator) for child in (first, second))
    return children[:count]


def _selected(ranked: Sequence[Individual], generator: np.random.Generator, settings: Settings) -> Individual:
    """The best of a few drawn at random; `ranked` is sorted, so the smallest place wins."""
    return ranked[int(generator.integers(len(ranked), size=settings.tournament).min())]

"""Genetic programming on the expressions of a hole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from glo_dsl.evolve.variation import Vocabulary, crossover, mutate, random_tree
from glo_dsl.ir.expr import Expr, Var, size, walk

Evaluate = Callable[[Sequence[Expr]], list[float]]
"""Fitness in [0, 1] of genotypes, in their order; what is not worth training has fitness 0."""


@dataclass(frozen=True)
class Settings:
    """The knobs of the genetic algorithm.

    Those of GLO are population 80, 6 elites, crossover 0.8 and initial depth 2; it selects by roulette, where we
    hold tournaments: accuracies differ by parts in a hundred, and a roulette hardly sees that.
    """

    population: int = 48
    elites: int = 4
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
    seeds: Sequence[Expr] = (), report: Callable[[int, list[Individual]], None] = lambda *_: None,
) -> list[Individual]:  # fmt: skip
    """Every distinct individual that was evaluated, the fittest first.

    The first generation is `seeds` and random trees. `report` is called after each generation with its number and its
    population, sorted.
    """
    first = [*seeds, *(_initial(words, generator, settings) for _ in range(settings.population - len(seeds)))]
    population = _evaluated(first, evaluate)
    seen = {i.genotype: i for i in population}
    report(0, sorted(population, key=lambda i: i.rank))
    for number in range(1, generations + 1):
        ranked = sorted(population, key=lambda i: i.rank)
        elites = _distinct(ranked)[: settings.elites]
        children = _children(ranked, settings.population - len(elites), words, generator, settings)
        population = [*elites, *_evaluated(children, evaluate)]
        seen.update((i.genotype, i) for i in population)
        report(number, sorted(population, key=lambda i: i.rank))
    return sorted(seen.values(), key=lambda i: i.rank)


def _initial(words: Vocabulary, generator: np.random.Generator, settings: Settings) -> Expr:
    """A random tree that mentions every term, if one turns up soon: without a term it cannot be a loss."""
    tree = random_tree(words, generator, settings.depth)
    for _ in range(20):
        if set(words.terms) <= {node for node in walk((tree,)) if isinstance(node, Var)}:
            break
        tree = random_tree(words, generator, settings.depth)
    return tree


def _evaluated(genotypes: Sequence[Expr], evaluate: Evaluate) -> list[Individual]:
    return [Individual(g, f) for g, f in zip(genotypes, evaluate(genotypes))]


def _distinct(ranked: Sequence[Individual]) -> list[Individual]:
    return list({i.genotype: i for i in ranked}.values())


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

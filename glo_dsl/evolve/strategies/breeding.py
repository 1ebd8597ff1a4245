"""How the strategies of this project make new expressions of old ones; what they make them of is up to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from glo_dsl.evolve.space import Space
from glo_dsl.evolve.variation import Vocabulary, crossover, mutate, paths, random_tree, replaced, subtree
from glo_dsl.ir.expr import Const, Expr, Var, apply, const, size, walk
from glo_dsl.lang.show import show

TRIES = 10
"""Draws before one is taken that is not what was hoped for."""


@dataclass(frozen=True)
class Member:
    """An expression that was trained, the number of the proposal that it was, and what it reached.

    `seeds` are the known losses that it comes from, by the names of `starts.Start`, if it comes from any.
    """

    genotype: Expr
    number: int
    fitness: float
    seeds: tuple[str, ...] = ()

    @property
    def rank(self) -> tuple[float, int]:
        """The fitter; of equally fit ones the smaller."""
        return self.fitness, -size(self.genotype)

    @property
    def written(self) -> list[Any]:
        """As JSON has it."""
        return [show(self.genotype), self.number, self.fitness, list(self.seeds)]

    @classmethod
    def read(cls, written: Sequence[Any], space: Space) -> Member:
        """The member that was written so."""
        text, number, fitness, seeds = written
        return cls(space.read(text), int(number), float(fitness), tuple(map(str, seeds)))


@dataclass(frozen=True)
class Child:
    """An expression, how it was made, and of whom; `known`: it is a loss that was known before the search."""

    genotype: Expr
    origin: str
    parents: tuple[Member, ...] = ()
    seeds: tuple[str, ...] = ()
    known: bool = False


@dataclass(frozen=True)
class Breeding:
    """Children of members, and expressions out of nothing.

    `crossover`, `constant`: shares of children that are bred of two, or differ in a constant factor; the others are
    mutated. `depth`: of random trees.
    """

    words: Vocabulary
    generator: np.random.Generator
    crossover: float
    constant: float
    depth: int

    def child(self, parent: Callable[[], Member]) -> Child:
        """One of a member, or of two."""
        first = parent()
        chance = self.generator.random()
        if chance < self.crossover:
            second = parent()
            bred, _ = crossover(first.genotype, second.genotype, self.words, self.generator)
            seeds = tuple(dict.fromkeys(first.seeds + second.seeds))
            return Child(mutate(bred, self.words, self.generator), "crossover", (first, second), seeds)
        if chance < self.crossover + self.constant:
            return Child(self._scaled(first.genotype), "constant", (first,), first.seeds)
        return Child(self._mutated(first.genotype), "mutation", (first,), first.seeds)

    def newcomer(self) -> Child:
        """A random tree that mentions every term, if one turns up soon: without a term it can hardly be a loss."""
        tree = random_tree(self.words, self.generator, self.depth)
        for _ in range(2 * TRIES):
            if set(self.words.terms) <= {node for node in walk((tree,)) if isinstance(node, Var)}:
                break
            tree = random_tree(self.words, self.generator, self.depth)
        return Child(tree, "random")

    def _mutated(self, root: Expr) -> Expr:
        """Mutated until something has changed."""
        child = root
        for _ in range(TRIES):
            child = mutate(root, self.words, self.generator)
            if child is not root:
                break
        return child

    def _scaled(self, root: Expr) -> Expr:
        """One node times a factor around 1, a literal changed in its place."""
        found = paths(root)
        path = found[int(self.generator.integers(len(found)))]
        factor = float(f"{np.exp(self.generator.normal(0, 0.5)):.3g}")
        node = subtree(root, path)
        value = const(float(f"{node.value * factor:.3g}")) if isinstance(node, Const) else None
        child = replaced(root, path, value if value is not None else apply("mul", const(factor), node))
        return child if size(child) <= self.words.largest else root

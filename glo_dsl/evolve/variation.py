"""Random expressions, mutation and crossover, drawn by the weights of the operator table.

The four mutations and the crossover are those of GLO (Gonzalez & Miikkulainen 2019, appendix).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from operator import is_not

import numpy as np

from glo_dsl.ir.expr import Apply, Const, Expr, Var, apply, const, size
from glo_dsl.ir.ops import Op
from glo_dsl.ir.table import OPS

Path = tuple[int, ...]

Shares = list[float]
"""Sums of weights from the first on, as shares of all."""


@dataclass(frozen=True)
class Vocabulary:
    """What expressions are made of: weighted operators of the table, terms, and literals.

    Probabilities are per node, as GLO gives them.

    >>> from glo_dsl.ir.expr import var
    >>> from glo_dsl.ir.types import REAL_ROW
    >>> words = Vocabulary.paper((var("x", REAL_ROW), var("y", REAL_ROW)))
    >>> [(op.name, words.weight(op)) for op in words.operators(arity=1)]
    [('log', 3.0), ('sqrt', 2.0), ('square', 1.0)]
    """

    terms: tuple[Var, ...]
    term_weight: float = 3.0
    literals: tuple[float, ...] = (1.0, -1.0)
    literal_weight: float = 1.0
    point: float = 0.05
    structural: float = 0.025
    largest: int = 25
    """Nodes a tree may have; a larger child is not accepted."""
    weights: tuple[tuple[str, float], ...] | None = None
    """Operators by name with their weights, in place of those of the table."""
    leaves_below_unary: bool = False
    """Whether an operator of one argument is given a leaf in random trees, however deep they may be."""

    @classmethod
    def paper(cls, terms: tuple[Var, ...]) -> Vocabulary:
        """What Gonzalez & Miikkulainen 2019 draw from, and how. For square they state no weight: here it has 1.

        `largest` is ours, for they state none; leaves below unary operators are as in the library that they used.
        """
        named = (("log", 3.0), ("sqrt", 2.0), ("square", 1.0), ("add", 1.0), ("sub", 1.0), ("mul", 1.0), ("div", 1.0))
        return cls(terms, largest=100, weights=named, leaves_below_unary=True)

    def operators(self, arity: int | None = None) -> list[Op]:
        """The elementwise operators over reals that evolution may use, of one arity or all."""
        return self._operators if arity is None else [op for op in self._operators if op.arity == arity]

    @cached_property
    def _operators(self) -> list[Op]:
        named = OPS.values() if self.weights is None else [OPS[name] for name, _ in self.weights]
        return [op for op in named if self.weight(op) > 0 and op.elementwise]

    def weight(self, op: Op) -> float:
        """How often an operator is drawn, next to others."""
        return op.weight if self.weights is None else dict(self.weights).get(op.name, 0.0)

    @cached_property
    def of_arity(self) -> dict[int, tuple[list[Op], Shares]]:
        """The operators of each arity, with their shares."""
        found = {n: self.operators(n) for n in sorted({op.arity for op in self._operators})}
        return {n: (ops, _cumulative([self.weight(op) for op in ops])) for n, ops in found.items()}

    @cached_property
    def shares(self) -> Shares:
        """Of the operators, then of all terms and of all literals."""
        return _cumulative([*(self.weight(op) for op in self._operators), *self._kinds_of_leaves])

    @cached_property
    def shares_of_kinds(self) -> Shares:
        """Of all terms and of all literals."""
        return _cumulative(self._kinds_of_leaves)

    @property
    def _kinds_of_leaves(self) -> list[float]:
        return [self.term_weight * len(self.terms), self.literal_weight * len(self.literals)]

    @cached_property
    def leaves(self) -> tuple[list[Expr], Shares]:
        """Every term and literal, with its share."""
        weights = [self.term_weight] * len(self.terms) + [self.literal_weight] * len(self.literals)
        return [*self.terms, *(const(value) for value in self.literals)], _cumulative(weights)


def random_tree(words: Vocabulary, generator: np.random.Generator, depth: int) -> Expr:
    """A tree at most `depth` levels below its root, every element drawn by weight."""
    operators = words.operators() if depth > 0 else []
    place = _draw(words.shares if depth > 0 else words.shares_of_kinds, generator)
    if place < len(operators):
        op = operators[place]
        below = 0 if op.arity == 1 and words.leaves_below_unary else depth - 1
        return apply(op, *(random_tree(words, generator, below) for _ in range(op.arity)))
    return random_leaf(words, generator)


def random_leaf(words: Vocabulary, generator: np.random.Generator) -> Expr:
    """A term or a literal, drawn by weight."""
    leaves, shares = words.leaves
    return leaves[_draw(shares, generator)]


def _draw(shares: Shares, generator: np.random.Generator) -> int:
    return bisect_right(shares, generator.random())


def _cumulative(weights: Sequence[float]) -> Shares:
    """The shares of these weights."""
    sums = list(accumulate(weights))
    return [s / sums[-1] for s in sums]


def paths(root: Expr) -> list[Path]:
    """The address of every number in the tree, the root's first; a shared node has several. Conditions have none: what
    is drawn in the place of a node is a number."""
    found: list[Path] = []
    stack: list[tuple[Expr, Path]] = [(root, ())]
    while stack:
        node, path = stack.pop()
        if node.type.kind == "real":
            found.append(path)
        stack.extend((arg, (*path, n)) for n, arg in enumerate(node.args))
    return found


def subtree(root: Expr, path: Path) -> Expr:
    """The node at an address."""
    for n in path:
        root = root.args[n]
    return root


def replaced(root: Expr, path: Path, new: Expr) -> Expr:
    """The tree with another subtree at an address."""
    if not path:
        return new
    assert isinstance(root, Apply)
    args = list(root.args)
    args[path[0]] = replaced(args[path[0]], path[1:], new)
    return apply(root.op, *args)


def crossover(first: Expr, second: Expr, words: Vocabulary, generator: np.random.Generator) -> tuple[Expr, Expr]:
    """Both parents with a random subtree exchanged; a child that grows too large stays its parent."""
    here, there = (_any_path(parent, generator) for parent in (first, second))
    one = replaced(first, here, subtree(second, there))
    two = replaced(second, there, subtree(first, here))
    return (one if size(one) <= words.largest else first), (two if size(two) <= words.largest else second)


def _any_path(root: Expr, generator: np.random.Generator) -> Path:
    found = paths(root)
    return found[int(generator.integers(len(found)))]


def mutate(root: Expr, words: Vocabulary, generator: np.random.Generator) -> Expr:
    """The tree with each node, leaves first, mutated by chance; unchanged if it would grow too large."""
    child = _mutated(root, words, generator)
    return child if size(child) <= words.largest else root


def _mutated(node: Expr, words: Vocabulary, generator: np.random.Generator) -> Expr:
    if isinstance(node, Apply):
        args = [_mutated(arg, words, generator) for arg in node.args]
        if any(map(is_not, args, node.args)):
            node = apply(node.op, *args)
    if node.type.kind != "real":
        return node
    if isinstance(node, Const) and generator.random() < words.point:
        node = const(node.value + generator.choice([-1.0, 1.0]))
    if generator.random() < words.point:
        node = _same_arity(node, words, generator)
    if isinstance(node, Apply):
        return random_leaf(words, generator) if generator.random() < words.structural else node
    return random_tree(words, generator, 1) if generator.random() < words.structural else node


def _same_arity(node: Expr, words: Vocabulary, generator: np.random.Generator) -> Expr:
    if not isinstance(node, Apply):
        return random_leaf(words, generator)
    if node.op.arity not in words.of_arity:  # such as a choice, which comes from a loss that was known before
        return node
    operators, shares = words.of_arity[node.op.arity]
    return apply(operators[_draw(shares, generator)], *node.args)

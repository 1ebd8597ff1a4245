"""Left sides of rules, laid onto nodes: letters stand for whatever they may, operators and literals for themselves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import chain, combinations, product

from glo_dsl.ir.expr import CLASSES, Apply, Const, Expr, Var, var, walk
from glo_dsl.ir.ops import Op
from glo_dsl.ir.types import BOOL_ROW, CLASS, CLASS_INDEX, REAL, REAL_ROW, SAMPLE, UNIFORM, Type, make_type

LETTERS: dict[str, Expr] = {
    **{letter: var(letter, REAL_ROW) for letter in "abcxy"},
    **{letter: var(letter, REAL) for letter in "kl"},
    **{letter: var(letter, UNIFORM) for letter in "nm"},
    **{letter: var(letter, BOOL_ROW) for letter in "pq"},
    **{letter: var(letter, CLASS_INDEX) for letter in "tu"},
}

Binding = dict[str, Expr]


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to lay a pattern onto nodes, with the arguments of each commutative operator in one order.

    Nodes have numbers: the node itself is 0, and each operator adds its arguments. Attributes, cheap questions first:
        operators: which nodes apply what, and whether their arguments are numbered from the last to the first.
        repeated: pairs that have to be one node. literal: which nodes are a certain one. letters: the type of which
            nodes is one of some. numbers: which nodes are literals.
        places: the numbers of the letters of the pattern, in the order of the function `letters`.
    """

    operators: tuple[tuple[int, Op, bool], ...]
    repeated: tuple[tuple[int, int], ...]
    literal: tuple[tuple[int, Expr], ...]
    letters: tuple[tuple[int, frozenset[Type]], ...]
    numbers: tuple[int, ...]
    places: tuple[int, ...]

    def of(self, node: Expr) -> list[Expr] | None:
        """What the letters stand for, or None if the node cannot be read so."""
        nodes = [node]
        for place, op, swapped in self.operators:
            found = nodes[place]
            if not isinstance(found, Apply) or found.op is not op:
                return None
            nodes += found.args[::-1] if swapped else found.args
        for one, other in self.repeated:
            if nodes[one] is not nodes[other]:
                return None
        for place, wanted in self.literal:
            if nodes[place] is not wanted:
                return None
        for place, types in self.letters:
            if nodes[place].type not in types:
                return None
        for place in self.numbers:
            if not isinstance(nodes[place], Const):
                return None
        return [nodes[place] for place in self.places]


def letters(pattern: Expr) -> tuple[str, ...]:
    """Those of a pattern."""
    return tuple(node.name for node in walk((pattern,)) if isinstance(node, Var) and node is not CLASSES)


@cache
def readings(pattern: Expr) -> tuple[Reading, ...]:
    """Every way to read a node as `pattern`: arguments in their order before arguments swapped, outer ones first."""
    orders = [(False, True) if node.args[0] is not node.args[1] else (False,) for node in _commutative(pattern)]
    return tuple(_reading(pattern, iter(order)) for order in product(*orders))


def _commutative(pattern: Expr) -> Iterator[Expr]:
    """The commutative operators of a pattern, each before those in its arguments."""
    if isinstance(pattern, Apply) and pattern.op.commutes:
        yield pattern
    yield from chain.from_iterable(map(_commutative, pattern.args))


def _reading(pattern: Expr, swapped: Iterator[bool]) -> Reading:
    patterns, waiting = [pattern], [0]
    operators: list[tuple[int, Op, bool]] = []
    while waiting:
        place = waiting.pop()
        found = patterns[place]
        if isinstance(found, Apply):
            operators.append((place, found.op, found.op.commutes and next(swapped)))
            waiting += range(len(patterns), len(patterns) + len(found.args))[::-1]
            patterns += found.args
    where: dict[str, int] = {}
    each = [(n, p) for n, p in enumerate(patterns) if isinstance(p, Var) and p is not CLASSES]
    repeated = [(first, n) for n, p in each if (first := where.setdefault(p.name, n)) != n]
    literal = [(n, p) for n, p in enumerate(patterns) if isinstance(p, Const) or p is CLASSES]
    typed = [(n, _types(name)) for name, n in where.items()]
    numbers = [n for name, n in where.items() if name in "nm"]
    places = [where[letter] for letter in letters(pattern)]
    return Reading(
        tuple(operators), tuple(repeated), tuple(literal), tuple(typed), tuple(numbers), tuple(places)
    )  # fmt: skip


@cache
def _types(letter: str) -> frozenset[Type]:
    """Of what a letter may stand for."""
    axes = [frozenset(some) for n in range(3) for some in combinations((SAMPLE, CLASS), n)]
    types = [make_type(LETTERS[letter].type.kind, some) for some in axes]
    if letter in "xy":
        return frozenset(t for t in types if t.per_class)
    return frozenset(t for t in types if not (letter in "kl" and t.per_class))


def matches(pattern: Expr, node: Expr, binding: Binding) -> Iterator[Binding]:
    """Every way to read `node` as `pattern`, where some letters may stand for something already."""
    for reading in readings(pattern):
        found = reading.of(node)
        named = dict(zip(letters(pattern), found or ()))
        if found is not None and all(binding.get(name, value) is value for name, value in named.items()):
            yield {**binding, **named}

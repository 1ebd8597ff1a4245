"""One rule: parsed from its equation, matched against a node, its conditions decided."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from glo_dsl.ir.expr import CLASSES, Apply, Const, Expr, Var, substitute, var
from glo_dsl.ir.types import BOOL_ROW, CLASS_INDEX, REAL, REAL_ROW, UNIFORM, Interval
from glo_dsl.lang.elaborate import parse_expression
from glo_dsl.passes.levels import level
from glo_dsl.passes.magnitudes import invertible, magnitude

LETTERS: dict[str, Expr] = {
    **{letter: var(letter, REAL_ROW) for letter in "abcxy"},
    **{letter: var(letter, REAL) for letter in "kl"},
    **{letter: var(letter, UNIFORM) for letter in "nm"},
    **{letter: var(letter, BOOL_ROW) for letter in "pq"},
    **{letter: var(letter, CLASS_INDEX) for letter in "tu"},
}

Binding = dict[str, Expr]

SMALL = Interval(-(2.0**31), 2.0**31)
"""Squares and products of such numbers are far from where float32 overflows."""


@dataclass(frozen=True, slots=True)
class Rule:
    """`left = right when conditions`; `text` is the line it was read from."""

    text: str
    left: Apply
    right: Expr
    conditions: tuple[str, ...]

    def rewrite(self, node: Expr, ranges: Mapping[Expr, Interval]) -> Expr | None:
        """The right side for this node, or None when the rule does not apply.

        `ranges` answers for every node below `node`.
        """
        for binding in matches(self.left, node, {}):
            if all(holds(condition, binding, ranges) for condition in self.conditions):
                return substitute((self.right,), {LETTERS[name]: value for name, value in binding.items()})[0]
        return None


class Rules:
    """Rules in their order, and which of them a node may be the left side of, by what its arguments are."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = rules
        self._literals = {arg for rule in rules for arg in rule.left.args if isinstance(arg, Const)}
        self._found: dict[tuple[object, ...], tuple[Rule, ...]] = {}

    def of(self, node: Apply) -> tuple[Rule, ...]:
        """Those whose left side has the operator of the node, and the operators and literals that it wants below."""
        heads = tuple(self._head(arg) for arg in node.args)
        found = self._found.get((node.op, *heads))
        if found is None:
            orders = [heads, heads[::-1]] if node.op.commutes else [heads]
            found = tuple(
                rule for rule in self._rules
                if rule.left.op is node.op and any(all(map(_may_be, rule.left.args, order)) for order in orders)
            )  # fmt: skip
            self._found[node.op, *heads] = found
        return found

    def _head(self, node: Expr) -> object:
        """What patterns look at first: an operator, a literal that is in one, `Const` for others, None for the rest."""
        if isinstance(node, Apply):
            return node.op
        if isinstance(node, Const):
            return node if node in self._literals else Const
        return node if node is CLASSES else None


def _may_be(pattern: Expr, head: object) -> bool:
    """Whether a node with this head may match."""
    if isinstance(pattern, Apply):
        return head is pattern.op
    if isinstance(pattern, Var) and pattern is not CLASSES:
        return pattern.name not in "nm" or head is Const or isinstance(head, Const)
    return head is pattern


def parse_rules(text: str) -> tuple[Rule, ...]:
    """The rules of a table, one per line."""
    return tuple(_parse_rule(line) for line in text.strip().splitlines())


def _parse_rule(line: str) -> Rule:
    equation, _, conditions = line.partition(" when ")
    left, _, right = re.sub(r"\s+", " ", equation).partition(" = ")
    pattern = parse_expression(left, LETTERS, "a rule")
    assert isinstance(pattern, Apply)
    parts = tuple(part.strip() for part in conditions.split(",") if part.strip())
    return Rule(line, pattern, parse_expression(right, LETTERS, "a rule"), parts)


def _stands_for(letter: str, node: Expr) -> bool:
    """Whether a letter of a rule may stand for the node."""
    if letter in "xy":
        return node.type.kind == "real" and node.type.per_class
    if letter in "kl":
        return node.type.kind == "real" and not node.type.per_class
    if letter in "nm":
        return isinstance(node, Const) and node.type.kind == "real"
    return node.type.kind == LETTERS[letter].type.kind


def matches(pattern: Expr, node: Expr, binding: Binding) -> Iterator[Binding]:
    """Every way to read `node` as `pattern`, both orders of a commutative operator included."""
    if isinstance(pattern, Var) and pattern is not CLASSES:
        bound = binding.get(pattern.name)
        if bound is node or (bound is None and _stands_for(pattern.name, node)):
            yield {**binding, pattern.name: node}
    elif isinstance(pattern, Apply):
        if isinstance(node, Apply) and node.op is pattern.op:
            yield from _match_arguments(pattern.args, node.args, binding)
            if node.op.commutes:
                yield from _match_arguments(pattern.args, node.args[::-1], binding)
    elif pattern is node:
        yield binding


def _match_arguments(patterns: tuple[Expr, ...], nodes: tuple[Expr, ...], binding: Binding) -> Iterator[Binding]:
    if not patterns:
        yield binding
        return
    for first in matches(patterns[0], nodes[0], binding):
        yield from _match_arguments(patterns[1:], nodes[1:], first)


def holds(condition: str, binding: Binding, ranges: Mapping[Expr, Interval]) -> bool:
    """Whether a condition of a rule is proved for what its letters stand for."""
    match condition.split():
        case ["finite", name]:
            return ranges[binding[name]].bounded
        case ["plain", name]:
            node = binding[name]
            return not (isinstance(node, Apply) and node.op.name == "onehot")
        case [name, "beside", other]:
            return _adds_exactly(binding[name], binding[other])
        case [name, "later", other]:
            return level(binding[name]) > level(binding[other])
        case ["invertible", name]:
            return invertible(binding[name])
        case ["invertible", "square", name]:
            return invertible(binding[name], power=2)
        case ["small", name]:
            return magnitude(binding[name]).within(SMALL)
        case [name, ">=", "1"]:
            return magnitude(binding[name]).lo >= 1
        case [name, "<=", "0"]:
            return magnitude(binding[name]).hi <= 0
        case [name, ">=", "0"]:
            return ranges[binding[name]].lo >= 0
        case [name, ">", "0"]:
            return ranges[binding[name]].lo > 0
        case [name, "!=", "0"]:
            found = ranges[binding[name]]  # an open end counts as reached: exp(a) > 0 rounds to 0
            return found.lo > 0 or found.hi < 0
    raise AssertionError(f"unknown condition {condition}")


def _adds_exactly(first: Expr, second: Expr) -> bool:
    """Whether sum and difference of two literals are exact, and numbers of float32 like the literals themselves."""
    assert isinstance(first, Const) and isinstance(second, Const)
    n, m = first.value, second.value
    sums = (n + m, n - m)
    exact = all(s - n == (m if s is sums[0] else -m) for s in sums) and sums[0] - m == n and sums[1] + m == n
    with np.errstate(over="ignore"):
        return exact and all(float(np.float32(value)) == value for value in (n, m, *sums))

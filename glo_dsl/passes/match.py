"""One rule: parsed from its equation, matched against a node, its conditions decided."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from glo_dsl.ir.bounds import range_of
from glo_dsl.ir.expr import CLASSES, Apply, Const, Expr, Var
from glo_dsl.ir.template import Template
from glo_dsl.ir.types import Interval
from glo_dsl.lang.elaborate import parse_expression
from glo_dsl.passes.levels import level
from glo_dsl.passes.magnitudes import invertible, magnitude
from glo_dsl.passes.patterns import LETTERS, Binding, Reading, letters, matches, readings

SMALL = Interval(-(2.0**31), 2.0**31)
"""Squares and products of such numbers are far from where float32 overflows."""


@dataclass(frozen=True, slots=True)
class Rule:
    """`left = right when conditions`; `text` is the line it was read from."""

    text: str
    left: Apply
    right: Expr
    conditions: tuple[str, ...]
    template: Template = field(compare=False, repr=False)

    def rewrite(
        self, node: Expr, ranges: Mapping[Expr, Interval] | None = None, ways: Iterable[Reading] | None = None
    ) -> Expr | None:
        """The right side for this node, or None when the rule does not apply.

        `ranges` answers for every node below `node`, where more is known than `range_of` says. `ways` are those of all
        readings of the left side that may be one of the node.
        """
        for reading in readings(self.left) if ways is None else ways:
            found = reading.of(node)
            if found is not None and (not self.conditions or self._holds(found, ranges)):
                return self.template.filled(found)
        return None

    def _holds(self, found: Sequence[Expr], ranges: Mapping[Expr, Interval] | None) -> bool:
        binding = dict(zip(letters(self.left), found))
        known = {value: range_of(value) for value in found} if ranges is None else ranges
        return all(holds(condition, binding, known) for condition in self.conditions)


class Rules:
    """Rules in their order, and which of them a node may be the left side of, by what its arguments are."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = rules
        self._literals = {arg for rule in rules for arg in rule.left.args if isinstance(arg, Const)}
        self._found: dict[tuple[object, ...], tuple[tuple[Rule, tuple[Reading, ...]], ...]] = {}

    def of(self, node: Apply) -> tuple[Rule, ...]:
        """Those whose left side has the operator of the node, and the operators and literals that it wants below."""
        return tuple(rule for rule, _ in self._ways(node))

    def rewrite(self, node: Apply) -> Expr | None:
        """What the first rule that changes the node makes of it."""
        for rule, ways in self._ways(node):
            found = rule.rewrite(node, ways=ways)
            if found is not None and found is not node:
                return found
        return None

    def _ways(self, node: Apply) -> tuple[tuple[Rule, tuple[Reading, ...]], ...]:
        """The rules that may apply, each with the readings of its left side that may."""
        heads = [self._head(arg) for arg in node.args]
        found = self._found.get((node.op, *heads))
        if found is None:
            each = ((rule, _possible(rule, heads)) for rule in self._rules if rule.left.op is node.op)
            found = tuple((rule, ways) for rule, ways in each if ways)
            self._found[node.op, *heads] = found
        return found

    def _head(self, node: Expr) -> object:
        """What patterns look at first: an operator, a literal that is in one, `Const` for others, None for the rest."""
        if isinstance(node, Apply):
            return node.op
        if isinstance(node, Const):
            return node if node in self._literals else Const
        return node if node is CLASSES else None


def _possible(rule: Rule, heads: Sequence[object]) -> tuple[Reading, ...]:
    """The readings of a left side where what it wants of the arguments is not seen to be missing at once."""
    orders = [all(map(_may_be, rule.left.args, order)) for order in (heads, heads[::-1])]
    return tuple(reading for reading in readings(rule.left) if orders[reading.operators[0][2]])


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
    meaning = parse_expression(right, LETTERS, "a rule")
    return Rule(line, pattern, meaning, parts, Template(meaning, [LETTERS[name] for name in letters(pattern)]))


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


__all__ = ["LETTERS", "Binding", "Rule", "Rules", "holds", "matches", "parse_rules"]

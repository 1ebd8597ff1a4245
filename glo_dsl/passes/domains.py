"""Where a loss may leave the real numbers: arguments that operators are not defined for, by interval analysis."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache

from glo_dsl.ir.bounds import learn_ranges
from glo_dsl.ir.expr import Apply, Const, Expr, apply
from glo_dsl.ir.ops import Op
from glo_dsl.ir.types import INF, Interval

MAX_FACTS = 100
"""Assumptions that are kept on the way down; below that many choices no more are learned, as each would copy them."""

MAX_VISITS = 200_000
"""Nodes looked at before the analysis stops; each branch of a choice is looked at under its own assumptions."""


@dataclass(frozen=True, slots=True)
class Need:
    """One alternative of a condition: the argument `place` compared with a number, or "whole"."""

    place: int
    relation: str
    bound: float

    def set(self) -> Interval:
        """The numbers that fulfil an inequality."""
        ends = {">": (self.bound, INF, True, False), ">=": (self.bound, INF, False, False),
                "<": (-INF, self.bound, False, True), "<=": (-INF, self.bound, False, False)}  # fmt: skip
        return Interval(*ends[self.relation])


@dataclass(frozen=True, slots=True)
class Finding:
    """An argument that an operator may not be able to take; `certain` when no value of it is all right.

    `others` would do instead of `need`.
    """

    node: Apply
    need: Need
    others: tuple[Need, ...]
    interval: Interval
    certain: bool

    @property
    def argument(self) -> Expr:
        return self.node.args[self.need.place]


@cache
def needs(op: Op) -> tuple[tuple[Need, ...], ...]:
    """The column `needs` of the table, or else `domain`: conditions, each with its alternatives."""
    text = op.needs or op.domain
    return tuple(tuple(_need(atom) for atom in one.split(" or ")) for one in text.split(", ")) if text else ()


def _need(text: str) -> Need:
    match = re.fullmatch(r"([abc]) (?:(>=|<=|>|<|!=) (-?[\d.]+)|(whole))", text.strip())
    assert match is not None, text
    return Need("abc".index(match[1]), match[4] or match[2], float(match[3] or 0))


@dataclass
class Facts:
    """What holds on the way to a node: intervals of expressions, and expressions known not to be 0."""

    known: dict[Expr, Interval]
    nonzero: frozenset[Expr] = frozenset()
    seen: set[Expr] = field(default_factory=set)
    _ranges: dict[Expr, Interval] = field(default_factory=dict)

    def interval(self, node: Expr) -> Interval:
        if not self._ranges:
            self._ranges.update(self.known)
        return learn_ranges(node, self._ranges)

    def assuming(self, condition: Expr, holds: bool) -> Facts | None:
        """These facts and a condition; None if they exclude each other."""
        if len(self.known) + len(self.nonzero) > MAX_FACTS:
            return self
        found = Facts(dict(self.known), self.nonzero)
        found._learn(condition, holds, self)
        return None if any(interval.empty for interval in found.known.values()) else found

    def _learn(self, condition: Expr, holds: bool, before: Facts) -> None:
        stack = [(condition, holds)]
        while stack:
            node, truth = stack.pop()
            if not isinstance(node, Apply):
                continue
            name = node.op.name
            if name == "not":
                stack.append((node.args[0], not truth))
            elif name == ("and" if truth else "or"):
                stack += [(arg, truth) for arg in node.args]
            elif name in _OPPOSITE and node.args[0].type.kind == "real":
                a, b = node.args
                self._compare(name if truth else _OPPOSITE[name], a, b, before)

    def _compare(self, relation: str, a: Expr, b: Expr, before: Facts) -> None:
        left, right = before.interval(a), before.interval(b)
        if relation == "ne":
            self.nonzero |= {apply("sub", a, b), apply("sub", b, a)}
            self.nonzero |= {x for x, y in ((a, b), (b, a)) if isinstance(y, Const) and y.value == 0}
        elif relation == "eq":
            self._narrow(a, right, left)
            self._narrow(b, left, right)
        elif relation in ("lt", "le"):
            self._order(a, left, b, right, relation == "lt")
        else:
            self._order(b, right, a, left, relation == "gt")

    def _order(self, a: Expr, below: Interval, b: Expr, above: Interval, strict: bool) -> None:
        """Learns that a <= b, or a < b."""
        self._narrow(a, Interval(-INF, above.hi, False, strict or above.open_hi), below)
        self._narrow(b, Interval(below.lo, INF, strict or below.open_lo, False), above)
        self._narrow(apply("sub", b, a), Interval(0.0, INF, strict), None)
        self._narrow(apply("sub", a, b), Interval(-INF, 0.0, False, strict), None)

    def _narrow(self, node: Expr, to: Interval, before: Interval | None) -> None:
        if isinstance(node, Const):
            if not to.contains(node.value):
                self.known[node] = Interval(1.0, 0.0)  # nothing: the condition cannot hold
            return
        interval = self.known.get(node, before)
        self.known[node] = to if interval is None else interval.meet(to)


_OPPOSITE = {"lt": "ge", "ge": "lt", "le": "gt", "gt": "le", "eq": "ne", "ne": "eq"}


def undefined(root: Expr, domains: Mapping[Expr, Interval] | None = None) -> Iterator[Finding]:
    """The arguments under `root` that may lie where their operator is not defined, or overflows in float32.

    Each side of a choice is looked at with what its condition says. `domains` may narrow variables further.

    >>> from glo_dsl.ir.expr import var
    >>> from glo_dsl.ir.types import REAL
    >>> from glo_dsl.lang.elaborate import parse_expression
    >>> scope = {"x": var("x", REAL, Interval(-1, 1))}
    >>> [str(f.interval) for f in undefined(parse_expression("if x > 0 then log(x) else log(1 + x)", scope))]
    ['[0, 1]']
    """
    stack: list[tuple[Expr, Facts]] = [(root, Facts(dict(domains or {})))]
    visits = 0
    while stack and visits < MAX_VISITS:
        node, facts = stack.pop()
        if node in facts.seen or not isinstance(node, Apply):
            continue
        facts.seen.add(node)
        visits += 1
        if node.op.name == "select":
            condition, yes, no = node.args
            stack.append((condition, facts))
            for branch, holds in ((yes, True), (no, False)):
                inside = facts.assuming(condition, holds)
                if inside is not None:
                    stack.append((branch, inside))
        else:
            stack.extend((arg, facts) for arg in node.args)
            yield from _check(node, facts)


def _check(node: Apply, facts: Facts) -> Iterator[Finding]:
    for alternatives in needs(node.op):
        states = [_state(need, node.args[need.place], facts) for need in alternatives]
        if True not in states:
            need, *others = alternatives
            certain = all(state is False for state in states)
            yield Finding(node, need, tuple(others), facts.interval(node.args[need.place]), certain)


def _state(need: Need, arg: Expr, facts: Facts) -> bool | None:
    """True and False where the need is proved or disproved, else None."""
    if need.relation == "whole":
        return isinstance(arg, Const) and arg.value == int(arg.value) if isinstance(arg, Const) else None
    interval = facts.interval(arg)
    if need.relation == "!=":
        if arg in facts.nonzero or not interval.contains(need.bound):
            return True
        return False if interval.lo == interval.hi == need.bound else None
    allowed = need.set()
    inside = interval.meet(allowed)
    if inside == interval:
        return True
    return False if inside.empty else None

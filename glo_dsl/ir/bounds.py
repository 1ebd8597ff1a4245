"""The ranges of expressions, by the interval arithmetic of the operator table."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from glo_dsl.ir.expr import Apply, Const, Expr, Var, learnt
from glo_dsl.ir.table import OPS
from glo_dsl.ir.types import ANY, Interval


def ranges(roots: Iterable[Expr], known: Mapping[Expr, Interval] | None = None) -> dict[Expr, Interval]:
    """An interval that contains every finite value of each node, by interval arithmetic over the table's column.

    What is in `known` already is taken from there.
    """
    found: dict[Expr, Interval] = dict(known or {})
    for root in roots:
        learn_ranges(root, found)
    return found


def learn_ranges(root: Expr, known: dict[Expr, Interval]) -> Interval:
    """Adds the ranges of `root` and of what it needs; nothing below a node that is known is looked at again."""
    stack = [root]
    while stack:
        node = stack[-1]
        if node not in known:
            waiting = [arg for arg in node.args if arg not in known]
            if waiting:
                stack += waiting[::-1]
                continue
            known[node] = range_over(node, [known[arg] for arg in node.args])
        stack.pop()
    return known[root]


def range_of(root: Expr) -> Interval:
    """The range of a node of which nothing more is known."""
    return learnt(root, "range", _range)


def _range(node: Expr) -> Interval:
    return range_over(node, [arg.facts["range"] for arg in node.args])


def range_over(node: Expr, args: Sequence[Interval]) -> Interval:
    """The range of a node by those of its arguments."""
    match node:
        case Const():
            return Interval(node.value, node.value) if math.isfinite(node.value) else ANY
        case Var():
            return node.domain
        case Apply() if node.op.name == "mul" and node.args[0] is node.args[1]:
            return OPS["square"].range(args[0])
        case Apply():
            found = node.op.range(*args)
            return ANY if math.isnan(found.lo) or math.isnan(found.hi) else found
        case _:
            return ANY

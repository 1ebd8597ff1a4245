"""The one driver that applies rules to a fixed point."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import numpy as np

from glo_dsl.errors import GloError
from glo_dsl.ir.expr import POSITION, Apply, Const, Expr, Hole, Var, apply, const, learn_ranges, rebuild, truth, walk
from glo_dsl.ir.types import Interval
from glo_dsl.passes import rules
from glo_dsl.passes.match import Rules, parse_rules

STEPS_PER_NODE = 400
"""Rewrites allowed per node of the input before the rules are declared to be going in circles."""


@cache
def family(*names: str) -> Rules:
    """The rules of the named tables."""
    return Rules([rule for name in names for rule in parse_rules(getattr(rules, name))])


def simplify(roots: Iterable[Expr]) -> tuple[Expr, ...]:
    """`roots` in normal form under identities, stability and cheapness rules; shared nodes stay shared.

    >>> from glo_dsl.lang.show import show
    >>> from glo_dsl.lang.elaborate import parse_expression
    >>> from glo_dsl.ir.expr import var
    >>> from glo_dsl.ir.types import CLASS_INDEX, REAL_ROW
    >>> scope = {"z": var("z", REAL_ROW), "t": var("t", CLASS_INDEX)}
    >>> show(simplify([parse_expression("-sum(onehot(t) * log(softmax(z)))", scope)])[0])
    '-log_softmax(z)[t]'
    """
    return rewrite(roots, family("IDENTITIES", "STABILITY", "CHEAPNESS"))


def rewrite(roots: Iterable[Expr], table: Rules) -> tuple[Expr, ...]:
    """`roots` with every rule of `table` applied until none applies.

    Each distinct node is brought to normal form once, arguments first; what a rule produces is taken up again.
    """
    roots = tuple(roots)
    done: dict[Expr, Expr] = {}
    becomes: dict[Expr, Expr] = {}
    known: dict[Expr, Interval] = {}
    budget = STEPS_PER_NODE * (100 + sum(1 for _ in walk(roots)))
    stack = list(reversed(roots))
    while stack:
        node = stack[-1]
        if node in done:
            stack.pop()
            continue
        if node in becomes:
            if becomes[node] in done:
                done[node] = done[becomes[node]]
                stack.pop()
            else:
                stack.append(becomes[node])
            continue
        waiting = [arg for arg in node.args if arg not in done]
        if waiting:
            stack.extend(reversed(waiting))
            continue
        budget -= 1
        if budget < 0:
            raise GloError("the simplification rules go in circles on this expression; please report it")
        successor = _successor(node, done, table, known)
        if successor is node:
            done[node] = node
        else:
            becomes[node] = successor
    return tuple(done[root] for root in roots)


def _successor(node: Expr, done: dict[Expr, Expr], table: Rules, known: dict[Expr, Interval]) -> Expr:
    """The next form of a node whose arguments are done, or the node itself when it is final."""
    rebuilt = rebuild(node, tuple(done[arg] for arg in node.args))
    if rebuilt is not node:
        return rebuilt
    if not isinstance(node, Apply):
        return node
    folded = _fold(node) or _ordered(node) or _gathered(node)
    if folded is not None:
        return folded
    for rule in table.of(node):
        if rule.conditions:
            _learn_ranges(node, known)
        found = rule.rewrite(node, known)
        if found is not None and found is not node:
            return found
    return node


def _learn_ranges(node: Expr, known: dict[Expr, Interval]) -> None:
    learn_ranges(node, known)


def _fold(node: Apply) -> Expr | None:
    """The literal that an operator over literals is."""
    if not node.args or node.op.numpy is None or not all(isinstance(arg, Const) for arg in node.args):
        return None
    literals = [arg for arg in node.args if isinstance(arg, Const)]
    values = [np.bool_(arg.value) if arg.type.kind == "bool" else np.float64(arg.value) for arg in literals]
    with np.errstate(all="ignore"):
        result = node.op.numpy(*values)
    return truth(bool(result)) if node.type.kind == "bool" else const(float(result))


def _ordered(node: Apply) -> Expr | None:
    """The arguments of a commutative operator in the one order that makes equal expressions one object."""
    if not node.op.commutes:
        return None
    first, second = node.args
    return apply(node.op, second, first) if _order(second) < _order(first) else None


def _order(node: Expr) -> tuple[int, str, bytes]:
    """Literals, then variables by name, then the rest: short factors stand first."""
    rank = 0 if isinstance(node, Const) else 1 if isinstance(node, Var) else 2
    return rank, node.name if isinstance(node, Var) else "", node.digest


def _gathered(node: Apply) -> Expr | None:
    """`f(a, b)[t]` as `f(a[t], b[t])`: only inputs and normalised rows are ever gathered."""
    if node.op.name != "gather" or not isinstance(node.args[0], Apply | Hole):
        return None
    row, index = node.args
    return at(row, index) if isinstance(row, Apply) and row.op.elementwise else None


def at(row: Expr, index: Expr) -> Expr:
    """The value of `row` at class `index`, computed from its leaves at that class."""
    taken: dict[Expr, Expr] = {}
    for node in walk((row,)):
        if not node.type.per_class:
            taken[node] = node
        elif node is POSITION:
            taken[node] = index
        elif isinstance(node, Apply) and node.op.elementwise:
            taken[node] = rebuild(node, tuple(taken[a] for a in node.args))
        else:
            taken[node] = apply("gather", node, index)
    return taken[row]

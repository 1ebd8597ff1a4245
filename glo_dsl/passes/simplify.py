"""The one driver that applies rules to a fixed point."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import numpy as np

from glo_dsl.errors import GloError
from glo_dsl.ir.expr import POSITION, Apply, Const, Expr, Hole, Var, apply, const, rebuild, truth, walk
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

    Each distinct node is brought to normal form once, arguments first; what a rule produces is taken up again. Normal
    forms are facts about nodes: what an expression shares with one that was rewritten before is done.
    """
    roots = tuple(roots)
    becomes: dict[Expr, Expr] = {}
    steps = 0
    stack = list(reversed(roots))
    while stack:
        node = stack[-1]
        if table in node.facts or not node.args:
            stack.pop()
            continue
        successor = becomes.get(node)
        if successor is not None:  # it stood above, and is done unless the node is what it becomes itself
            _check(table in successor.facts or not successor.args)
            node.facts[table] = _normal(successor, table)
            continue
        waiting = [arg for arg in node.args if arg.args and table not in arg.facts]
        if waiting:
            stack += waiting[::-1]
            continue
        steps += 1
        if steps > 100 * STEPS_PER_NODE:
            _check(steps <= STEPS_PER_NODE * (100 + sum(1 for _ in walk(roots))))
        successor = _successor(node, table)
        if successor is node:
            node.facts[table] = None
        else:
            becomes[node] = successor
            stack.append(successor)
    return tuple(_normal(root, table) for root in roots)


def _check(ends: bool) -> None:
    if not ends:
        raise GloError("the simplification rules go in circles on this expression; please report it")


def _normal(node: Expr, table: Rules) -> Expr:
    """The normal form of a node that is done. None is written for itself, so that nothing holds on to itself; there is
    no rule about what has no arguments."""
    found: Expr | None = node.facts.get(table)
    return node if found is None else found


def _successor(node: Expr, table: Rules) -> Expr:
    """The next form of a node whose arguments are done, or the node itself when it is final."""
    rebuilt = rebuild(node, tuple([arg.facts.get(table) or arg for arg in node.args]))
    if rebuilt is not node or not isinstance(node, Apply):
        return rebuilt
    return _fold(node) or _ordered(node) or _gathered(node) or table.rewrite(node) or node


def _fold(node: Apply) -> Expr | None:
    """The literal that an operator over literals is."""
    literals: list[Const] = []
    for arg in node.args:
        if not isinstance(arg, Const):
            return None
        literals.append(arg)
    if node.op.numpy is None:
        return None
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
    if isinstance(node, Apply):
        return 2, "", node.digest
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

"""Choices made safe for a library that differentiates by itself: what is not taken gets no gradient, not 0 * NaN.

Our own derivatives carry a choice along to the leaves (see `passes.diff`). Autograd and JAX multiply what comes through
a branch by its local derivatives first, and of a branch that is not taken those may be infinite: 0 * inf is NaN, and
leaks. So the values that enter such a branch pass a gate, `if taken then v else stop(v)`: it changes no value, and lets
no gradient through where the branch is not taken.
"""

from __future__ import annotations

import re

from glo_dsl.ir.bounds import learn_ranges
from glo_dsl.ir.expr import Apply, Const, Expr, apply, rebuild, walk
from glo_dsl.ir.types import Interval
from glo_dsl.passes.domains import Need, needs

PRODUCT = re.compile(r"(2 \* )?g \* [ab]")
"""Derivatives that are an argument itself: infinite where that is."""

Guard = Expr | None
"""The condition under which a node is needed; None: always."""


def gated(root: Expr) -> Expr:
    """The same value, such that a derivative taken operator by operator is finite where that of the taken branch is.

    >>> from glo_dsl.lang.elaborate import parse_expression
    >>> from glo_dsl.lang.show import show
    >>> from glo_dsl.ir.expr import var
    >>> from glo_dsl.ir.types import REAL
    >>> show(gated(parse_expression("if x > 0 then log(x) else x", {"x": var("x", REAL)})))
    'if x > 0 then log(if x > 0 then x else stop(x)) else x'
    """
    delicate = _delicate(root)
    done: dict[tuple[Expr, Guard], Expr] = {}
    stack: list[tuple[Expr, Guard]] = [(root, None)]
    while stack:
        node, guard = stack[-1]
        requests = _requests(node, guard, delicate)
        waiting = [request for request in requests if request not in done]
        if waiting:
            stack.extend(reversed(waiting))
            continue
        stack.pop()
        if not requests:
            done[node, guard] = node
        elif requests[0][0] is node:
            done[node, guard] = _gate(guard, done[requests[0]])
        else:
            done[node, guard] = rebuild(node, tuple(done[request] for request in requests))
    return done[root, None]


def _requests(node: Expr, guard: Guard, delicate: set[Expr]) -> list[tuple[Expr, Guard]]:
    """What a node under a guard is made of: its arguments under guards, or itself without one, to be gated.

    Nothing where it stays as it is: what has no gradient lets none through.
    """
    if isinstance(node, Const) or node.type.kind != "real" or (isinstance(node, Apply) and node.op.name == "stop"):
        return []
    if not isinstance(node, Apply):
        return [] if guard is None else [(node, None)]
    if guard is not None and (node not in delicate or (not node.op.elementwise and guard.type.per_class)):
        return [(node, None)]
    if node.op.name == "select":
        condition, yes, no = node.args
        branches = ((yes, condition), (no, apply("not", condition)))
        return [(condition, None), *((b, _both(guard, holds) if b in delicate else None) for b, holds in branches)]
    return [(arg, guard) for arg in node.args]


def _both(guard: Guard, condition: Expr) -> Expr:
    return condition if guard is None else apply("and", guard, condition)


def _gate(guard: Guard, value: Expr) -> Expr:
    assert guard is not None
    return apply("select", guard, value, apply("stop", value))


def _delicate(root: Expr) -> set[Expr]:
    """The nodes that are, or are computed through, an operator whose derivative may be infinite."""
    found: set[Expr] = set()
    known: dict[Expr, Interval] = {}
    for node in walk((root,)):
        if not isinstance(node, Apply) or node.op.name == "stop" or node.type.kind != "real":
            continue
        if any(arg in found for arg in node.args) or _may_be_steep(node, known):
            found.add(node)
    return found


def _may_be_steep(node: Apply, known: dict[Expr, Interval]) -> bool:
    op = node.op
    if op.name == "select" or not op.elementwise:
        return False
    intervals = [learn_ranges(arg, known) for arg in node.args]
    if any(PRODUCT.fullmatch(text) for text in op.vjp):  # a class is masked by a logit of minus infinity
        return any(arg.type.per_class and not i.bounded for arg, i in zip(node.args, intervals))
    return not all(any(_holds(need, intervals) for need in one) for one in needs(op))


def _holds(need: Need, intervals: list[Interval]) -> bool:
    interval = intervals[need.place]
    if need.relation == "whole":
        return False
    if need.relation == "!=":
        return not interval.contains(need.bound)
    allowed = need.set()
    return interval.meet(allowed) == interval

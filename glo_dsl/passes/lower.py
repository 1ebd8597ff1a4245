"""From the operators of the language to those a kernel has: composite rows unfolded, entries taken at the leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from glo_dsl.ir.expr import Apply, Expr, rebuild, walk
from glo_dsl.ir.ops import Op
from glo_dsl.passes.simplify import at, family, rewrite
from glo_dsl.passes.templates import define
from glo_dsl.passes.twins import twinned


def spelled(root: Expr, spelling: Callable[[Op], str]) -> Expr:
    """`root` in operators that a target has a spelling for, the others by their definitions.

    >>> from glo_dsl.lang.elaborate import parse_expression
    >>> from glo_dsl.lang.show import show
    >>> from glo_dsl.ir.expr import var
    >>> from glo_dsl.ir.types import REAL_ROW
    >>> mean = parse_expression("mean(exp(z))", {"z": var("z", REAL_ROW)})
    >>> show(spelled(mean, lambda op: op.sympy))
    'sum(exp(z)) / C'
    """
    done: dict[Expr, Expr] = {}
    for node in walk((root,)):
        args = tuple(done[a] for a in node.args)
        if isinstance(node, Apply) and not spelling(node.op):
            done[node] = define(node.op, args)
        else:
            done[node] = rebuild(node, args)
    return done[root]


def lower(roots: Iterable[Expr]) -> tuple[Expr, ...]:
    """`roots` in elementwise operators, `sum`, `max` and `min`, with `z[t]` on inputs only.

    What that exposes is simplified once more: per-sample factors leave the sums, divisions by a per-sample value
    become one reciprocal if float32 holds it, and a sum does not wait for a logarithm it can do without. Last,
    functions of a value and of its negative are made to share an exponential.
    """
    return twinned(rewrite(unfolded(roots), family("IDENTITIES", "LOWERED")))


def unfolded(roots: Iterable[Expr]) -> tuple[Expr, ...]:
    """`roots` in these operators, with nothing simplified: for who computes them too seldom to gain by it."""
    roots = tuple(roots)
    done: dict[Expr, Expr] = {}
    for node in walk(roots):
        args = tuple([done[a] for a in node.args])
        if isinstance(node, Apply) and node.op.define:
            done[node] = define(node.op, args)
        elif isinstance(node, Apply) and node.op.name == "gather":
            done[node] = at(args[0], args[1])
        else:
            done[node] = rebuild(node, args)
    return tuple([done[root] for root in roots])

"""From the operators of the language to those a kernel has: composite rows unfolded, entries taken at the leaves."""

from __future__ import annotations

from collections.abc import Iterable

from glo_dsl.ir.expr import Apply, Expr, rebuild, walk
from glo_dsl.passes.simplify import at, family, rewrite
from glo_dsl.passes.templates import define


def lower(roots: Iterable[Expr]) -> tuple[Expr, ...]:
    """`roots` in elementwise operators, `sum`, `max` and `min`, with `z[t]` on inputs only.

    What that exposes is simplified once more: per-sample factors leave the sums, divisions by a per-sample value
    become one reciprocal if float32 holds it, and a sum does not wait for a logarithm it can do without.
    """
    roots = tuple(roots)
    done: dict[Expr, Expr] = {}
    for node in walk(roots):
        args = tuple(done[a] for a in node.args)
        if isinstance(node, Apply) and node.op.define:
            done[node] = define(node.op, args)
        elif isinstance(node, Apply) and node.op.name == "gather":
            done[node] = at(args[0], args[1])
        else:
            done[node] = rebuild(node, args)
    return rewrite((done[root] for root in roots), family("IDENTITIES", "LOWERED"))

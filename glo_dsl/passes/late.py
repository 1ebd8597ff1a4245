"""Sums that have to wait for another pass over the row, one by one written otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from glo_dsl.ir.expr import Apply, Expr, rebuild, walk
from glo_dsl.passes.online import online
from glo_dsl.passes.simplify import family, rewrite


def late_sums(roots: Iterable[Expr], written: Callable[[Expr], Expr | None]) -> tuple[Expr, ...]:
    """`roots`, lowered, in which each sum that has to wait is what `written` makes of its terms, if it is not None."""
    roots = tuple(roots)
    early = online(roots)
    done: dict[Expr, Expr] = {}
    for node in walk(roots):
        done[node] = rebuild(node, tuple(done[a] for a in node.args))
        if isinstance(node, Apply) and node.op.name == "sum" and early.waits(node):
            done[node] = written(done[node].args[0]) or done[node]
    return rewrite((done[root] for root in roots), family("IDENTITIES", "LOWERED", "WALKED"))

"""Which parts of an expression a text names, so that none is written twice."""

from __future__ import annotations

from glo_dsl.ir.expr import Expr, walk


def shared_parts(root: Expr, smallest: int) -> list[Expr]:
    """The parts of `root` that are used more than once, arguments before users.

    A part counts if it is written with at least `smallest` nodes, where each part named before it is one.
    """
    uses: dict[Expr, int] = {}
    order = list(walk((root,)))
    for node in order:
        for arg in node.args:
            uses[arg] = uses.get(arg, 0) + 1
    nodes: dict[Expr, int] = {}
    found = []
    for node in order:
        nodes[node] = 1 + sum(nodes[arg] for arg in node.args)
        if uses.get(node, 0) > 1 and nodes[node] >= smallest:
            found.append(node)
            nodes[node] = 1
    return found

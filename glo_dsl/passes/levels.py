"""When a value can be known: how many reductions over the row must have finished before."""

from __future__ import annotations

from glo_dsl.ir.expr import Apply, Expr, Var, learnt


def level(root: Expr) -> int:
    """0 for what needs no reduction; a reduction over values of level n has level n + 1.

    The values of level n that vary over classes are computed in pass n over the row. An entry `z[t]` of an input can be
    read at once; that of a computed row is known only after the pass that computes the row.
    """
    return learnt(root, "level", _level)


def _level(node: Expr) -> int:
    below = max([arg.facts["level"] for arg in node.args], default=0)
    return below + (isinstance(node, Apply) and crosses(node))


def crosses(node: Apply) -> bool:
    """Whether a node is known only after a pass over what it is computed from."""
    if node.op.shape == "gather":
        return not isinstance(node.args[0], Var)
    return node.op.shape in ("reduce", "row")

"""When a value can be known: how many reductions over the row must have finished before."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from glo_dsl.ir.expr import Apply, Expr, Var, walk

_known: WeakKeyDictionary[Expr, int] = WeakKeyDictionary()


def level(root: Expr) -> int:
    """0 for what needs no reduction; a reduction over values of level n has level n + 1.

    The values of level n that vary over classes are computed in pass n over the row. An entry `z[t]` of an input can be
    read at once; that of a computed row is known only after the pass that computes the row.
    """
    if root not in _known:
        for node in walk((root,)):
            if node not in _known:
                below = max((_known[a] for a in node.args), default=0)
                _known[node] = below + (isinstance(node, Apply) and crosses(node))
    return _known[root]


def crosses(node: Apply) -> bool:
    """Whether a node is known only after a pass over what it is computed from."""
    if node.op.shape == "gather":
        return not isinstance(node.args[0], Var)
    return node.op.shape in ("reduce", "row")

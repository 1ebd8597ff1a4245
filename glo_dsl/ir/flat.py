"""Expressions as flat tables of plain values, for pickles: however deep one is, nothing recurses."""

from __future__ import annotations

from typing import Any

from glo_dsl.errors import GloError
from glo_dsl.ir.expr import Apply, Const, Expr, Hole, Var, apply, const, hole, var, walk
from glo_dsl.ir.table import OPS
from glo_dsl.ir.types import Interval, Type, make_type

Row = tuple[Any, ...]
"""What a node is, and the numbers of the rows that are its arguments."""


def flattened(root: Expr) -> tuple[Row, ...]:
    """The nodes under `root`, each once, arguments before users; the last row is `root`.

    >>> from glo_dsl.ir.expr import apply, const
    >>> flattened(apply("exp", const(2)))
    (('const', 2.0, 'real', ()), ('apply', 'exp', 0))
    """
    place: dict[Expr, int] = {}
    rows = []
    for node in walk((root,)):
        rows.append(_row(node, [place[a] for a in node.args]))
        place[node] = len(place)
    return tuple(rows)


def _row(node: Expr, args: list[int]) -> Row:
    match node:
        case Const():
            return "const", node.value, *_type(node.type)
        case Var():
            domain = node.domain
            ends = (domain.lo, domain.hi, domain.open_lo, domain.open_hi)
            return "var", node.name, *_type(node.type), ends, node.simplex
        case Apply():
            return "apply", node.op.name, *args
        case Hole():
            return "hole", node.name, *args
        case _:
            raise TypeError(f"no row says what a {type(node).__name__} is")


def _type(of: Type) -> tuple[str, tuple[str, ...]]:
    return of.kind, tuple(sorted(of.axes))


def restored(rows: tuple[Row, ...]) -> Expr:
    """The expression of a table, the very one where it is there already.

    Raises:
        GloError: the table was written by another version, with operators that this one does not have.
    """
    nodes: list[Expr] = []
    for row in rows:
        nodes.append(_node(row, nodes))
    return nodes[-1]


def _node(row: Row, nodes: list[Expr]) -> Expr:
    match row:
        case ("const", value, kind, axes):
            return const(value, make_type(kind, frozenset(axes)))
        case ("var", name, kind, axes, ends, simplex):
            return var(name, make_type(kind, frozenset(axes)), Interval(*ends), simplex)
        case ("apply", name, *args) if name in OPS:
            return apply(name, *(nodes[a] for a in args))
        case ("hole", name, *args):
            return hole(name, tuple(nodes[a] for a in args))
        case _:
            raise GloError(f"no {' '.join(map(str, row[:2]))} in this version", hint="it was pickled by another one")

"""The derivative of a loss by any expression in it."""

from __future__ import annotations

from glo_dsl.errors import GloError
from glo_dsl.ir.bounds import ranges
from glo_dsl.ir.expr import Const, Expr, Var, holes, substitute, var, walk
from glo_dsl.passes.diff import gradients
from glo_dsl.passes.simplify import simplify

MOST_NODES = 1000
"""Nodes of a loss above which nothing is derived while its author waits."""


def slope(value: Expr, by: Expr) -> Expr | None:
    """d value / d by, simplified; wherever `by` stands in `value` counts. None where there is no such thing.

    >>> from glo_dsl.ir.types import REAL
    >>> from glo_dsl.lang.elaborate import parse_expression
    >>> from glo_dsl.lang.show import show
    >>> scope = {"x": var("x", REAL)}
    >>> show(slope(parse_expression("square(exp(x))", scope), parse_expression("exp(x)", scope)))
    '2 * exp(x)'
    """
    nodes = set(walk((value,)))
    if by not in nodes or len(nodes) > MOST_NODES or by.type.kind != "real" or isinstance(by, Const) or holes((value,)):
        return None
    here = by if isinstance(by, Var) else var("@here", by.type, ranges((by,))[by])
    try:
        (simple,) = simplify(substitute((value,), {by: here}))
        (found,) = simplify(gradients(simple, [here]).values())
        if here is not by:
            (found,) = simplify(substitute((found,), {here: by}))
    except GloError:  # an operator whose derivative the table cannot say
        return None
    return found

"""Expressions as `.glo` text for people: shared parts named once, lines broken by the formatter."""

from __future__ import annotations

from itertools import count

from glo_dsl.errors import GloError
from glo_dsl.ir.expr import Expr, rebuild, var, variables, walk
from glo_dsl.lang.format import format_text
from glo_dsl.lang.sharing import shared_parts
from glo_dsl.lang.show import show

SMALL = 5
"""Shared parts of fewer nodes are repeated rather than named."""


def readable(label: str, expr: Expr) -> str:
    """`label = expr` over as many lines as it needs.

    >>> from glo_dsl.lang.elaborate import parse_expression
    >>> from glo_dsl.ir.types import REAL
    >>> expr = parse_expression("exp(x * x - 1) / (1 + exp(x * x - 1))", {"x": var("x", REAL)})
    >>> print(readable("f", expr))
    f =
      let s1 = exp(x * x - 1) in
      s1 / (1 + s1)
    """
    text = let_text(expr)
    head = f"def {'x' * max(1, len(label) - len('def ()'))}() ="  # as long as the label, so that lines break alike
    try:
        lines = format_text(f"{head} {text}").rstrip("\n")
    except GloError:  # too deep or too long for a text that the formatter reads
        return f"{label} = {text}"
    return f"{label} ={lines[len(head) :]}"


def let_text(expr: Expr) -> str:
    """The expression in one line, its shared parts bound by `let`."""
    taken = {v.name for v in variables((expr,))}
    names = (name for name in (f"s{n}" for n in count(1)) if name not in taken)
    shared = set(shared_parts(expr, SMALL))
    written: dict[Expr, Expr] = {}
    bindings = []
    for node in walk((expr,)):
        written[node] = rebuild(node, tuple(written[arg] for arg in node.args))
        if node in shared:
            name = next(names)
            bindings.append(f"{name} = {show(written[node])}")
            written[node] = var(name, node.type)
    body = show(written[expr])
    return f"let {', '.join(bindings)} in {body}" if bindings else body

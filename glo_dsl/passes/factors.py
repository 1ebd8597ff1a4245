"""Sums whose terms all have a late factor: known only after a pass that the rest of them does not wait for.

The gradient of a quotient of sums, such as sum(a) / sum(b), brings a factor 1 / square(sum(b)) under further sums. A
factor that does not vary over classes leaves its sum, through choices and quotients too, and the sum shares the pass of
the one that it waited for. Only a factor that all terms have does: terms apart may be large and cancel.

A choice may have kept an infinite factor away, such as 1 / 0 where a class mask is empty. Where the rest adds up to 0,
an infinite factor therefore counts as the largest number; one that is not a number stays.
"""

from __future__ import annotations

from collections.abc import Iterable

from glo_dsl.ir.expr import Apply, Const, Expr, apply, const, walk
from glo_dsl.passes.late import late_sums
from glo_dsl.passes.levels import level
from glo_dsl.passes.magnitudes import FINITE

Product = tuple[Expr, Expr]
"""What does not vary over classes and is late, and what does and is not."""

ONE = const(1.0)


def factored(roots: Iterable[Expr]) -> tuple[Expr, ...]:
    """`roots`, lowered, where the late factor of the terms of sums that have to wait stands before the sum.

    >>> from glo_dsl.ir.expr import var
    >>> from glo_dsl.ir.types import REAL_ROW
    >>> from glo_dsl.lang.elaborate import parse_expression
    >>> from glo_dsl.lang.show import show
    >>> from glo_dsl.passes.lower import lower
    >>> late = lower([parse_expression("sum(exp(z) * -(z / sum(z)))", {"z": var("z", REAL_ROW)})])
    >>> print(show(factored(late)[0]))
    -(sum(z * exp(z)) * (1 / sum(z)))
    """
    return late_sums(roots, _apart)


def _apart(terms: Expr) -> Expr | None:
    """The sum of `terms` as a late factor times the sum of the rest; None if there is no such factor."""
    found = _product(terms)
    if found is None or not found[1].type.per_class:
        return None
    late, total = found[0], apply("sum", found[1])
    if any(isinstance(n, Apply) and n.op.name == "select" and n.type.per_class for n in walk((terms,))):
        finite = apply("minimum", apply("maximum", late, const(FINITE.lo)), const(FINITE.hi))
        late = apply("select", apply("eq", total, const(0.0)), finite, late)
    return apply("mul", late, total)


def _product(terms: Expr) -> Product | None:
    """`terms` as one product, or None."""
    last = level(terms)
    found: dict[Expr, Product | None] = {}
    for node in walk((terms,)):
        if level(node) < last:
            found[node] = (ONE, node)
        elif not node.type.per_class:
            found[node] = (node, ONE)
        else:
            assert isinstance(node, Apply)
            found[node] = _combined(node, [found[a] for a in node.args])
    return found[terms]


def _combined(node: Apply, parts: list[Product | None]) -> Product | None:
    if None in parts:
        return None
    known = [part for part in parts if part is not None]
    name = node.op.name
    if name in ("mul", "div"):
        (k, x), (m, y) = known
        return _plain(name, k, m), _plain(name, x, y)
    if name == "neg":
        return known[0][0], apply("neg", known[0][1])
    if name in ("add", "sub", "select"):
        return _of_one_factor(node, known)
    return None


def _plain(name: str, a: Expr, b: Expr) -> Expr:
    """a * b or a / b, so that the same factor always looks the same."""
    if b is ONE:
        return a
    return b if a is ONE and name == "mul" else apply(name, a, b)


def _of_one_factor(node: Apply, parts: list[Product]) -> Product | None:
    """A sum or a choice of products of one late factor; 0 has any."""
    *condition, first, second = parts
    if any(late is not ONE for late, _ in condition):
        return None
    factors = {late for late, rest in (first, second) if not (isinstance(rest, Const) and rest.value == 0)}
    if len(factors) != 1:
        return None
    return factors.pop(), apply(node.op, *(rest for _, rest in parts))

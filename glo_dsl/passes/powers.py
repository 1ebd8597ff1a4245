"""Sums of polynomials in exp(a - max(a)) as sums of its powers, which follow the maximum.

A sum such as sum(square(softmax(a) - k)) waits for sum(exp(a - max(a))), as its terms are of several degrees.
Multiplied out, it is made of sums of one degree each and needs no pass of its own.
"""

from __future__ import annotations

from collections.abc import Iterable

from glo_dsl.ir.expr import CLASSES, Apply, Const, Expr, apply, const, walk
from glo_dsl.passes.late import late_sums
from glo_dsl.passes.online import is_exponent

HIGHEST = 4
"""The highest that is summed: float32 holds 1 / sum(exp(a - max(a))) to this power of any row below 1e9 classes."""

Polynomial = dict[int, Expr]
"""Coefficients, none of which varies over classes, by the power."""


def powers(roots: Iterable[Expr]) -> tuple[Expr, ...]:
    """`roots`, lowered, where sums that have to wait are multiplied out if their terms are such polynomials.

    >>> from glo_dsl.ir.expr import var
    >>> from glo_dsl.ir.types import REAL, REAL_ROW
    >>> from glo_dsl.lang.elaborate import parse_expression
    >>> from glo_dsl.lang.show import show
    >>> from glo_dsl.passes.lower import lower
    >>> scope = {"z": var("z", REAL_ROW), "k": var("k", REAL)}
    >>> late = lower([parse_expression("sum(square(softmax(z) - k))", scope)])
    >>> from glo_dsl.passes.online import online
    >>> max(online(late).levels.values()), max(online(powers(late)).levels.values())
    (2, 1)
    """
    return late_sums(roots, _multiplied_out)


def _multiplied_out(terms: Expr) -> Expr | None:
    """The sum of `terms`, or of those where a condition does not hold, by powers; None if they are no polynomial."""
    test: Expr | None = None
    if isinstance(terms, Apply) and terms.op.name == "select":
        if not (isinstance(terms.args[1], Const) and terms.args[1].value == 0):
            return None
        test, _, terms = terms.args
    bases = [n for n in walk((terms,)) if isinstance(n, Apply) and n.op.name == "exp" and is_exponent(n.args[0])]
    bases = [n for n in bases if n.type.per_class]
    if len(bases) != 1:
        return None
    found = _polynomial(terms, bases[0])
    if found is None:
        return None
    total: Expr = const(0.0)
    for power, factor in found.items():
        total = apply("add", total, apply("mul", factor, _sum(bases[0], power, test)))
    return total


def _sum(base: Expr, power: int, test: Expr | None) -> Expr:
    if power == 0 and test is None:
        return CLASSES
    square = apply("square", base)
    term = (const(1.0), base, square, apply("mul", base, square), apply("square", square))[power]
    return apply("sum", term if test is None else apply("select", test, const(0.0), term))


def _polynomial(root: Expr, base: Expr) -> Polynomial | None:
    found: dict[Expr, Polynomial | None] = {base: {1: const(1.0)}}
    for node in walk((root,)):
        if node in found:
            continue
        if not node.type.per_class:
            found[node] = {0: node}
            continue
        parts = [found[a] for a in node.args]
        known = [p for p in parts if p is not None]
        if isinstance(node, Apply) and known and len(known) == len(parts):
            found[node] = _combined(node.op.name, known)
        else:
            found[node] = None
    return found[root]


def _combined(name: str, parts: list[Polynomial]) -> Polynomial | None:
    if name in ("add", "sub"):
        left, right = parts
        shared = {n: apply(name, left[n], right[n]) for n in left.keys() & right.keys()}
        alone = {n: apply("neg", c) if name == "sub" else c for n, c in right.items() if n not in left}
        return dict(sorted((left | alone | shared).items()))
    if name == "neg":
        return {n: apply("neg", c) for n, c in parts[0].items()}
    if name == "mul":
        return _product(*parts)
    return _product(parts[0], parts[0]) if name == "square" else None


def _product(left: Polynomial, right: Polynomial) -> Polynomial | None:
    found: Polynomial = {}
    for n, a in left.items():
        for m, b in right.items():
            term = apply("mul", a, b)
            found[n + m] = apply("add", found[n + m], term) if n + m in found else term
    return dict(sorted(found.items())) if max(found) <= HIGHEST else None

"""Sums that follow a growing maximum: what lets a row that is walked in blocks share passes.

A softmax needs the largest logit before it can sum exp(a - max(a)), which is a pass of its own. But such a sum is
*homogeneous*: where the maximum grows from m to m', every term shrinks by exp(m - m'), so the sum that has been
collected can be scaled instead of being computed again (Milakov & Gimelshein 2018, arXiv:1805.02867). This holds for
any sum of terms of equal degree k in exp(a - max(a)), with the factor exp(k * (m - m')).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from glo_dsl.ir.expr import Apply, Const, Expr, walk
from glo_dsl.passes.levels import crosses


@dataclass(frozen=True, slots=True)
class Running:
    """The maximum that a sum follows, and the power of exp(a - max(a)) that all of its terms have."""

    maximum: Apply
    degree: float


@dataclass(frozen=True, slots=True)
class Online:
    """`level` of every node as `levels.level` has it, but that of a sum in `running` is that of its maximum."""

    levels: Mapping[Expr, int]
    running: Mapping[Expr, Running]


def online(roots: Iterable[Expr]) -> Online:
    """Which sums under `roots` can share the pass that finds their maximum.

    >>> from glo_dsl.ir.expr import apply, var
    >>> from glo_dsl.ir.types import REAL_ROW
    >>> z = var("z", REAL_ROW)
    >>> terms = apply("exp", apply("sub", z, apply("max", z)))
    >>> total = apply("sum", apply("square", terms))
    >>> found = online([total])
    >>> found.levels[total], found.running[total].degree
    (1, 2.0)
    """
    levels: dict[Expr, int] = {}
    running: dict[Expr, Running] = {}
    maxima: dict[int, list[Apply]] = {}
    for node in walk(roots):
        level = max((levels[a] for a in node.args), default=0)
        levels[node] = level
        if not isinstance(node, Apply) or not crosses(node):
            continue
        found = _followed(node, maxima.get(level, []), levels) if node.op.name == "sum" else None
        if found is not None:
            running[node] = found
            continue
        levels[node] = level + 1
        if node.op.name == "max":
            maxima.setdefault(level + 1, []).append(node)
    return Online(levels, running)


def _followed(node: Apply, maxima: Iterable[Apply], levels: Mapping[Expr, int]) -> Running | None:
    for maximum in maxima:
        degree = _degree(node.args[0], maximum, levels)
        if degree is not None:
            return Running(maximum, degree)
    return None


def _degree(root: Expr, maximum: Apply, levels: Mapping[Expr, int]) -> float | None:
    """The power of exp(a - max(a)) in a value per class; None if it has none, or needs what is not known in time.

    Negative powers have none either: their terms grow without bound while those of the others fade.
    """
    found: dict[Expr, float | None] = {}
    for node in walk((root,)):
        if levels[node] < levels[maximum]:
            found[node] = 0.0
        else:
            known = node.type.per_class and isinstance(node, Apply)
            found[node] = _power(node, maximum, found) if known and isinstance(node, Apply) else None
    degree = found[root]
    return degree if degree is not None and degree >= 0 else None


def _power(node: Apply, maximum: Apply, found: Mapping[Expr, float | None]) -> float | None:
    """The degree of a node from those of its arguments: a factor above 0 on exp(a - max(a)) comes out as its power."""
    name, args = node.op.name, node.args
    if name == "exp":
        shifted = args[0]
        exact = isinstance(shifted, Apply) and shifted.op.name == "sub" and shifted.args == (*maximum.args, maximum)
        return 1.0 if exact else None
    if name == "select":
        return None if found[args[0]] is None else _equal(args[1:], found)
    if name in ("add", "sub", "maximum", "minimum"):
        return _equal(args, found)
    degrees = [found[a] for a in args]
    if None in degrees:
        return None
    known = [d for d in degrees if d is not None]
    if name in ("neg", "abs", "relu", "stop"):
        return known[0]
    if name == "mul":
        return known[0] + known[1]
    if name == "square":
        return 2 * known[0]
    if name == "sqrt":
        return known[0] / 2
    if name == "pow" and isinstance(args[1], Const):
        return known[0] * args[1].value
    return None


def _equal(args: Iterable[Expr], found: Mapping[Expr, float | None]) -> float | None:
    """The degree that all terms have; 0 has any."""
    degrees = {found[a] for a in args if not (isinstance(a, Const) and a.value == 0)}
    return degrees.pop() if len(degrees) == 1 else None

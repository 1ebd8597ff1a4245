"""Sums that follow a growing maximum: what lets a row that is walked in blocks share passes.

A softmax needs the largest logit before it can sum exp(a - max(a)), which is a pass of its own. But such a sum is
*homogeneous*: where the maximum grows from m to m', every term shrinks by exp(m - m'), so the sum that has been
collected can be scaled instead of being computed again (Milakov & Gimelshein 2018, arXiv:1805.02867). This holds for
any sum of terms of equal degree k in exp(a - max(a)), with the factor exp(k * (m - m')). The exponent itself drifts:
c * (a - max(a)) loses c * (m' - m), so its sum is followed with the help of another, that of c.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from glo_dsl.ir.expr import Apply, Const, Expr, apply, const, walk
from glo_dsl.passes.levels import crosses


@dataclass(frozen=True, slots=True)
class Running:
    """How a sum follows a maximum.

    Attributes:
        degree: the power of exp(a - max(a)) that all terms have, or all `c` of a drifting sum.
        drifts_with: the sum of `c` for one of `c * (a - max(a))`; the literal 1 if `c` is.
    """

    maximum: Apply
    degree: float
    drifts_with: Expr | None = None


@dataclass(frozen=True, slots=True)
class Online:
    """`level` of every node as `levels.level` has it, but that of a sum in `running` is that of its maximum."""

    levels: Mapping[Expr, int]
    running: Mapping[Expr, Running]

    @property
    def companions(self) -> list[Expr]:
        """The sums that others drift with, whether the program asks for them or not."""
        return [r.drifts_with for r in self.running.values() if isinstance(r.drifts_with, Apply)]


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
            if isinstance(found.drifts_with, Apply):
                levels[found.drifts_with] = level
                if levels[found.drifts_with.args[0]] == level:
                    running[found.drifts_with] = Running(found.maximum, found.degree)
            continue
        levels[node] = level + 1
        if node.op.name == "max":
            maxima.setdefault(level + 1, []).append(node)
    return Online(levels, running)


def _followed(node: Apply, maxima: Iterable[Apply], levels: Mapping[Expr, int]) -> Running | None:
    for maximum in maxima:
        degree = _degree(node.args[0], maximum, levels)
        found = _drifting(node.args[0], maximum, levels) if degree is None else Running(maximum, degree)
        if found is not None:
            return found
    return None


def _drifting(terms: Expr, maximum: Apply, levels: Mapping[Expr, int]) -> Running | None:
    """For `c * (a - max(a))`, where the sum of `c` is known in the same pass."""
    if _exponent(terms, maximum):
        return Running(maximum, 0.0, const(1.0))
    if not isinstance(terms, Apply) or terms.op.name != "mul":
        return None
    for factor, other in (terms.args, terms.args[::-1]):
        degree = _degree(factor, maximum, levels) if _exponent(other, maximum) and factor.type.per_class else None
        if degree is not None and levels[factor] >= levels[maximum] - 1:
            return Running(maximum, degree, apply("sum", factor))
    return None


def is_exponent(node: Expr) -> bool:
    """Whether a node is a - max(a)."""
    if not isinstance(node, Apply) or node.op.name != "sub":
        return False
    above, below = node.args[1], node.args[0]
    return isinstance(above, Apply) and above.op.name == "max" and above.args == (below,)


def _exponent(node: Expr, maximum: Apply) -> bool:
    return is_exponent(node) and node.args[1] is maximum


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
        return 1.0 if _exponent(args[0], maximum) else None
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

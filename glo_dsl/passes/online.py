"""Sums that follow a growing maximum: what lets a row that is walked in blocks share passes.

A softmax needs the largest logit before it can sum exp(a - max(a)), which is a pass of its own. But such a sum is
*homogeneous*: where the maximum grows from m to m', every term shrinks by exp(m - m'), so the sum that has been
collected can be scaled instead of being computed again (Milakov & Gimelshein 2018, arXiv:1805.02867). This holds for
any sum of terms of equal degree k in exp(a - max(a)), with the factor exp(k * (m - m')); k may be any number of the
sample that is known before. The exponent itself drifts: c * (a - max(a)) loses c * (m' - m), so its sum is followed
with the help of another, that of c. What is 0 but where a == max(a) has no degree above which it could not lie: its
sum, such as the number of classes that share the maximum, starts again from 0. That holds for a minimum, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from glo_dsl.ir.bounds import learn_ranges
from glo_dsl.ir.expr import Apply, Const, Expr, apply, const, walk
from glo_dsl.ir.types import INF
from glo_dsl.passes.levels import crosses

Degree = float | Expr
"""A power of exp(a - max(a)): a literal, or a value that does not vary over classes. Infinite is [a == max(a)]."""


@dataclass(frozen=True, slots=True)
class Running:
    """How a sum follows a maximum.

    Attributes:
        maximum: a maximum over classes, or a minimum if the degree is infinite.
        degree: the power of exp(a - max(a)) that all terms have, or all `c` of a drifting sum.
        drifts_with: the sum of `c` for one of `c * (a - max(a))`; the literal 1 if `c` is.
    """

    maximum: Apply
    degree: Degree
    drifts_with: Expr | None = None


@dataclass(frozen=True, slots=True)
class Online:
    """`level` of every node as `levels.level` has it, but that of a sum in `running` is that of its maximum."""

    levels: Mapping[Expr, int]
    running: Mapping[Expr, Running]

    def waits(self, node: Expr) -> bool:
        """Whether a reduction has to wait for another, which it does not follow."""
        return self.levels[node] > 1 and node not in self.running

    @property
    def companions(self) -> list[Expr]:
        """The sums that others drift with, whether the program asks for them or not."""
        return [r.drifts_with for r in self.running.values() if isinstance(r.drifts_with, Apply)]

    @property
    def degrees(self) -> list[Expr]:
        """Those that are no literals."""
        return [r.degree for r in self.running.values() if isinstance(r.degree, Expr)]


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
            if isinstance(found.degree, Expr):
                _add_levels(found.degree, levels)
            if isinstance(found.drifts_with, Apply):
                levels[found.drifts_with] = level
                if levels[found.drifts_with.args[0]] == level:
                    running[found.drifts_with] = Running(found.maximum, found.degree)
            continue
        levels[node] = level + 1
        if node.op.name in ("max", "min"):
            maxima.setdefault(level + 1, []).append(node)
    return Online(levels, running)


def _followed(node: Apply, maxima: Iterable[Apply], levels: dict[Expr, int]) -> Running | None:
    for maximum in maxima:
        degree = _degree(node.args[0], maximum, levels)
        found = _drifting(node.args[0], maximum, levels) if degree is None else Running(maximum, degree)
        if found is not None:
            return found
    return None


def _drifting(terms: Expr, maximum: Apply, levels: dict[Expr, int]) -> Running | None:
    """For `c * (a - max(a))`, where the sum of `c` is known in the same pass."""
    factor = _factor(terms, maximum)
    if factor is None or isinstance(factor, Const):
        return None if factor is None else Running(maximum, 0.0, factor)
    _add_levels(factor, levels)
    degree = _degree(factor, maximum, levels)
    if degree is None or not factor.type.per_class or levels[factor] < levels[maximum] - 1:
        return None
    return Running(maximum, INF) if degree == INF else Running(maximum, degree, apply("sum", factor))


def _add_levels(elementwise: Expr, levels: dict[Expr, int]) -> None:
    """Those of a new expression over nodes that have theirs."""
    for node in walk((elementwise,)):
        levels.setdefault(node, max((levels[a] for a in node.args), default=0))


def _factor(terms: Expr, maximum: Apply) -> Expr | None:
    """c for `c * (a - max(a))`; a choice with 0 is a factor, too."""
    if _exponent(terms, maximum):
        return const(1.0)
    if not isinstance(terms, Apply) or terms.op.name not in ("mul", "select"):
        return None
    if terms.op.name == "mul":
        parts = ((other, _factor(one, maximum)) for one, other in (terms.args, terms.args[::-1]))
        return next((_product(other, factor) for other, factor in parts if factor is not None), None)
    condition, yes, no = terms.args
    if isinstance(no, Const) and no.value == 0:
        factor = _factor(yes, maximum)
        return None if factor is None else apply("select", condition, factor, const(0.0))
    if isinstance(yes, Const) and yes.value == 0:
        factor = _factor(no, maximum)
        return None if factor is None else apply("select", condition, const(0.0), factor)
    return None


def _product(a: Expr, b: Expr) -> Expr:
    return a if isinstance(b, Const) else apply("mul", a, b)


def is_exponent(node: Expr) -> bool:
    """Whether a node is a - max(a)."""
    if not isinstance(node, Apply) or node.op.name != "sub":
        return False
    above, below = node.args[1], node.args[0]
    return isinstance(above, Apply) and above.op.name == "max" and above.args == (below,)


def _exponent(node: Expr, maximum: Apply) -> bool:
    return is_exponent(node) and node.args[1] is maximum


def _degree(root: Expr, maximum: Apply, levels: Mapping[Expr, int]) -> Degree | None:
    """The power of exp(a - max(a)) in a value per class; None if it has none, or needs what is not known in time.

    Negative powers have none either: their terms grow without bound while those of the others fade.
    """
    found: dict[Expr, Degree | None] = {}
    for node in walk((root,)):
        if levels[node] < levels[maximum]:
            found[node] = 0.0
        else:
            known = node.type.per_class and isinstance(node, Apply)
            found[node] = _power(node, maximum, found) if known and isinstance(node, Apply) else None
    degree = found[root]
    return degree if degree is not None and _at_least_0(degree) else None


def _at_least_0(degree: Degree) -> bool:
    return (learn_ranges(degree, {}).lo if isinstance(degree, Expr) else degree) >= 0


def _power(node: Apply, maximum: Apply, found: Mapping[Expr, Degree | None]) -> Degree | None:
    """The degree of a node from those of its arguments: a factor above 0 on exp(a - max(a)) comes out as its power.

    That of a condition is infinite if it holds for no class but those of the maximum, and 0 if it is known before.
    """
    name, args = node.op.name, node.args
    if name == "exp":
        return _multiple(args[0], maximum, found)
    if name == "eq":
        return INF if maximum in args and maximum.args[0] in args else None
    if name == "select":
        return _chosen(args, found)
    if name in ("add", "sub", "maximum", "minimum"):
        return _equal(args, found)
    degrees = [found[a] for a in args]
    if None in degrees:
        return None
    known = [d for d in degrees if d is not None]
    if name in ("neg", "abs", "relu", "stop"):
        return known[0]
    if name in ("mul", "and"):
        return _plus(*known)
    if name == "square":
        return _times(2.0, known[0])
    if name == "sqrt":
        return _times(0.5, known[0])
    if name == "pow" and isinstance(args[1], Const) and args[1].value:
        return _times(args[1].value, known[0])
    return None


def _multiple(exponent: Expr, maximum: Apply, found: Mapping[Expr, Degree | None]) -> Degree | None:
    """k for k * (a - max(a)), where k is known before."""
    if _exponent(exponent, maximum):
        return 1.0
    if isinstance(exponent, Apply) and exponent.op.name == "mul":
        for factor, other in (exponent.args, exponent.args[::-1]):
            if _exponent(other, maximum) and found[factor] == 0 and not factor.type.per_class:
                return factor.value if isinstance(factor, Const) else factor
    return None


def _chosen(args: tuple[Expr, ...], found: Mapping[Expr, Degree | None]) -> Degree | None:
    """The degree of a choice; one by a condition of the maximum has to be 0 elsewhere."""
    condition, yes, no = args
    if found[condition] == INF and isinstance(no, Const) and no.value == 0:
        return None if found[yes] is None else INF
    return _equal((yes, no), found) if found[condition] == 0 else None


def _equal(args: Iterable[Expr], found: Mapping[Expr, Degree | None]) -> Degree | None:
    """The degree that all terms have; 0 has any."""
    degrees = {found[a] for a in args if not (isinstance(a, Const) and a.value == 0)}
    return degrees.pop() if len(degrees) == 1 else None


def _plus(a: Degree, b: Degree) -> Degree:
    if INF in (a, b) or not (isinstance(a, Expr) or isinstance(b, Expr)):
        return INF if INF in (a, b) else _literal(a) + _literal(b)
    return b if a == 0 else a if b == 0 else apply("add", _expression(a), _expression(b))


def _times(literal: float, a: Degree) -> Degree:
    return apply("mul", const(literal), a) if isinstance(a, Expr) else literal * a


def _literal(a: Degree) -> float:
    assert not isinstance(a, Expr)
    return a


def _expression(a: Degree) -> Expr:
    return a if isinstance(a, Expr) else const(a)

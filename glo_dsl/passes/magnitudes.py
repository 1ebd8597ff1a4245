"""How large or small a value can be in float32: intervals, and what is known of sums over classes.

Interval arithmetic alone says of a sum of exponentials that it may be anything above 0. But exp(a - max(a)) is 1 at
some class and at most 1 at all, so that its sum lies between 1 and the number of classes, which memory bounds.
"""

from __future__ import annotations

import numpy as np

from glo_dsl.ir.bounds import range_over
from glo_dsl.ir.expr import CLASSES, Apply, Expr, learnt
from glo_dsl.ir.types import Interval
from glo_dsl.passes.online import is_exponent

MOST_CLASSES = 2.0**31
"""No row is longer."""

FINITE = Interval(-float(np.finfo(np.float32).max), float(np.finfo(np.float32).max))
"""What is beyond is infinite, as it is in the kernel; there the interval says nothing."""

SMALLEST = float(np.finfo(np.float32).tiny)
"""The least positive number of float32 with all its digits."""


def magnitude(root: Expr) -> Interval:
    """An interval that contains every finite value of a node in float32, up to rounding.

    >>> from glo_dsl.ir.expr import var
    >>> from glo_dsl.ir.types import REAL_ROW
    >>> from glo_dsl.lang.elaborate import parse_expression
    >>> scope = {"z": var("z", REAL_ROW)}
    >>> print(magnitude(parse_expression("sum(exp(z - max(z)))", scope)))
    [1, 2.14748e+09]
    >>> print(magnitude(parse_expression("sqrt(max(sum(square(z)), 1e-30))", scope)))
    [1e-15, 1.84467e+19]
    """
    return learnt(root, "magnitude", _magnitude)


def _magnitude(node: Expr) -> Interval:
    return _of(node, [arg.facts["magnitude"] for arg in node.args]).meet(FINITE)


def invertible(root: Expr, power: int = 1) -> bool:
    """Whether this power of every value and of its reciprocal is a number of float32 with all its digits, or none is.

    `x * (1 / k)` then is `x / k` up to rounding. A factor of 2 is left for the rounding of the value itself.
    """
    found = magnitude(root)
    least = found.lo if found.lo > 0 else -found.hi
    most = max(-found.lo, found.hi)
    return least > 0 and least**power >= 2 * SMALLEST and most**power <= 0.5 / SMALLEST


def _of(node: Expr, args: list[Interval]) -> Interval:
    if node is CLASSES:
        return Interval(1.0, MOST_CLASSES)
    if is_exponent(node):
        return Interval(FINITE.lo, 0.0)
    if isinstance(node, Apply) and node.op.name == "sum":
        return _sum(node.args[0], args[0])
    return range_over(node, args)


def _sum(terms: Expr, each: Interval) -> Interval:
    lo, hi = min(each.lo, each.lo * MOST_CLASSES), max(each.hi, each.hi * MOST_CLASSES)
    return Interval(max(lo, 1.0) if _reaches_1(terms) else lo, hi)


def _reaches_1(row: Expr) -> bool:
    """Whether a value per class is 1 at some class: exp(a - max(a)), its powers and products."""
    if not isinstance(row, Apply):
        return False
    if row.op.name == "exp":
        return is_exponent(row.args[0])
    if row.op.name in ("square", "sqrt"):
        return _reaches_1(row.args[0])
    return False

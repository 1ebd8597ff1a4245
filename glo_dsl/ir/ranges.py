"""Interval arithmetic: the range of each operator's value from the ranges of its arguments.

An end of an interval is a pair (value, open). Ends at infinity are open: arguments are finite numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from glo_dsl.ir.types import ANY, INF, NONNEGATIVE, UNIT, Interval

End = tuple[float, bool]


def lower(a: Interval) -> End:
    return a.lo, a.open_lo


def upper(a: Interval) -> End:
    return a.hi, a.open_hi


def between(lo: End, hi: End) -> Interval:
    return Interval(lo[0], hi[0], lo[1], hi[1])


def _least(ends: list[End]) -> End:
    """The lowest end; of equal ones a closed one, which is reached."""
    return min(ends)


def _most(ends: list[End]) -> End:
    value, closed = max((value, not is_open) for value, is_open in ends)
    return value, not closed


def rising(function: Callable[[Any], Any]) -> Callable[[Interval], Interval]:
    """Range of a strictly increasing function: its values at the ends."""

    def of(a: Interval) -> Interval:
        with np.errstate(all="ignore"):
            lo, hi = float(function(np.float64(a.lo))), float(function(np.float64(a.hi)))
        return Interval(-INF if math.isnan(lo) else lo, INF if math.isnan(hi) else hi, a.open_lo, a.open_hi)

    return of


def fixed(lo: float, hi: float, open_lo: bool = False, open_hi: bool = False) -> Callable[..., Interval]:
    """Range of a function that never leaves an interval."""
    return lambda *_: Interval(lo, hi, open_lo, open_hi)


def steps(function: Callable[[Any], Any]) -> Callable[[Interval], Interval]:
    """Range of a function that rises in steps: an open end may be reached from within."""

    def of(a: Interval) -> Interval:
        found = rising(function)(a)
        return Interval(found.lo, found.hi)

    return of


def sqrt(a: Interval) -> Interval:
    inside = a.meet(NONNEGATIVE)
    return ANY if inside.empty else rising(np.sqrt)(inside)


def add(a: Interval, b: Interval) -> Interval:
    return Interval(a.lo + b.lo, a.hi + b.hi, a.open_lo or b.open_lo, a.open_hi or b.open_hi)


def sub(a: Interval, b: Interval) -> Interval:
    return add(a, neg(b))


def neg(a: Interval) -> Interval:
    return Interval(-a.hi, -a.lo, a.open_hi, a.open_lo)


def _times(x: End, y: End) -> End:
    if x[0] == 0 or y[0] == 0:  # an infinite end is open, so 0 * inf is 0
        reached = (x[0] == 0 and not x[1]) or (y[0] == 0 and not y[1])
        return 0.0, not reached
    return x[0] * y[0], x[1] or y[1]


def mul(a: Interval, b: Interval) -> Interval:
    ends = [_times(x, y) for x in (lower(a), upper(a)) for y in (lower(b), upper(b))]
    return between(_least(ends), _most(ends))


def div(a: Interval, b: Interval) -> Interval:
    if b.lo < 0 < b.hi or b.lo == b.hi == 0:
        return ANY
    lo, hi = (1 / b.hi if b.hi else -INF), (1 / b.lo if b.lo else INF)
    return mul(a, Interval(lo, hi, b.open_hi, b.open_lo))


def square(a: Interval) -> Interval:
    size = absolute(a)
    return Interval(size.lo * size.lo, size.hi * size.hi, size.open_lo, size.open_hi)


def absolute(a: Interval) -> Interval:
    if a.contains(0.0):
        return between((0.0, False), _most([upper(neg(a)), upper(a)]))
    return a if a.lo >= 0 else neg(a)


def power(a: Interval, b: Interval) -> Interval:
    if a.lo < 0:
        whole = b.lo == b.hi and b.lo == math.floor(b.lo) >= 0
        return _whole_power(a, b.lo) if whole else ANY
    with np.errstate(all="ignore"):
        corners = [float(np.float64(x) ** np.float64(y)) for x in (a.lo, a.hi) for y in (b.lo, b.hi)]
    if any(math.isnan(corner) for corner in corners):
        return NONNEGATIVE
    positive = a.lo > 0 or a.open_lo
    return Interval(min(corners), max(corners), open_lo=positive and min(corners) == 0)


def _whole_power(a: Interval, exponent: float) -> Interval:
    if exponent == 0:
        return Interval(1.0, 1.0)
    with np.errstate(all="ignore"):
        if exponent % 2 == 1:
            return rising(lambda x: np.float64(x) ** exponent)(a)
        return rising(lambda x: np.float64(x) ** exponent)(absolute(a))


def maximum(a: Interval, b: Interval) -> Interval:
    return between(max(lower(a), lower(b)), _most([upper(a), upper(b)]))


def minimum(a: Interval, b: Interval) -> Interval:
    return neg(maximum(neg(a), neg(b)))


def relu(a: Interval) -> Interval:
    return maximum(a, Interval(0.0, 0.0))


def clamp(a: Interval, lo: Interval, hi: Interval) -> Interval:
    return minimum(maximum(a, lo), hi)


def select(_: Interval, a: Interval, b: Interval) -> Interval:
    return between(_least([lower(a), lower(b)]), _most([upper(a), upper(b)]))


def same(a: Interval, *_: Interval) -> Interval:
    return a


def total(a: Interval) -> Interval:
    """A sum over at least one class."""
    lo: End = lower(a) if a.lo >= 0 else (-INF, True)
    hi: End = upper(a) if a.hi <= 0 else (INF, True)
    return between(lo, hi)


def logsumexp(a: Interval) -> Interval:
    return Interval(a.lo, INF, a.open_lo)


SOFTMAX = Interval(0.0, 1.0, open_lo=True)
"""A single class has all of it."""

__all__ = [
    "SOFTMAX", "UNIT", "absolute", "add", "clamp", "div", "fixed", "logsumexp", "maximum", "minimum", "mul", "neg",
    "power", "relu", "rising", "same", "select", "sqrt", "square", "steps", "sub", "total",
]  # fmt: skip

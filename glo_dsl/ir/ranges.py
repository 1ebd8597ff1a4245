"""Interval arithmetic: the range of each operator's value from the ranges of its arguments."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from glo_dsl.ir.types import ANY, INF, Interval


def rising(function: Callable[[Any], Any]) -> Callable[[Interval], Interval]:
    """Range of an increasing function: its values at the ends."""

    def of(a: Interval) -> Interval:
        with np.errstate(all="ignore"):
            lo, hi = float(function(np.float64(a.lo))), float(function(np.float64(a.hi)))
        return Interval(-INF if math.isnan(lo) else lo, INF if math.isnan(hi) else hi)

    return of


def fixed(lo: float, hi: float) -> Callable[..., Interval]:
    """Range of a function that never leaves [lo, hi]."""
    return lambda *_: Interval(lo, hi)


def add(a: Interval, b: Interval) -> Interval:
    return Interval(a.lo + b.lo, a.hi + b.hi)


def sub(a: Interval, b: Interval) -> Interval:
    return Interval(a.lo - b.hi, a.hi - b.lo)


def neg(a: Interval) -> Interval:
    return Interval(-a.hi, -a.lo)


def _times(x: float, y: float) -> float:
    return 0.0 if x == 0 or y == 0 else x * y  # an infinite end is open, so 0 * inf is 0


def mul(a: Interval, b: Interval) -> Interval:
    ends = [_times(x, y) for x in (a.lo, a.hi) for y in (b.lo, b.hi)]
    return Interval(min(ends), max(ends))


def div(a: Interval, b: Interval) -> Interval:
    if b.contains(0.0):
        if b.lo == 0.0 and b.hi > 0.0:
            return mul(a, Interval(1 / b.hi, INF))
        if b.hi == 0.0 and b.lo < 0.0:
            return mul(a, Interval(-INF, 1 / b.lo))
        return ANY
    return mul(a, Interval(1 / b.hi, 1 / b.lo))


def square(a: Interval) -> Interval:
    ends = (a.lo * a.lo, a.hi * a.hi)
    return Interval(0.0 if a.contains(0.0) else min(ends), max(ends))


def absolute(a: Interval) -> Interval:
    ends = (abs(a.lo), abs(a.hi))
    return Interval(0.0 if a.contains(0.0) else min(ends), max(ends))


def power(a: Interval, b: Interval) -> Interval:
    if a.lo < 0:
        return ANY
    if a.hi <= 1 and b.lo >= 0:
        return Interval(0.0, 1.0)
    return Interval(0.0, INF)


def maximum(a: Interval, b: Interval) -> Interval:
    return Interval(max(a.lo, b.lo), max(a.hi, b.hi))


def minimum(a: Interval, b: Interval) -> Interval:
    return Interval(min(a.lo, b.lo), min(a.hi, b.hi))


def clamp(a: Interval, lo: Interval, hi: Interval) -> Interval:
    return minimum(maximum(a, lo), hi)


def select(_: Interval, a: Interval, b: Interval) -> Interval:
    return Interval(min(a.lo, b.lo), max(a.hi, b.hi))


def same(a: Interval, *_: Interval) -> Interval:
    return a


def total(a: Interval) -> Interval:
    """A sum over at least one class."""
    return Interval(a.lo if a.lo >= 0 else -INF, a.hi if a.hi <= 0 else INF)


def logsumexp(a: Interval) -> Interval:
    return Interval(a.lo, INF)

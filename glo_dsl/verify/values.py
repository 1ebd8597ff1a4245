"""Which numbers of a domain are worth trying: simple ones first, its ends, numbers near its ends, large and small."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glo_dsl.ir.expr import Const, Expr, walk
from glo_dsl.ir.types import Interval
from glo_dsl.lang.show import number

Array = NDArray[Any]

SIMPLE = (0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5, 3.0, -3.0, 1.5, 0.25, 0.75, 5.0, 10.0, -10.0, 0.1, 0.001, -0.001, 1e-6)
LARGE = (100.0, -100.0, 1e4, -1e4)
NEAR = (1e-12, 1e-6, 1e-3, 0.03125)
"""How far from the end of a domain, as a share of its width or of 1 if that is smaller."""

WINDOW = 6.0
"""Where most random numbers lie: within this distance of the number nearest to 0."""

MOST_LITERALS = 12


def complexity(value: float) -> float:
    """How hard a number is to read: 0 for 0, more for more digits, for size and for a sign.

    >>> sorted([0.37, -1.0, 100.0, 0.5, 1.0, 0.0], key=complexity)
    [0.0, 1.0, -1.0, 0.5, 100.0, 0.37]
    """
    if value == 0:
        return 0.0
    digits = number(abs(value))
    halves = 0.5 if digits.endswith(".5") else 0.0
    return len(digits) - halves + 0.25 * (value < 0) + 1e-5 * min(abs(value), 1e4)


def literals_of(roots: Iterable[Expr]) -> tuple[float, ...]:
    """The numbers that stand in expressions and are not simple anyway: at them, something may change."""
    found = {n.value for n in walk(roots) if isinstance(n, Const) and 1e-6 <= abs(n.value) <= 1e4}
    new = sorted(found - set(SIMPLE) - set(LARGE), key=complexity)
    return tuple(new[:MOST_LITERALS])


@lru_cache(maxsize=4096)
def worth_trying(domain: Interval, literals: tuple[float, ...] = ()) -> tuple[float, ...]:
    """Numbers of a domain at which a loss may be special, simple ones first.

    >>> from glo_dsl.ir.types import INF
    >>> worth_trying(Interval(0, 8))[:4], worth_trying(Interval(100, 200))[:4]
    ((0.0, 1.0, 2.0, 3.0), (100.0, 101.0, 102.0, 103.0))
    >>> 0.0 in worth_trying(Interval(0, INF, open_lo=True)), min(worth_trying(Interval(0, INF, open_lo=True))) < 1e-100
    (False, True)
    """
    start = nearest_to_zero(domain)
    width = min(domain.hi - domain.lo, 1.0)
    found = {*SIMPLE, *LARGE, *literals}
    if abs(start) > 1:
        found |= {start + step for step in SIMPLE + LARGE}
    if domain.bounded:
        found |= {domain.lo + share * (domain.hi - domain.lo) for share in (0.25, 0.5, 0.75)}
    for end, direction in ((domain.lo, 1.0), (domain.hi, -1.0)):
        if math.isfinite(end):
            found |= {end, *(end + direction * share * width for share in NEAR)}
    found |= {float(inside(domain, np.float64(end))) for end in (domain.lo, domain.hi) if math.isfinite(end)}
    return tuple(sorted((v for v in found if domain.contains(v)), key=complexity))


def nearest_to_zero(domain: Interval) -> float:
    """0, or the end of the domain that is nearest to it."""
    return float(min(max(0.0, domain.lo), domain.hi))


def inside(domain: Interval, values: Any, dtype: Any = np.float64) -> Array:
    """The values rounded to a type and moved into a domain, past an end that does not belong to it.

    >>> half_open = Interval(0, 1, open_hi=True)
    >>> float(inside(half_open, 7.0)), float(inside(half_open, 1 - 1e-12, np.float32))
    (0.9999999999999999, 0.9999999403953552)
    """
    kind = np.dtype(dtype)
    lo, hi = _first(domain.lo, domain.open_lo, kind, 1.0), _first(domain.hi, domain.open_hi, kind, -1.0)
    with np.errstate(all="ignore"):
        return np.asarray(np.clip(np.asarray(values, dtype=np.float64).astype(kind), lo, hi).astype(np.float64))


def _first(end: float, is_open: bool, kind: np.dtype[Any], direction: float) -> Any:
    """The first number of a type that lies in a domain, seen from one of its ends; not so near to 0 that its square or
    its cube is subnormal and loses digits, or that a square in a derivative overflows."""
    if math.isinf(end):
        return kind.type(end)
    first = kind.type(end)
    if direction * (float(first) - end) < 0 or (is_open and float(first) == end):
        first = np.nextafter(first, kind.type(direction * np.inf))
    smallest = np.cbrt(np.finfo(kind).tiny)
    if 0 < abs(float(first)) < smallest:
        first = kind.type(direction * smallest) if direction * float(first) > 0 else kind.type(0.0)
    return first


def random_reals(domain: Interval, shape: tuple[int, ...], rng: np.random.Generator, special: Sequence[float]) -> Array:
    """Random numbers of a domain; each row takes one of several ways of being random.

    A row is all that has the first index in common. `special` are numbers worth trying.
    """
    ways = np.array([_plain, _plain, _special, _ties, _large, _equal, _near_the_ends])
    chosen = rng.integers(0, len(ways), shape[0])
    values = np.empty(shape)
    for way, draw in enumerate(ways):
        rows = np.flatnonzero(chosen == way)
        if rows.size:
            values[rows] = draw(domain, (rows.size, *shape[1:]), rng, np.asarray(special))
    return inside(domain, values)


def _window(domain: Interval) -> tuple[float, float]:
    start = nearest_to_zero(domain)
    return max(domain.lo, start - WINDOW), min(domain.hi, start + WINDOW)


def _plain(domain: Interval, shape: tuple[int, ...], rng: np.random.Generator, _: Array) -> Array:
    return np.asarray(rng.uniform(*_window(domain), shape))


def _special(_: Interval, shape: tuple[int, ...], rng: np.random.Generator, special: Array) -> Array:
    return np.asarray(rng.choice(special, shape))


def _ties(_: Interval, shape: tuple[int, ...], rng: np.random.Generator, special: Array) -> Array:
    return np.asarray(rng.choice(special[:5], shape))


def _large(domain: Interval, shape: tuple[int, ...], rng: np.random.Generator, _: Array) -> Array:
    size = 10.0 ** rng.uniform(0, 4, (shape[0], *(1 for _ in shape[1:])))
    return np.asarray(nearest_to_zero(domain) + size * rng.standard_normal(shape))


def _equal(domain: Interval, shape: tuple[int, ...], rng: np.random.Generator, _: Array) -> Array:
    per_row = rng.uniform(*_window(domain), (shape[0], *(1 for _ in shape[1:])))
    return np.broadcast_to(per_row, shape)


def _near_the_ends(domain: Interval, shape: tuple[int, ...], rng: np.random.Generator, _: Array) -> Array:
    """Where the domain has ends; else near 0."""
    ends = [(end, way) for end, way in ((domain.lo, 1.0), (domain.hi, -1.0)) if math.isfinite(end)]
    ends = ends or [(0.0, 1.0), (0.0, -1.0)]
    chosen = np.asarray(ends)[rng.integers(0, len(ends), shape)]
    distance = 10.0 ** rng.uniform(-12, 0, shape) * min(domain.hi - domain.lo, 1.0)
    return np.asarray(chosen[..., 0] + chosen[..., 1] * distance)

"""What a value is for one sample (its kind) and what it varies over (its axes)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

SAMPLE = "sample"
CLASS = "class"
Axes = frozenset[str]


@dataclass(frozen=True, slots=True, eq=False)
class Type:
    """`kind` is real, bool or class (an index into the class axis); `axes` is a subset of {sample, class}. Equal types
    are one object, see `make_type`.

    >>> str(REAL_ROW), str(CLASS_INDEX)
    ('real[C]', 'class[C]')
    """

    kind: str
    axes: Axes

    def __str__(self) -> str:
        if self.kind == "class":
            return "class[C]"
        return f"{self.kind}[C]" if CLASS in self.axes else self.kind

    @property
    def per_class(self) -> bool:
        return CLASS in self.axes

    @property
    def per_sample(self) -> bool:
        return SAMPLE in self.axes

    def __reduce__(self) -> tuple[Callable[..., Type], tuple[str, Axes]]:
        return make_type, (self.kind, self.axes)


@cache
def make_type(kind: str, axes: Axes) -> Type:
    """The one object for this type: expressions are many, types are few."""
    return Type(kind, axes)


REAL = make_type("real", frozenset({SAMPLE}))
REAL_ROW = make_type("real", frozenset({SAMPLE, CLASS}))
UNIFORM = make_type("real", frozenset())
BOOL = make_type("bool", frozenset({SAMPLE}))
BOOL_ROW = make_type("bool", frozenset({SAMPLE, CLASS}))
TRUTH = make_type("bool", frozenset())
CLASS_INDEX = make_type("class", frozenset({SAMPLE}))
POSITION_TYPE = make_type("class", frozenset({CLASS}))


@dataclass(frozen=True, slots=True)
class Interval:
    """An interval of the reals. An end may be open, that is, not belong to it; an end at infinity always is.

    >>> Interval(0, 1).within(Interval(-1, 1)), str(Interval(0, INF, open_lo=True))
    (True, '(0, inf)')
    """

    lo: float
    hi: float
    open_lo: bool = False
    open_hi: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "lo", self.lo + 0.0)  # -0 is 0
        object.__setattr__(self, "hi", self.hi + 0.0)
        object.__setattr__(self, "open_lo", self.open_lo or self.lo == -INF)
        object.__setattr__(self, "open_hi", self.open_hi or self.hi == INF)

    @property
    def empty(self) -> bool:
        return self.lo > self.hi or (self.lo == self.hi and (self.open_lo or self.open_hi))

    def within(self, other: Interval) -> bool:
        return other.lo <= self.lo and self.hi <= other.hi

    def contains(self, value: float) -> bool:
        """Whether a number lies in it; infinite ends count, because a limit may be passed for a value."""
        above = value > self.lo or (value == self.lo and not (self.open_lo and math.isfinite(value)))
        below = value < self.hi or (value == self.hi and not (self.open_hi and math.isfinite(value)))
        return above and below

    def meets(self, other: Interval) -> bool:
        """Whether some number lies in both."""
        return not self.meet(other).empty

    def meet(self, other: Interval) -> Interval:
        """What lies in both; may be empty."""
        lo, open_lo = max((self.lo, self.open_lo), (other.lo, other.open_lo))
        hi, closed_hi = min((self.hi, not self.open_hi), (other.hi, not other.open_hi))
        return Interval(lo, hi, open_lo, not closed_hi)

    @property
    def bounded(self) -> bool:
        return self.lo > -INF and self.hi < INF

    def __str__(self) -> str:
        return f"{'(' if self.open_lo else '['}{self.lo:g}, {self.hi:g}{')' if self.open_hi else ']'}"


INF = float("inf")
ANY = Interval(-INF, INF)
NONNEGATIVE = Interval(0.0, INF)
UNIT = Interval(0.0, 1.0)

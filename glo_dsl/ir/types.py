"""What a value is for one sample (its kind) and what it varies over (its axes)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

SAMPLE = "sample"
CLASS = "class"
Axes = frozenset[str]


@dataclass(frozen=True, slots=True)
class Type:
    """`kind` is real, bool or class (an index into the class axis); `axes` is a subset of {sample, class}.

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
    """A closed interval of the extended reals; an end at infinity is open (the value itself stays finite).

    >>> Interval(0, 1).within(Interval(-1, 1))
    True
    """

    lo: float
    hi: float

    def within(self, other: Interval) -> bool:
        return other.lo <= self.lo and self.hi <= other.hi

    def contains(self, value: float) -> bool:
        return self.lo <= value <= self.hi

    @property
    def bounded(self) -> bool:
        return self.lo > -INF and self.hi < INF

    def __str__(self) -> str:
        return f"[{self.lo:g}, {self.hi:g}]"


INF = float("inf")
ANY = Interval(-INF, INF)
NONNEGATIVE = Interval(0.0, INF)
UNIT = Interval(0.0, 1.0)

"""Whether a law holds at given values: three-valued logic over comparisons that are meant up to rounding."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glo_dsl.ir.expr import Apply, Const, Expr
from glo_dsl.lang.loss import Law
from glo_dsl.lang.show import show
from glo_dsl.passes.simplify import simplify
from glo_dsl.verify.batch import Batch, Sample, Value, by_classes
from glo_dsl.verify.exact import Evaluation
from glo_dsl.verify.noise import with_noise

Array = NDArray[Any]

SAFETY = 10.0
"""How many times the effect of the noise two sides may be apart and still count as equal."""

TINY, RELATIVE = 1e-12, 1e-9
"""How far apart two sides are always allowed to be, unless both are exact: this much, or this share of the smaller."""

VAGUE = 1e-3
"""A comparison whose sides are less certain than this share of their size says nothing."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of a condition, [rows, classes or 1].

    Attributes:
        maybe, maybe_not: whether it can be true, whether it can be false; near equality both are so.
        known: whether that much is certain: not where a side is NaN, or lost in noise.
        badness: how far it is from being true, as a share of the size of the sides; negative where it is true.
    """

    maybe: Array
    maybe_not: Array
    known: Array
    badness: Array

    def replaced(self, rows: Array, others: Verdict) -> Verdict:
        """The verdict with some rows taken from another."""
        parts = []
        for name in ("maybe", "maybe_not", "known", "badness"):
            mine, theirs = getattr(self, name), getattr(others, name)
            classes = max(mine.shape[-1], theirs.shape[-1])
            part = np.broadcast_to(mine, (len(mine), classes)).copy()
            part[rows] = theirs
            parts.append(part)
        return Verdict(*parts)

    @property
    def violated(self) -> Array:
        """For each row, whether it is certainly false for some class."""
        return np.asarray((~self.maybe).any(axis=-1))

    @property
    def decided(self) -> Array:
        """For each row, whether it is known to hold for every class, or violated."""
        return np.asarray(self.known.all(axis=-1) | self.violated)

    @property
    def worst(self) -> Array:
        """For each row, how far the worst class is from being true."""
        return np.asarray(self.badness.max(axis=-1))


@dataclass(frozen=True, slots=True)
class Comparison:
    """One comparison of a law at one sample, with the values of its sides for the class that is furthest off."""

    text: str
    sign: str
    left: float
    right: float


def judge(law: Law, batch: Batch) -> Verdict:
    """What is known of a law in each row.

    >>> import glo_dsl as glo
    >>> text = "loss sq(p: real, y: real) = (p - y) ^ 2  law sq.positive: sq(p, y) > 0"
    >>> (law,) = glo.loads(text)["sq"].laws
    >>> judge(law, Batch.of([Sample(law.variables, {"p": 1.0, "y": y}) for y in (0.0, 1.0)])).violated.tolist()
    [False, True]
    """
    verdict = _Judge(law.expr, batch, final=False).verdict
    open_rows = np.flatnonzero(~verdict.decided)
    if open_rows.size:
        again = _Judge(_simplified(law.expr), batch.take(open_rows), final=True).verdict
        verdict = verdict.replaced(open_rows, again)
    return verdict


def comparisons(law: Law, values: Mapping[str, Value], classes: int = 1) -> list[Comparison]:
    """The comparisons of a law at one sample, in the order in which they are computed.

    `values` gives a number, or one number per class, for every variable of the law.
    """
    counts = [len(value) for value in values.values() if isinstance(value, tuple)]
    batch = next(by_classes([Sample(law.variables, values, counts[0] if counts else classes)]))
    judged = _Judge(law.expr, batch, final=False)
    if not judged.verdict.decided.all():
        judged = _Judge(_simplified(law.expr), batch, final=True)
    return judged.comparisons()


@lru_cache(maxsize=1024)
def _simplified(expr: Expr) -> Expr:
    """The form that is compiled: it is stable where the law as it is written overflows."""
    return simplify((expr,))[0]


class _Judge:
    """One evaluation of a condition on a batch.

    Unless it is `final`, nothing is decided where a number has overflowed. If it is, such an infinity is compared with
    one that the law says in words: `f(z) < inf` is false there.
    """

    def __init__(self, root: Expr, batch: Batch, final: bool) -> None:
        self.batch, self.final = batch, final
        self.conditions = _conditions(root)
        sides = [a for node in self.conditions if _compares_reals(node) for a in node.args]
        self.known = Evaluation([*sides, root], batch.arrays(), batch.classes)
        blocks = with_noise(self.known, sides, len(batch))
        self.sides = dict(zip(sides, blocks, strict=True))
        self.verdicts: dict[Expr, Verdict] = {}
        with np.errstate(all="ignore"):
            for node in self.conditions:
                self.verdicts[node] = self._verdict(node)
        self.verdict = self.verdicts[root]

    def _verdict(self, node: Expr) -> Verdict:
        if isinstance(node, Apply) and _compares_reals(node):
            left, right = node.args
            literal = any(isinstance(side, Const) and math.isinf(side.value) for side in node.args)
            beyond = self.known.overflowed(left, len(self.batch)) | self.known.overflowed(right, len(self.batch))
            exact = self.known.exact[left] & self.known.exact[right]
            sides = self.sides[left], self.sides[right]
            return _compared(node.op.name, *sides, exact, literal, beyond & ~np.array(self.final and literal))
        logic = LOGIC.get(node.op.name) if isinstance(node, Apply) else None
        if logic is None or any(a not in self.verdicts for a in node.args):
            return self._plain(node)
        args = [self.verdicts[a] for a in node.args]
        return logic(*args)

    def _plain(self, node: Expr) -> Verdict:
        """A condition without numbers in it, or an entry of a row of conditions."""
        if isinstance(node, Apply) and node.op.name == "gather":
            row, index = self.verdicts[node.args[0]], self.known.values[node.args[1]].astype(np.int64)
            return Verdict(*(_entry(part, index) for part in (row.maybe, row.maybe_not, row.known, row.badness)))
        value = self.known.values[node]
        value = np.broadcast_to(value, (len(self.batch), value.shape[-1])).astype(bool)
        return Verdict(value, ~value, np.ones_like(value), np.where(value, -1.0, 1.0))

    def comparisons(self) -> list[Comparison]:
        found = []
        for node in self.conditions:
            if isinstance(node, Apply) and _compares_reals(node):
                left, right = (self.sides[a] for a in node.args)
                left, right = np.broadcast_arrays(left, right)
                at = int(self.verdicts[node].badness[0].argmax())
                found.append(Comparison(show(node), node.op.word, float(left[0, 0, at]), float(right[0, 0, at])))
        return found


def _entry(part: Array, index: Array) -> Array:
    rows = max(len(part), len(index))
    wide = np.broadcast_to(part, (rows, part.shape[-1]))
    return np.asarray(np.take_along_axis(wide, np.broadcast_to(index, (rows, 1)), axis=-1))


def _conditions(root: Expr) -> list[Expr]:
    """The conditions that a law is made of, parts before wholes; not those inside of numbers."""
    found: dict[Expr, None] = {}
    stack: list[tuple[Expr, bool]] = [(root, False)]
    while stack:
        node, ready = stack.pop()
        if ready:
            found[node] = None
        elif node not in found:
            stack.append((node, True))
            stack.extend((a, False) for a in reversed(node.args) if a.type.kind == "bool")
    return list(found)


def _compares_reals(node: Expr) -> bool:
    return isinstance(node, Apply) and node.op.name in SIGNS and node.args[0].type.kind == "real"


def _difference(left: Array, right: Array) -> tuple[Array, Array]:
    """Left minus right, and how far noise moves that; equal infinities differ by 0."""
    difference = np.where(left == right, 0.0, left - right)
    moved = np.where(difference == difference[:1], 0.0, np.abs(difference - difference[:1])).max(axis=0)
    return difference[0], np.where(np.isnan(moved), np.inf, moved)


def _compared(name: str, left: Array, right: Array, exact: Array, literal: bool, beyond: Array) -> Verdict:
    """A comparison of numbers; `exact` says where both are, `literal` whether one is infinite in so many words,
    `beyond` where the comparison says nothing, because a side has overflowed."""
    difference, moved = _difference(left, right)
    smaller = np.minimum(np.abs(left[0]), np.abs(right[0]))
    sharp = exact | (moved == 0) & (np.isinf(left[0]) | np.isinf(right[0]))
    allowed = np.where(sharp, 0.0, SAFETY * moved + TINY + RELATIVE * np.where(np.isfinite(smaller), smaller, 0.0))
    near = (np.abs(difference) <= allowed) & (allowed > 0)
    holds, badness = SIGNS[name](difference, allowed)
    undecided = beyond | np.isnan(left[0]) | np.isnan(right[0]) | ~(allowed <= VAGUE * (1 + smaller))
    if name in ("lt", "gt", "ne") and not literal:
        undecided = undecided | (np.isinf(left[0]) & (left[0] == right[0]))
    size = 1 + np.abs(left[0]) + np.abs(right[0])
    badness = np.where(np.isfinite(size), badness / size, np.sign(badness))
    return Verdict(
        holds | near | undecided, ~holds | near | undecided, ~undecided, np.where(undecided, -1.0, badness)
    )  # fmt: skip


SIGNS: dict[str, Callable[[Array, Array], tuple[Array, Array]]] = {
    "lt": lambda d, tol: (d < 0, d - tol),
    "le": lambda d, tol: (d <= 0, d - tol),
    "gt": lambda d, tol: (d > 0, -d - tol),
    "ge": lambda d, tol: (d >= 0, -d - tol),
    "eq": lambda d, tol: (d == 0, np.abs(d) - tol),
    "ne": lambda d, tol: (d != 0, tol - np.abs(d)),
}
"""For each comparison, from the difference of its sides: whether it holds exactly, and how far it is from holding."""


def _and(a: Verdict, b: Verdict) -> Verdict:
    known = (a.known & b.known) | ~a.maybe | ~b.maybe
    return Verdict(a.maybe & b.maybe, a.maybe_not | b.maybe_not, known, np.maximum(a.badness, b.badness))


def _or(a: Verdict, b: Verdict) -> Verdict:
    return _not(_and(_not(a), _not(b)))


def _not(a: Verdict) -> Verdict:
    return Verdict(a.maybe_not, a.maybe, a.known, -a.badness)


def _same(a: Verdict, b: Verdict) -> Verdict:
    return _or(_and(a, b), _and(_not(a), _not(b)))


LOGIC: dict[str, Callable[..., Verdict]] = {
    "and": _and, "or": _or, "not": _not, "eq": _same, "ne": lambda a, b: _not(_same(a, b)),
}  # fmt: skip

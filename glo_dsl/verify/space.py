"""Where the variables of a loss or a law range, and three ways of choosing there: drawn, random, simpler."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from glo_dsl.ir.expr import CLASSES, Expr, Var, walk
from glo_dsl.lang.loss import Law, Loss
from glo_dsl.verify.batch import DTYPES, Batch, Sample, Value
from glo_dsl.verify.values import WINDOW, inside, literals_of, nearest_to_zero, random_reals, worth_trying

Array = NDArray[Any]
Draw = Any

FEW_CLASSES = (1, 2, 3)
"""What Hypothesis chooses the number of classes from."""

CLASS_COUNTS = (3, 2, 1, 17)
"""Numbers of classes of random batches."""


@dataclass(frozen=True, slots=True)
class Space:
    """Variables with their domains.

    Attributes:
        literals: numbers at which something may change.
        counted: whether the number of classes matters.
    """

    variables: tuple[Var, ...]
    literals: tuple[float, ...]
    counted: bool

    @property
    def class_counts(self) -> tuple[int, ...]:
        return CLASS_COUNTS if self.counted else (1,)

    def special(self, variable: Var) -> tuple[float, ...]:
        """Numbers worth trying for a real variable, simple ones first."""
        return worth_trying(variable.domain, self.literals)


def space_of(loss: Loss) -> Space:
    """Inputs and parameters of a loss."""
    roots = [loss.expr] if loss.per is None else [loss.expr, loss.per]
    defaults = tuple(p.default for p in loss.params)
    return _space((*loss.inputs, *(p.var for p in loss.params)), roots, defaults)


def space_of_law(law: Law) -> Space:
    """What a law quantifies over."""
    return _space(law.variables, [law.expr], ())


def _space(variables: tuple[Var, ...], roots: Sequence[Expr], more: tuple[float, ...]) -> Space:
    counted = any(v.type.per_class or v.type.kind == "class" for v in variables) or CLASSES in set(walk(roots))
    return Space(variables, tuple(dict.fromkeys((*more, *literals_of(roots)))), counted)


def batches(space: Space, rows: int = 1) -> st.SearchStrategy[Batch]:
    """Up to `rows` rows with few classes and simple numbers; what a kernel takes once is the same in all of them.

    Numbers are drawn one by one, so that Hypothesis shrinks them: to zeros, small integers, fewer rows and classes.

    >>> from hypothesis import find
    >>> import glo_dsl as glo
    >>> loss = glo.loads("loss f(z: real[C], t: class[C]) = z[t]")["f"]
    >>> print(find(batches(space_of(loss)), lambda batch: batch.classes > 1).sample(0))
    z = [0, 0], t = 0
    """
    return _batches(space, rows, {v.name: _number(space, v) for v in space.variables if v.type.kind == "real"})


@st.composite
def _batches(draw: Draw, space: Space, most: int, numbers: dict[str, st.SearchStrategy[float]]) -> Batch:
    classes = draw(st.sampled_from(FEW_CLASSES)) if space.counted else 1
    rows = draw(st.integers(1, most)) if most > 1 else 1

    def value(v: Var) -> Value:
        if v.simplex:
            return _probabilities([draw(st.integers(0, 4)) for _ in range(classes)])
        others = {"class": st.integers(0, classes - 1), "bool": st.booleans()}
        one = numbers[v.name] if v.type.kind == "real" else others[v.type.kind]
        return tuple(draw(one) for _ in range(classes)) if v.type.per_class else draw(one)

    together = {v.name: value(v) for v in space.variables if not v.type.per_sample}
    apart = [v for v in space.variables if v.type.per_sample]
    drawn = [together | {v.name: value(v) for v in apart} for _ in range(rows)]
    return Batch.of([Sample(space.variables, values, classes) for values in drawn])


def _number(space: Space, variable: Var) -> st.SearchStrategy[float]:
    """A special number, or any near 0 or near the end of the domain that is nearest to 0."""
    domain, special = variable.domain, st.sampled_from(space.special(variable))
    start = nearest_to_zero(domain)
    lo, hi = (float(inside(domain, end)) for end in (start - WINDOW, start + WINDOW))
    return special | st.floats(lo, hi, allow_subnormal=False) if lo < hi else special


def _probabilities(weights: Sequence[float]) -> tuple[float, ...]:
    total = sum(weights)
    return tuple(w / total for w in weights) if total > 0 else tuple(1 / len(weights) for _ in weights)


def random_batch(space: Space, rng: np.random.Generator, rows: int, classes: int, groups: int = 0) -> Batch:
    """Random rows. If they come in `groups`, all rows of a group have in common what a kernel takes once."""
    columns: dict[str, Array] = {}
    for v in space.variables:
        count = groups if groups and not v.type.per_sample else rows
        values = _random(space, v, (count, classes) if v.type.per_class else (count,), classes, rng)
        columns[v.name] = values if count == rows else values[np.arange(rows) * groups // rows]
    return Batch(space.variables, columns, classes)


def _random(space: Space, v: Var, shape: tuple[int, ...], classes: int, rng: np.random.Generator) -> Array:
    if v.simplex:
        return _random_probabilities(shape, rng)
    if v.type.kind == "real":
        return random_reals(v.domain, shape, rng, space.special(v))
    whole: Array = rng.integers(0, 2 if v.type.kind == "bool" else classes, shape)
    found: Array = whole.astype(DTYPES[v.type.kind])
    return found


def _random_probabilities(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Spread, peaked, one-hot, uniform, and shared by two."""
    rows, classes = shape
    ways = [
        rng.dirichlet(np.ones(classes), rows), rng.dirichlet(np.full(classes, 0.1), rows),
        np.eye(classes)[rng.integers(0, classes, rows)], np.full(shape, 1 / classes),
        (np.eye(classes)[rng.integers(0, classes, rows)] + np.eye(classes)[rng.integers(0, classes, rows)]) / 2,
    ]  # fmt: skip
    return np.choose(rng.integers(0, len(ways), (rows, 1)), ways)


def varied(space: Space, batch: Batch, rng: np.random.Generator) -> Batch:
    """The same rows with one variable of each changed: a little, a lot, or to a special number."""
    columns = {name: column.copy() for name, column in batch.columns.items()}
    chosen = rng.integers(0, len(space.variables), len(batch))
    for place, v in enumerate(space.variables):
        rows = np.flatnonzero(chosen == place)
        if rows.size:
            fresh = _random(space, v, (rows.size, *columns[v.name].shape[1:]), batch.classes, rng)
            columns[v.name][rows] = _mixed(v, columns[v.name][rows], fresh, rng)
    return Batch(batch.variables, columns, batch.classes)


def _mixed(v: Var, old: Array, fresh: Array, rng: np.random.Generator) -> Array:
    """Old and fresh values, for real ones also what lies between and close by."""
    if v.type.kind != "real":
        return fresh
    share = 10.0 ** rng.uniform(-4, 0, (len(old), *(1 for _ in old.shape[1:])))
    moved: Array = old + share * (fresh - old)
    if v.simplex:
        return moved
    if old.ndim == 1:
        return inside(v.domain, moved)
    one = np.arange(old.shape[1]) == rng.integers(0, old.shape[1], (len(old), 1))
    return inside(v.domain, np.where(one | (rng.random((len(old), 1)) < 0.3), moved, old))

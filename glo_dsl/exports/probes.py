"""What an export is tried on: inputs from the declared domains, and what value and derivatives are there.

The numbers come from the NumPy interpreter, in float64: the value from the loss as it is written, the derivatives from
our own. How far rounding may move them is found with noise, see `glo_dsl.verify.truth`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from glo_dsl.errors import GloError
from glo_dsl.ir.evaluate import evaluate
from glo_dsl.lang.loss import Loss
from glo_dsl.passes.pipeline import derive
from glo_dsl.verify.batch import Array, Batch
from glo_dsl.verify.space import Space, random_batch, space_of
from glo_dsl.verify.truth import VALUE, Oracle
from glo_dsl.verify.values import inside

SEED, BATCHES, CLASSES = 2020, 3, 3

NEAR = 1e-2
"""How far numbers are moved apart, as a share of them or of 1."""

COPIES = 32
"""How many more times a row is computed with noise before its numbers are said to be wrong."""

SLACK = 10.0
"""How many times what a kernel of ours may be off: libraries have special functions of nine digits."""

Numbers = Mapping[str, Array]
"""The loss of each row, [rows], under "", and its derivatives, [rows] or [rows, classes], by what they are by."""


@dataclass(frozen=True, slots=True)
class Checked:
    """How an export was found right.

    Attributes:
        rows, compared: samples tried, and those of them that have a number to compare.
        error: the largest difference, as a share of the number or of 1.
    """

    rows: int
    compared: int
    error: float

    def __str__(self) -> str:
        return f"{self.compared} of {self.rows} samples, largest difference {self.error:.1e}"


class Probes:
    """A loss, batches of samples, and what is true of them.

    In a batch all samples have the same parameters, in the first one the defaults. `apart` moves numbers apart from
    each other and from round ones: at a kink SymPy's derivative is another one than PyTorch's, which is ours.
    """

    def __init__(self, loss: Loss, rows: int, apart: bool = False) -> None:
        self.loss, self.judge = loss, Oracle(loss)
        space, rng = space_of(loss), np.random.default_rng(SEED)
        self.batches = [random_batch(space, rng, rows, CLASSES if space.counted else 1, groups=1)
                        for _ in range(BATCHES)]  # fmt: skip
        for name, default in loss.defaults.items():
            self.batches[0].columns[name][:] = default
        if apart:
            self.batches = [_moved_apart(space, batch, rng) for batch in self.batches]

    def expected(self, batch: Batch) -> dict[str, Array]:
        """Value and derivatives of every row by the interpreter."""
        derived = derive(self.loss, self.judge.wrt)
        variables = {v.name: v for v in (*self.loss.inputs, *(p.var for p in self.loss.params))}
        arrays = {variables[v.name]: batch.columns[v.name] for v in batch.variables}
        arrays = {v: a if v.type.per_class else a[:, None] for v, a in arrays.items()}
        value, *found = evaluate([self.loss.expr, *derived.gradients.values()], arrays, batch.classes)
        numbers = {VALUE: _column(value, len(batch))}
        for v, gradient in zip(derived.gradients, found, strict=True):
            rows = np.broadcast_to(gradient, (len(batch), batch.classes)) if v.type.per_class else None
            numbers[v.name] = _column(gradient, len(batch)) if rows is None else rows
        return numbers

    def allowed(self, batch: Batch) -> Numbers:
        """By how much each number may be off; NaN where nothing is known of it."""
        return {name: SLACK * off for name, off in self.judge.truth(batch).allowed.items()}

    def check(self, batch: Batch, found: Numbers) -> Checked:
        """Compares what was found, by any of the names, with what is true.

        Raises:
            GloError: a number is wrong.
        """
        expected, allowed = self.expected(batch), self.allowed(batch)
        known, error = np.zeros(len(batch), dtype=bool), 0.0
        for name, numbers in found.items():
            off = _excess(numbers, expected[name], allowed[name])
            rows = np.flatnonzero(off.reshape(len(batch), -1).max(axis=1) > 1)
            for row in rows:
                if self._certain(batch, int(row), name, numbers, expected[name]):
                    raise self._difference(batch, int(row), name, numbers, expected[name])
            sure = np.isfinite(expected[name]) & np.isfinite(allowed[name])
            sure[rows] = False
            known |= sure.reshape(len(batch), -1).any(axis=1)
            with np.errstate(all="ignore"):
                share = np.abs(numbers - expected[name]) / np.maximum(1.0, np.abs(expected[name]))
            error = max(error, float(np.max(share, initial=0.0, where=sure)))
        return Checked(len(batch), int(known.sum()), error)

    def _certain(self, batch: Batch, row: int, name: str, found: Array, expected: Array) -> bool:
        """Whether a row is wrong when it is looked at more closely: noise finds a kink by chance."""
        again = [row] * COPIES
        allowed = self.allowed(batch.take(again))[name]
        return bool((_excess(found[again], expected[again], allowed).reshape(COPIES, -1).max(axis=1) > 1).all())

    def _difference(self, batch: Batch, row: int, name: str, found: Array, expected: Array) -> GloError:
        what = f"the derivative by {name}" if name else "the value"
        message = f"the text gives another number for {what}: {found[row].tolist()} is not {expected[row].tolist()}"
        return GloError(
            f"{message}, at {batch.sample(row)}", self.loss.span,
            hint="nothing was written; please report it", source=self.loss.source,
        )  # fmt: skip


def _moved_apart(space: Space, batch: Batch, rng: np.random.Generator) -> Batch:
    """The batch with every real number moved a little, to one side or, where the domain ends, to the other."""
    columns = dict(batch.columns)
    for v in space.variables:
        old = columns[v.name]
        if v.type.kind == "real":
            shape = (1 if not v.type.per_sample else len(old), *old.shape[1:])
            step = NEAR * (1 + np.abs(old)) * rng.uniform(0.5, 1, shape)
            moved = [inside(v.domain, old + side * step) for side in (1, -1)]
            columns[v.name] = np.where(moved[0] == old + step, moved[0], moved[1])
        if v.simplex:
            columns[v.name] = (1 - NEAR) * old + NEAR * rng.dirichlet(np.ones(batch.classes), len(old))
    return Batch(batch.variables, columns, batch.classes)


def _column(value: Array, rows: int) -> Array:
    return np.broadcast_to(value, (rows, 1))[:, 0]


def _excess(found: Array, expected: Array, allowed: Array) -> Array:
    """By how many times what is allowed a number is off; 0 where nothing is known of it."""
    with np.errstate(all="ignore"):
        off = np.abs(found - expected) / allowed
    unknown = np.isnan(allowed) | ~np.isfinite(expected)
    return np.where(unknown, 0.0, np.where(np.isnan(off), np.inf, off))


def together(parts: Iterator[Checked]) -> Checked:
    """Several checks as one."""
    found = list(parts)
    return Checked(sum(p.rows for p in found), sum(p.compared for p in found), max(p.error for p in found))

"""Finite differences of the NumPy interpreter: a second opinion on the oracle, which autograd does not share."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from glo_dsl.ir.expr import Apply, Expr, Var, walk
from glo_dsl.lang.loss import Loss
from glo_dsl.verify.batch import Array, Batch
from glo_dsl.verify.exact import Evaluation
from glo_dsl.verify.report import Failure, place_of
from glo_dsl.verify.space import random_batch, space_of
from glo_dsl.verify.truth import VALUE, Oracle

ROWS, CLASSES = 12, 3
STEP = 1e-4
"""Half of the distance over which a slope is measured, as a share of the number, or of 1 if that is larger."""

SMOOTH = 1e-4
"""A slope that changes by more than this share when the distance is halved is not measured."""

ROUNDING = 1e-14
"""How far a value may be off, as a share of it: over a small distance that is much of a difference."""


def disagreements(loss: Loss, judge: Oracle, seed: int) -> Iterator[Failure]:
    """Values and slopes that autograd and the interpreter do not agree on, where the loss is smooth."""
    space = space_of(loss)
    batch = random_batch(space, np.random.default_rng(seed), ROWS, CLASSES if space.counted else 1)
    truth = judge.truth(batch)
    known = judge.evaluation(batch)
    mine = np.broadcast_to(known.values[judge.expr], (ROWS, 1))[:, 0]
    if (truth.excess(VALUE, mine) > 1).any():
        yield _failure(loss, batch, truth.excess(VALUE, mine), mine, truth.numbers[VALUE], "value")
        return
    for v in judge.inputs:
        if v.name in judge.wrt:
            slopes, off = _slopes(judge, batch, known, v)
            expected = truth.numbers[v.name]
            with np.errstate(all="ignore"):
                excess = np.abs(slopes - expected) / (off + truth.allowed[v.name])
            excess = np.where(np.isfinite(excess), excess, 0.0).reshape(ROWS, -1).max(axis=1)
            if (excess > 1).any():
                yield _failure(loss, batch, excess, slopes, expected, f"gradient by {v.name}")
                return


def _slopes(judge: Oracle, batch: Batch, known: Evaluation, v: Var) -> tuple[Array, Array]:
    """The slopes by a variable, shaped like it, and by how much they may be off; NaN where the loss is not smooth."""
    column = batch.columns[v.name]
    entries = [None] if column.ndim == 1 else list(range(column.shape[1]))
    step = STEP * np.maximum(np.abs(column), 1.0)
    found = [_slope(judge, batch, known, v, entry, step) for entry in entries]
    slopes, off = (np.stack(part, -1).reshape(column.shape) for part in zip(*found, strict=True))
    return slopes, off


def _slope(
    judge: Oracle, batch: Batch, known: Evaluation, v: Var, entry: int | None, step: Array
) -> tuple[Array, Array]:  # fmt: skip
    """The slope by one entry in every row, and by how much it may be off.

    To both sides of a smooth point slopes come together as the distance is halved; at a kink they stay apart.
    """
    here = np.broadcast_to(known.values[judge.expr], (len(batch), 1))[:, 0]
    width = step if entry is None else step[:, entry]
    with np.errstate(all="ignore"):
        above, below, above_near, below_near = (
            (_value(judge, _shifted(batch, v, entry, share * step), known) - here) / (share * width)
            for share in (1.0, -1.0, 0.5, -0.5)
        )
        coarse, fine = (above + below) / 2, (above_near + below_near) / 2
        rounding = ROUNDING * (1 + np.abs(here)) / width
        together = np.abs(above_near - below_near) <= 0.75 * np.abs(above - below) + 10 * rounding
        smooth = together & (np.abs(coarse - fine) <= SMOOTH * (1e-3 + np.abs(fine)))
        off = 10 * np.abs(coarse - fine) + 100 * rounding + 1e-6 * np.abs(fine)
    return fine, np.where(smooth, off, np.nan)


def _shifted(batch: Batch, v: Var, entry: int | None, step: Array) -> Batch:
    column = batch.columns[v.name].copy()
    if entry is None:
        column += step
    else:
        column[:, entry] += step[:, entry]
    return Batch(batch.variables, {**batch.columns, v.name: column}, batch.classes)


def _value(judge: Oracle, batch: Batch, known: Evaluation) -> Array:
    """The loss of each row, NaN where a condition is no longer what it was; what stands in `stop` keeps its value."""
    given, nodes = batch.arrays(), [n for n in walk((judge.expr,)) if isinstance(n, Apply)]
    arrays: dict[Expr, Array] = {new: given[v] for new, v in zip(judge.inputs, batch.variables, strict=True)}
    arrays |= {n: known.values[n] for n in nodes if n.op.name == "stop"}
    found = Evaluation([judge.expr], arrays, batch.classes).values
    value = np.broadcast_to(found[judge.expr], (len(batch), 1))
    for condition in (n for n in nodes if n.type.kind == "bool" and n in found):
        same = np.asarray(found[condition] == known.values[condition]).all(axis=-1, keepdims=True)
        value = np.where(same, value, np.nan)
    return np.asarray(value[:, 0])


def _failure(loss: Loss, batch: Batch, excess: Array, mine: Array, autograd: Array, what: str) -> Failure:
    row = int(excess.argmax())
    numbers = (("interpreter", str(mine[row].tolist())), ("autograd", str(autograd[row].tolist())))
    message = f"PyTorch's autograd and the interpreter's finite differences give different numbers for the {what}"
    place = place_of(loss.source, loss.span)
    return Failure("finite-differences", loss.name, place, message, str(batch.sample(row)), numbers)

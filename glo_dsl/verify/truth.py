"""What value and gradients of a loss are in each row of a batch, and how far from it a kernel may be.

The truth is autograd's, in float64, over the loss as it is written. It is computed again with noise: where that moves
it, rounding may as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glo_dsl.ir.expr import Expr, Var, substitute, var
from glo_dsl.ir.types import SAMPLE, make_type
from glo_dsl.lang.loss import Loss
from glo_dsl.passes.pipeline import differentiable
from glo_dsl.verify.batch import Batch
from glo_dsl.verify.disturbed import Disturbed, Uncancelled
from glo_dsl.verify.exact import Evaluation
from glo_dsl.verify.noise import FLOAT32, FLOAT64, REPEATS
from glo_dsl.verify.oracle import oracle
from glo_dsl.verify.values import inside

Array = NDArray[Any]

VALUE = ""
"""The name of the value among the gradients, which have the names of what they are by."""

SAFETY = 10.0
"""How many times the effect of the noise a kernel may be off."""

LOST = 0.1
"""A number that may be off by more than this, or this share of the row's largest, is not known at all."""


@dataclass(frozen=True, slots=True)
class Precision:
    """What is asked of a kernel.

    Attributes:
        noise: by which share the noise moves a computed number.
        rtol: how far a kernel may be off where noise moves nothing, as a share of the number, or of 1 if its row has as
            much.
        floor: how far it may be off in any case: what is left where numbers of the size of 1 cancel.
        vague: a row of which a number may be off by more than this, or this share of it, does not count as compared.
        smallest, largest: rows with other numbers on the way may leave the range of the type.
    """

    noise: float
    rtol: float
    floor: float
    vague: float
    smallest: float
    largest: float


PRECISIONS = {
    np.dtype(np.float64): Precision(FLOAT64, 1e-9, 1e-12, 1e-6, 1e-290, 1e290),
    np.dtype(np.float32): Precision(FLOAT32, 4e-6, 2e-6, 1e-3, 1e-36, 1e36),
}


@dataclass(frozen=True, slots=True)
class Truth:
    """Value and gradients of every row.

    Attributes:
        numbers: [rows], or [rows, classes] for a gradient by what varies over classes; the value is under "".
        allowed: by how much each number may be off; NaN where nothing is known of it.
        judged: [rows], whether every number of a row is known well enough to speak of a comparison.
    """

    numbers: Mapping[str, Array]
    allowed: Mapping[str, Array]
    judged: Array

    def excess(self, name: str, found: Array) -> Array:
        """For each row by how many times what is allowed a kernel's numbers are off; above 1 they are wrong."""
        with np.errstate(all="ignore"):
            off = np.abs(found - self.numbers[name]) / self.allowed[name]
            off = np.where(np.isnan(self.allowed[name]), 0.0, np.where(np.isnan(off), np.inf, off))
        return np.asarray(off.reshape(len(off), -1).max(axis=1))


class Oracle:
    """The truth about one loss.

    Attributes:
        wrt: what there is a gradient by: real inputs, then parameters.

    >>> import glo_dsl as glo
    >>> from glo_dsl.verify.batch import Sample
    >>> judge = Oracle(glo.loads("loss sq(x: real; a = 2) = a * x ^ 2")["sq"])
    >>> truth = judge.truth(Batch.of([Sample(judge.inputs, {"x": 3.0, "a": 5.0})]))
    >>> {name: numbers.tolist() for name, numbers in truth.numbers.items()}
    {'': [45.0], 'x': [30.0], 'a': [9.0]}
    """

    def __init__(self, loss: Loss) -> None:
        variables = (*loss.inputs, *(p.var for p in loss.params))
        self.wrt = tuple(v.name for v in differentiable(loss))
        every_row: dict[Expr, Var] = {v: _in_every_row(v) for v in variables}
        (self.expr,) = substitute((loss.expr,), every_row)
        self.inputs = tuple(every_row.values())
        self._plain = replace(loss, inputs=self.inputs, params=(), expr=self.expr, per=None, laws=(), examples=())
        self._disturbed, self._uncancelled = Disturbed(self.expr), Uncancelled(self.expr)
        self._variants = [
            replace(self._plain, expr=variant.expr, inputs=(*self.inputs, *variant.inputs))
            for variant in (self._disturbed, self._uncancelled)
        ]

    def truth(self, batch: Batch, dtype: Any = np.float64) -> Truth:
        """For a kernel that computes in `dtype`; the values of the batch must be of that type, see `rounded`."""
        asked = PRECISIONS[np.dtype(dtype)]
        tensors = [torch.from_numpy(np.ascontiguousarray(batch.columns[v.name])) for v in self.inputs]
        numbers = self._numbers(self._plain, tensors)
        known = self.evaluation(batch)
        extra = (
            self._disturbed.tensors(known, len(batch), asked.noise, literals=np.dtype(dtype) == np.float32),
            self._uncancelled.tensors(len(batch), batch.classes),
        )
        repeated = [torch.cat([t] * REPEATS) for t in tensors]
        noisy, parts = (self._numbers(v, [*repeated, *more]) for v, more in zip(self._variants, extra))
        fits = np.broadcast_to(known.within(asked.smallest, asked.largest), (len(batch), 1))[:, 0]
        allowed = {name: _allowed(numbers[name], noisy[name], parts[name], fits, asked) for name in numbers}
        lost = np.isfinite(numbers[VALUE]) & np.isnan(allowed[VALUE])
        for name, off in allowed.items():  # without its value a loss has no slope to speak of: 0 / 0 may be any number
            allowed[name] = np.where(lost.reshape(-1, *(1 for _ in off.shape[1:])), np.nan, off)
        judged = np.logical_and.reduce([_clear(numbers[name], allowed[name], asked) for name in numbers])
        return Truth(numbers, allowed, judged)

    def _numbers(self, loss: Loss, tensors: Sequence[Tensor]) -> dict[str, Array]:
        value, gradients = oracle(loss, tensors, wrt=self.wrt)
        return {name: t.numpy() for name, t in {VALUE: value, **gradients}.items()}

    def evaluation(self, batch: Batch) -> Evaluation:
        """The loss of each row by the NumPy column of the operator table."""
        arrays: dict[Expr, Array] = {
            v: batch.columns[v.name] if v.type.per_class else batch.columns[v.name][:, None] for v in self.inputs
        }
        return Evaluation([self.expr], arrays, batch.classes)


def _in_every_row(v: Var) -> Var:
    """The same variable with values of its own in every row: so gradients by it come apart by rows."""
    return var(v.name, make_type(v.type.kind, v.type.axes | {SAMPLE}), v.domain)


def rounded(batch: Batch, dtype: Any) -> Batch:
    """The batch with real values rounded to a type, inside of their domains."""
    columns = {
        v.name: inside(v.domain, batch.columns[v.name], dtype) if v.type.kind == "real" else batch.columns[v.name]
        for v in batch.variables
    }
    return Batch(batch.variables, columns, batch.classes)


def _allowed(truth: Array, noisy: Array, parts: Array, fits: Array, asked: Precision) -> Array:
    column = (len(truth), *(1 for _ in truth.shape[1:]))
    with np.errstate(all="ignore"):
        moved = np.abs(noisy.reshape(REPEATS, *truth.shape) - truth).max(axis=0)
        moved += asked.noise * np.abs(parts.reshape(REPEATS, *truth.shape)).max(axis=0)
        size = np.where(np.isfinite(truth), np.abs(truth), 0.0)
        largest = size.reshape(len(truth), -1).max(axis=1, initial=0.0).reshape(column)
        allowed = asked.rtol * (size + np.minimum(largest, 1.0)) + SAFETY * moved + asked.floor
        usual = np.isfinite(truth) & (size <= asked.largest) & fits.reshape(column)
        return np.where(usual & (allowed <= LOST * (1 + largest)), allowed, np.nan)


def _clear(truth: Array, allowed: Array, asked: Precision) -> Array:
    """For each row, whether all of its numbers are known, and well."""
    clear = allowed <= asked.vague * (1 + np.abs(truth))
    return np.asarray(clear.reshape(len(clear), -1).all(axis=1))

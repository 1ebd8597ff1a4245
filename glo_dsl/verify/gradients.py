"""A loss on its targets against the oracle: value and every gradient, on whatever the declared domains allow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from glo_dsl.lang.loss import Loss
from glo_dsl.verify.batch import Array, Batch, Sample, by_classes
from glo_dsl.verify.falsify import Effort, Outcome, Search, falsify
from glo_dsl.verify.kernels import Kernel
from glo_dsl.verify.report import Failure, place_of
from glo_dsl.verify.reproduce import of_kernel
from glo_dsl.verify.shrink import shrunk
from glo_dsl.verify.space import space_of
from glo_dsl.verify.truth import VALUE, Oracle, Truth, rounded

ROWS = 3
"""Rows that Hypothesis draws at once, at most."""


COPIES = 32
"""How many more times a row is computed with noise before its numbers are said to be wrong."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A kernel and a name, "" for the value, whose numbers are wrong somewhere."""

    kernel: Kernel
    name: str

    def excess(self, judge: Oracle, batch: Batch) -> Array:
        """For each row by how many times what is allowed it is off."""
        batch = rounded(batch, self.kernel.precision)
        found = self.kernel.rows(batch)[self.name]
        return self.certain(judge, batch, found, judge.truth(batch, self.kernel.precision).excess(self.name, found))

    def certain(self, judge: Oracle, batch: Batch, found: Array, excess: Array) -> Array:
        """The excess of every row, looked at more closely where it is too large: noise finds a kink by chance."""
        rows = np.flatnonzero(excess > 1)
        if rows.size:
            again = np.repeat(rows, COPIES)
            closer = judge.truth(batch.take(again), self.kernel.precision).excess(self.name, found[again])
            excess = excess.copy()
            excess[rows] = closer.reshape(rows.size, COPIES).min(axis=1)
        return excess


class Comparison:
    """One loss, its kernels and its oracle.

    Attributes:
        rows, compared: rows tried, and those of them in which the oracle knows every number.
    """

    def __init__(self, loss: Loss, kernels: Sequence[Kernel]) -> None:
        self.loss, self.kernels = loss, kernels
        self.judge = Oracle(loss)
        self.space = space_of(loss)
        self.rows = self.compared = 0

    def failures(self, effort: Effort, points: Sequence[Sample] = ()) -> Iterator[Failure]:
        """What is wrong; `points` are tried besides all that is drawn."""
        for batch in by_classes(points):
            if self._outcome(batch).fails.any():
                yield self._failure(batch)
                return
        search: Search = falsify(self.space, self._outcome, effort, ROWS)
        self.rows, self.compared = search.tried, search.judged
        if search.found is not None:
            yield self._failure(search.found)

    def _outcome(self, batch: Batch) -> Outcome:
        worst, judged = np.zeros(len(batch)), np.zeros(len(batch), dtype=bool)
        for fault, excess, truth in self._compared(batch):
            worst = np.maximum(worst, excess)
            judged = truth.judged if fault.kernel is self.kernels[0] else judged
        return Outcome(worst > 1, judged, np.minimum(worst, 1e9))

    def _compared(self, batch: Batch) -> Iterator[tuple[Fault, Array, Truth]]:
        for precision in dict.fromkeys(kernel.precision for kernel in self.kernels):
            fit = rounded(batch, precision)
            truth = self.judge.truth(fit, precision)
            for kernel in self.kernels:
                if kernel.precision == precision:
                    found = kernel.rows(fit)
                    for name in truth.numbers:
                        fault, excess = Fault(kernel, name), truth.excess(name, found[name])
                        yield fault, fault.certain(self.judge, fit, found[name], excess), truth

    def _failure(self, batch: Batch) -> Failure:
        """The first fault in the batch, at the simplest place where it shows."""
        fault, excess, _ = next(found for found in self._compared(batch) if (found[1] > 1).any())
        row = int(excess.argmax())

        def fails(candidates: Batch) -> Array:
            return np.asarray(fault.excess(self.judge, candidates) > 1)

        if fails(batch.take([row])).any():
            batch = Batch.of([shrunk(self.space, batch.sample(row), fails)])
            return self._described(fault, batch, 0, "")
        batch, row = self._fewer_rows(fault, batch, row)
        return self._described(fault, batch, row, f" in row {row} of these {len(batch)}, though not in that row alone")

    def _fewer_rows(self, fault: Fault, batch: Batch, row: int) -> tuple[Batch, int]:
        """Rows taken away as long as that one stays wrong."""
        kept = list(range(len(batch)))
        for other in range(len(batch)):
            fewer = [k for k in kept if k != other]
            if other != row and fault.excess(self.judge, batch.take(fewer))[fewer.index(row)] > 1:
                kept = fewer
        return batch.take(kept), kept.index(row)

    def _described(self, fault: Fault, batch: Batch, row: int, where: str) -> Failure:
        kernel, name = fault.kernel, fault.name
        fit = rounded(batch, kernel.precision)
        truth = self.judge.truth(fit, kernel.precision)
        what = f"the gradient by {name}" if name else "the value"
        tried = _moved(batch, fit, kernel.precision)
        numbers = (
            (str(kernel), _shown(kernel.rows(fit)[name][row])),
            ("autograd", _shown(truth.numbers[name][row])),
            ("may be off by", _shown(truth.allowed[name][row], digits=2)),
        )
        return Failure(
            "gradient" if name != VALUE else "value", self.loss.name, place_of(self.loss.source, self.loss.span),
            f"{what} computed by {kernel} is wrong{where}", "\n     ".join(map(str, tried)), numbers,
            of_kernel(kernel, name, tried),
        )  # fmt: skip


def _moved(batch: Batch, fit: Batch, dtype: np.dtype[Any]) -> Batch:
    """The batch as it is written down; but where more than rounding happened to a number, the number it became."""
    with np.errstate(all="ignore"):
        columns = {
            name: np.where(column.astype(dtype) == fit.columns[name], column, fit.columns[name])
            for name, column in batch.columns.items()
        }
    return Batch(batch.variables, columns, batch.classes)


def _shown(numbers: Array, digits: int = 10) -> str:
    """A number, or a row of them."""
    if np.ndim(numbers) == 0:
        return f"{float(numbers):.{digits}g}"
    return f"[{', '.join(f'{float(number):.{digits}g}' for number in numbers)}]"

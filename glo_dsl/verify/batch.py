"""Values to try a loss or a law on: many rows as columns of numbers, and one row of them as a counterexample."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glo_dsl.ir.expr import Expr, Var
from glo_dsl.lang.show import number

Array = NDArray[Any]
Value = float | tuple[float, ...]
"""A number, or one number per class; indices and truth values are numbers too."""

DTYPES = {"real": np.float64, "class": np.int64, "bool": np.bool_}


@dataclass(frozen=True, slots=True)
class Sample:
    """One value for each of some variables.

    Attributes:
        variables: in the order in which they are shown.
        values: by name.
        classes: the number of classes, which a sample without rows does not show.

    >>> from glo_dsl.ir.types import BOOL, REAL_ROW
    >>> from glo_dsl.ir.expr import var
    >>> z, m = var("z", REAL_ROW), var("m", BOOL)
    >>> print(Sample((z, m), {"z": (0.0, 1.5), "m": 1.0}, 2))
    z = [0, 1.5], m = true
    """

    variables: tuple[Var, ...]
    values: Mapping[str, Value]
    classes: int = 1

    def __str__(self) -> str:
        parts = [f"{v.name} = {literal(v, self.values[v.name])}" for v in self.variables]
        rows = any(v.type.per_class for v in self.variables)
        return ", ".join(parts + ([] if rows or self.classes == 1 else [f"C = {self.classes}"]))


def literal(variable: Var, value: Value) -> str:
    """A value of a variable as it is written in `.glo`."""
    if isinstance(value, tuple):
        return f"[{', '.join(_literal(variable, entry) for entry in value)}]"
    return _literal(variable, value)


def _literal(variable: Var, value: float) -> str:
    if variable.type.kind == "bool":
        return "true" if value else "false"
    return number(float(value))


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Rows of values. Every row has values of its own, also of what a kernel takes once for all rows.

    Attributes:
        columns: by name, [rows, classes] for what varies over classes and [rows] for all else; real values in float64.
    """

    variables: tuple[Var, ...]
    columns: Mapping[str, Array]
    classes: int

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 1

    def __iter__(self) -> Iterator[Sample]:
        return (self.sample(row) for row in range(len(self)))

    def sample(self, row: int) -> Sample:
        """One row."""
        found: dict[str, Value] = {}
        for name, column in self.columns.items():
            entry = column[row]
            found[name] = tuple(map(float, entry)) if np.ndim(entry) else float(entry)
        return Sample(self.variables, found, self.classes)

    def take(self, rows: Array | Sequence[int] | slice) -> Batch:
        """The chosen rows, in the order of the choice; a mask of truth values chooses too."""
        return Batch(self.variables, {name: column[rows] for name, column in self.columns.items()}, self.classes)

    def arrays(self) -> dict[Expr, Array]:
        """For `evaluate`: [rows, classes] or [rows, 1]."""
        found: dict[Expr, Array] = {}
        for v in self.variables:
            column = self.columns[v.name]
            found[v] = column if v.type.per_class else column[:, None]
        return found

    @staticmethod
    def of(samples: Sequence[Sample]) -> Batch:
        """Samples of the same variables and number of classes, one below the other."""
        first = samples[0]
        columns: dict[str, Array] = {
            v.name: np.array([sample.values[v.name] for sample in samples]).astype(DTYPES[v.type.kind])
            for v in first.variables
        }
        return Batch(first.variables, columns, first.classes)

    @staticmethod
    def joined(parts: Sequence[Batch]) -> Batch:
        """Batches of the same variables and number of classes as one."""
        first = parts[0]
        columns = {name: np.concatenate([part.columns[name] for part in parts]) for name in first.columns}
        return Batch(first.variables, columns, first.classes)


def by_classes(samples: Sequence[Sample]) -> Iterator[Batch]:
    """Samples as batches, one for each number of classes."""
    counts = dict.fromkeys(sample.classes for sample in samples)
    for classes in counts:
        yield Batch.of([sample for sample in samples if sample.classes == classes])

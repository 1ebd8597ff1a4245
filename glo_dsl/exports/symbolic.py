"""Exports to SymPy run on probes: differentiated by SymPy, computed with more digits than a float has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from glo_codegen.sympy_ import function_name, stem, sympy_names
from glo_dsl.exports.probes import Numbers
from glo_dsl.lang.loss import Loss
from glo_dsl.passes.pipeline import differentiable, oracle_program
from glo_dsl.verify.batch import Array, Batch
from glo_dsl.verify.truth import VALUE

DIGITS = 30
"""More than a float has: a formula written for people need not be one that floats can compute."""

NO_NUMBER = (ArithmeticError, ValueError, TypeError, AttributeError)
"""What mpmath raises at a pole, or where a complex number is compared."""

Function = Callable[..., Any]


def symbolic(loss: Loss, module: ModuleType) -> Callable[[Batch], Iterator[Numbers]]:
    """Value and derivatives of each row of a batch, by the function of a text."""
    made: dict[tuple[int, tuple[int, ...]], _Differentiated] = {}

    def row(batch: Batch, n: int) -> dict[str, Array]:
        numbers = {name: column[n] for name, column in batch.columns.items()}
        places = {v.name: int(numbers[v.name]) for v in loss.inputs if v.type.kind == "class"}
        key = batch.classes, tuple(places.values())
        if key not in made:
            made[key] = _Differentiated(loss, module, batch.classes, places)
        return made[key].at(numbers)

    def run(batch: Batch) -> Iterator[Numbers]:
        rows = [row(batch, n) for n in range(len(batch))]
        yield {name: np.stack([found[name] for found in rows]) for name in rows[0]}

    return run


class _Differentiated:
    """The expression for some class indices, and its derivatives by all real symbols."""

    def __init__(self, loss: Loss, module: ModuleType, classes: int, places: dict[str, int]) -> None:
        import sympy

        program = oracle_program(loss)
        names = sympy_names(program)
        counted = [classes] if program.by_rows else []
        value = getattr(module, function_name(program))(*counted, **{names[k]: place for k, place in places.items()})
        known = {symbol.name: symbol for symbol in value.free_symbols}
        everything = (*loss.inputs, *(p.var for p in loss.params))
        others = [v.name for v in everything]
        self.symbols: dict[str, list[Any]] = {}
        for v in everything:
            wanted = [f"{stem(v.name, others)}{i}" for i in range(classes)] if v.type.per_class else [v.name]
            if v.type.kind != "class":
                self.symbols[v.name] = [known.pop(name, None) or sympy.Dummy() for name in wanted]
        assert not known, f"symbols that nobody asked for: {known}"
        self.real = [v.name for v in differentiable(loss)]
        slopes = [sympy.diff(value, s) for name in self.real for s in self.symbols[name]]
        self.formulas = [value, *slopes]
        self.together = self._function(self.formulas, shared=True)

    def _function(self, formulas: Any, shared: bool) -> Function:
        import sympy

        flat = [s for symbols in self.symbols.values() for s in symbols]
        meanings = [{"stop": lambda value: value}, "mpmath"]
        found: Function = sympy.lambdify(flat, formulas, meanings, cse=shared, dummify=True)
        return found

    def at(self, numbers: dict[str, Any]) -> dict[str, Array]:
        """Value and derivatives of one sample."""
        import mpmath

        with mpmath.workdps(DIGITS):
            given = [mpmath.mpf(float(a)) for name in self.symbols for a in np.atleast_1d(numbers[name])]
            try:
                found = self.together(*given)
            except NO_NUMBER:  # what branches share is computed even where neither is taken
                found = [attempt(self._function(formula, shared=False), given) for formula in self.formulas]
            values = np.array([as_float(a) for a in found])
        split, start = {VALUE: values[0]}, 1
        for name in self.real:
            shape = np.shape(numbers[name])
            split[name] = values[start : start + len(self.symbols[name])].reshape(shape)
            start += len(self.symbols[name])
        return split


def attempt(function: Function, given: Sequence[Any]) -> Any:
    """What a function gives, NaN where it has no number."""
    try:
        return function(*given)
    except NO_NUMBER:
        return np.nan


def as_float(value: Any) -> float:
    """A real number; NaN for what is none."""
    try:
        return float(value)
    except NO_NUMBER:
        return float("nan")

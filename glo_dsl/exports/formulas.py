"""LaTeX read back: what a parser that knows nothing of our printer takes a formula for.

The parser is SymPy's, with its lark backend. It knows fractions, roots, powers, logarithms and sums of products; it has
no cases, no named operators such as softmax, no sums over a bare index. So it reads the formulas of plain losses, and
of others it is said that they were not read. It is careless about where the argument of a logarithm ends, and gives
all readings that it finds: then one of them has to be the loss.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from glo_dsl.errors import GloError
from glo_dsl.exports.probes import Probes
from glo_dsl.exports.running import imported
from glo_dsl.exports.symbolic import NO_NUMBER, as_float, attempt
from glo_dsl.lang.latex_names import Names
from glo_dsl.lang.loss import Loss
from glo_dsl.passes.pipeline import differentiable
from glo_dsl.verify.batch import Array

LONGEST = 160
"""Characters of a formula up to which it is given to the parser, whose time grows fast."""

ROWS = 12

TYPOGRAPHY = ((r"\left", ""), (r"\right", ""), (r"\,", " "))
"""What only says how a formula looks; the parser takes `\\left` for `\\le ft`."""


def read_back(loss: Loss, formulas: Sequence[str]) -> tuple[str, ...]:
    """For each formula, of the value and then of the derivatives, what came of reading it back, in words.

    Raises:
        GloError: a formula was read, and no reading has the numbers of the loss; or SymPy is not installed.
    """
    imported("sympy", "latex")
    names = ["", *(v.name for v in differentiable(loss))]
    reader = _Reader(loss)
    return tuple(reader.outcome(name, formula) for name, formula in zip(names, formulas))


class _Reader:
    """A loss, samples of it, and what the parser takes the names of its inputs and parameters for."""

    def __init__(self, loss: Loss) -> None:
        self.loss = loss
        self.probes = Probes(loss, ROWS, apart=True)
        everything = (*loss.inputs, *(p.var for p in loss.params))
        names = Names(v.name for v in everything)
        index = next(names.indices())
        written = {v.name: names[v.name].at(index if v.type.per_class else None) for v in everything}
        self.known = {str(symbol): name for name, text in written.items() for symbol in _readings(text)}

    def outcome(self, name: str, formula: str) -> str:
        """What came of one formula."""
        _, _, right = formula.partition(" = ")
        for written, meant in TYPOGRAPHY:
            right = right.replace(written, meant)
        if len(right) > LONGEST:
            return "not read back: too long for the parser"
        readings = [reading for reading in _readings(right) if self._knows(reading)]
        if not readings:
            return "not read back: the parser does not know such formulas"
        if not any(self._is_right(name, reading) for reading in readings):
            raise GloError(
                f"the formula {formula} does not read as {self.loss.name}", self.loss.span,
                hint="nothing was written; please report it", source=self.loss.source,
            )  # fmt: skip
        return "read back" if len(readings) == 1 else f"read back in {len(readings)} ways, one of them the loss"

    def _knows(self, reading: Any) -> bool:
        """Whether a reading is made of inputs, parameters and functions that have a meaning."""
        from sympy.core.function import AppliedUndef

        return all(str(s) in self.known for s in reading.free_symbols) and not reading.atoms(AppliedUndef)

    def _is_right(self, name: str, reading: Any) -> bool:
        """Whether a reading has the numbers of the loss wherever both have one, and both have one somewhere."""
        import sympy

        used = sorted(reading.free_symbols, key=str)
        function = sympy.lambdify(used, reading, "mpmath", dummify=True)
        order = [self.known[str(symbol)] for symbol in used]
        compared = 0
        for batch in self.probes.batches:
            columns = [_first(batch.columns[v]) for v in order]
            found = np.array([as_float(attempt(function, [c[row] for c in columns])) for row in range(len(batch))])
            expected = _first(self.probes.expected(batch)[name])
            with np.errstate(all="ignore"):
                excess = np.abs(found - expected) / _first(self.probes.allowed(batch)[name])
            if (excess > 1).any():
                return False
            compared += int((excess <= 1).sum())
        return compared > 0


def _readings(text: str) -> Iterator[Any]:
    """The expressions that a text may be; none where it cannot be read."""
    import sympy
    from lark import Tree
    from lark.exceptions import LarkError
    from sympy.parsing.latex.lark import parse_latex_lark

    try:
        found = parse_latex_lark(text)
    except (LarkError, *NO_NUMBER):
        return
    for reading in found.children if isinstance(found, Tree) else [found]:
        if isinstance(reading, sympy.Expr) and not reading.has(sympy.zoo, sympy.nan):
            yield reading.subs(sympy.Symbol("e"), sympy.E)


def _first(column: Array) -> Array:
    """Of a row its entry at the class that the index stands for."""
    return column[:, 0] if column.ndim == 2 else column

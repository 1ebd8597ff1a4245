"""LaTeX read back: what a parser that knows nothing of our printer takes a formula for.

The parser is SymPy's, with its lark backend. It knows fractions, roots, powers, logarithms and sums of products; it has
no cases, no named operators such as softmax, no sums over a bare index. So it reads the formulas of plain losses, and
of others it is said that they were not read. It is careless about where the argument of a logarithm ends, and gives
all readings that it finds: then one of them has to be the loss.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from glo_dsl.errors import GloError
from glo_dsl.exports.probes import Probes
from glo_dsl.lang.latex_names import Names
from glo_dsl.lang.loss import Loss
from glo_dsl.passes.pipeline import differentiable
from glo_dsl.verify.batch import Array
from glo_dsl.verify.truth import VALUE

LONGEST = 160
"""Characters of a formula up to which it is given to the parser, whose time grows fast."""

ROWS = 12

TYPOGRAPHY = {r"\left": "", r"\right": "", r"\,": " "}
"""What only says how a formula looks; the parser takes `\\left` for `\\le ft`."""


def read_back(loss: Loss, formulas: Sequence[str]) -> tuple[str, ...]:
    """For each formula, of the value and then of the derivatives, what came of reading it back, in words.

    Raises:
        GloError: a formula was read, and no reading has the numbers of the loss; or SymPy is not installed.
    """
    probes, names = Probes(loss, ROWS), ["", *(v.name for v in differentiable(loss))]
    return tuple(_outcome(probes, name, formula) for name, formula in zip(names, formulas))


def _outcome(probes: Probes, name: str, formula: str) -> str:
    _, _, right = formula.partition(" = ")
    for written, meant in TYPOGRAPHY.items():
        right = right.replace(written, meant)
    if len(right) > LONGEST or not right:
        return "not read back: too long for the parser"
    readings = list(_readings(right))
    if not readings:
        return "not read back: the parser does not know such formulas"
    right_ones = [reading for reading in readings if _agrees(probes, name, reading)]
    if not right_ones:
        raise GloError(
            f"the formula {formula} does not read as {probes.loss.name}", probes.loss.span,
            hint="nothing was written; please report it", source=probes.loss.source,
        )  # fmt: skip
    return "read back" if len(readings) == 1 else f"one of the {len(readings)} ways in which the parser reads it"


def _readings(text: str) -> Iterator[Any]:
    """The expressions that a text may be, none where it cannot be read."""
    from lark import Tree
    from lark.exceptions import LarkError
    from sympy.parsing.latex.lark import parse_latex_lark

    try:
        found = parse_latex_lark(text)
    except (LarkError, ValueError, TypeError, AttributeError, IndexError):
        return
    yield from found.children if isinstance(found, Tree) else [found]


def _symbols(loss: Loss) -> Mapping[str, Any]:
    """What the parser takes the names of inputs and parameters for."""
    everything = (*loss.inputs, *(p.var for p in loss.params))
    names = Names(v.name for v in everything)
    index = next(names.indices())
    written = {v.name: names[v.name].at(index if v.type.per_class else None) for v in everything}
    return {name: next(_readings(text), None) for name, text in written.items()}


def _agrees(probes: Probes, name: str, reading: Any) -> bool:
    import sympy

    symbols = _symbols(probes.loss)
    known = {str(s): v for v, s in symbols.items() if isinstance(s, sympy.Symbol)}
    try:
        used = sorted(reading.free_symbols, key=str)
        if any(str(s) not in known for s in used):
            return False
        function = sympy.lambdify(used, reading, "mpmath", dummify=True)
    except (AttributeError, TypeError, ValueError, SyntaxError):
        return False
    return all(_compared(probes, batch, name, [known[str(s)] for s in used], function) for batch in probes.batches)


def _compared(probes: Probes, batch: Any, name: str, order: Sequence[str], function: Any) -> bool:
    from glo_dsl.exports.symbolic import as_float, attempt

    columns = [_first(batch.columns[v]) for v in order]
    found = np.array([as_float(attempt(function, [column[row] for column in columns])) for row in range(len(batch))])
    expected, allowed = (_first(numbers[name]) for numbers in (probes.expected(batch), probes.allowed(batch)))
    with np.errstate(all="ignore"):
        return not bool((np.abs(found - expected) > allowed).any())


def _first(column: Array) -> Array:
    """Of a row its entry at the class that the index stands for."""
    return column[:, 0] if column.ndim == 2 else column


__all__ = ["VALUE", "read_back"]

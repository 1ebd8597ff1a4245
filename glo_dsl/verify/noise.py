"""Where rounding may go: expressions computed again with every rounded number moved a little."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glo_dsl.ir.evaluate import value_of
from glo_dsl.ir.expr import Apply, Expr, walk
from glo_dsl.verify.exact import Evaluation

Array = NDArray[Any]

FINE, FLOAT64, FLOAT32 = 1e-13, 1e-12, 2e-7
"""By how much a rounded number is moved, as a share of it: a thousand and ten thousand times what rounding does to it
in float64, and three times what it does in float32."""

ABSOLUTE = 0.1
"""By how much it is moved besides, as a part of that share, where others compute the same in another order: what comes
out as 0 may come out there as a rounding error of what it is the difference of."""

SMALLEST = 1e-300
"""By how much it is moved where the order is the same: what comes out as 0 may have been too small to be a number."""

WITHIN = ("sum", "mean", "logsumexp", "log_softmax", "softmax")
"""Operators with an error in proportion to the largest entry of the row that they take."""

NOTHING = np.zeros((1, 1))

REPEATS = 8
"""How often all is computed again: with all numbers up, with all down, and with each moved at random."""


RANDOM = np.random.default_rng(20).uniform(0.5, 1.5, (REPEATS, 1 << 17))
RANDOM *= np.random.default_rng(21).choice((-1.0, 1.0), RANDOM.shape)
RANDOM[0], RANDOM[1] = 1.0, -1.0


def steps(node: Expr, size: float, rows: int, classes: int) -> Array:
    """What the values of one node are moved by, as a share of them: [REPEATS, rows, 1 or classes]."""
    width = classes if node.type.per_class else 1
    first = int.from_bytes(node.digest[:2], "big")  # the same in every process
    found = RANDOM[:, first : first + rows * width]
    if found.shape[1] < rows * width:
        found = np.resize(found, (REPEATS, rows * width))
    return size * found.reshape(REPEATS, rows, width)


def with_noise(known: Evaluation, roots: Sequence[Expr], rows: int, size: float = FINE) -> list[Array]:
    """The values of `roots`, [1 + REPEATS, rows, 1 or classes]: first as they are, then with noise.

    `known` tells the values of variables, and which values are exact: those are not moved.
    """
    blocks: dict[Expr, Array] = {}
    with np.errstate(all="ignore"):
        for node in walk(roots):
            if known.exact[node].all() and not any(_moves(blocks[a]) for a in node.args):
                value = known.values[node]
                blocks[node] = np.broadcast_to(value, (1 + REPEATS, *value.shape))
            else:
                value = value_of(node, blocks, known.classes)
                blocks[node] = _moved(value, node, known, size, rows)
    return [np.broadcast_to(blocks[r], (1 + REPEATS, rows, blocks[r].shape[-1])) for r in roots]


def _moves(block: Array) -> bool:
    return block.strides[0] != 0


def _moved(value: Array, node: Expr, known: Evaluation, size: float, rows: int) -> Array:
    if node.type.kind != "real" or known.exact[node].all():
        return value
    step = np.zeros((1 + REPEATS, rows, known.classes if node.type.per_class else 1))
    step[1:] = steps(node, size, rows, known.classes) * ~known.exact[node]
    inner = within(known, node)
    if isinstance(node, Apply) and node.op.name == "softmax":
        return np.asarray(value * (1.0 + step * (1.0 + inner)) + step * (SMALLEST / size))
    return np.asarray(value * (1.0 + step) + step * np.copysign(np.maximum(inner, SMALLEST / size), value))


def within(known: Evaluation, node: Expr) -> Array:
    """The size of the numbers that an operator over classes rounds on the way, whatever comes out, [rows, 1] or wider.

    A sum rounds by a share of its largest entry. The logarithm of a sum of exponentials takes entries relative to the
    largest, and knows nothing of those far below it.
    """
    if not isinstance(node, Apply) or node.op.name not in WITHIN:
        return NOTHING
    if node.op.name in ("sum", "mean"):
        size = np.abs(known.values[node.args[0]])
        return np.asarray(np.max(size, axis=-1, keepdims=True, initial=0.0, where=np.isfinite(size)))
    found = entries(known, node.args[0])
    return found if node.type.per_class else found.min(axis=-1, keepdims=True)


def entries(known: Evaluation, row: Expr) -> Array:
    """For each entry of a row its size and that of the largest, together."""
    values = known.values[row]
    top = np.max(values, axis=-1, keepdims=True)
    return np.asarray(np.where(np.isfinite(values), np.abs(values), 0.0) + np.where(np.isfinite(top), np.abs(top), 0.0))

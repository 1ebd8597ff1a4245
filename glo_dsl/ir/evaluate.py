"""Expressions interpreted over NumPy arrays: no compiler, for probes, folding and tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glo_dsl.ir.expr import CLASSES, POSITION, Apply, Const, Expr, Var

Array = NDArray[Any]


def evaluate(roots: Sequence[Expr], inputs: Mapping[Var, Array], classes: int) -> tuple[Array, ...]:
    """The values of `roots` in float64.

    Inputs per class are [rows, classes] (or [1, classes] when shared), all others [rows, 1]; results likewise, with
    length 1 along axes that a value does not vary over. What is not a number comes out as NaN or infinity.

    >>> from glo_dsl.ir.expr import apply, var
    >>> from glo_dsl.ir.types import REAL_ROW
    >>> z = var("z", REAL_ROW)
    >>> evaluate([apply("sum", z)], {z: np.array([[1.0, 2.0]])}, 2)[0].tolist()
    [[3.0]]
    """
    known: dict[Expr, Array] = {CLASSES: np.full((1, 1), float(classes)), POSITION: np.arange(classes)[None, :]}
    known.update(inputs.items())
    return tuple(learn_value(root, known, classes) for root in roots)


def learn_value(root: Expr, known: dict[Expr, Array], classes: int) -> Array:
    """Adds the values of `root` and of what it needs; nothing below a node that is known is looked at."""
    stack = [root]
    with np.errstate(all="ignore"):
        while stack:
            node = stack[-1]
            if node not in known:
                waiting = [arg for arg in node.args if arg not in known]
                if waiting:
                    stack += waiting
                    continue
                known[node] = value_of(node, known, classes)
            stack.pop()
    return known[root]


def value_of(node: Expr, known: Mapping[Expr, Array], classes: int) -> Array:
    """The value of one literal or operator whose arguments are known; further axes may stand before the rows.

    Raises:
        KeyError: it is a variable or a hole.
    """
    match node:
        case Const():
            return np.full((1, 1), node.value if node.type.kind == "real" else bool(node.value))
        case Apply() if node.op.name == "onehot":
            return np.asarray(np.arange(classes)[None, :] == known[node.args[0]], dtype=np.float64)
        case Apply() if node.op.numpy is not None:
            return np.asarray(node.op.numpy(*[known[a] for a in node.args]))
    raise KeyError(f"no value for {node!r}")

"""How a loss pulls at predictions that know nothing yet, and whether a network can learn from it at all.

The learning rule of Gonzalez & Miikkulainen 2020, arXiv:2010.00788, for any loss of a softmax.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from glo_dsl.errors import GloError
from glo_dsl.ir.evaluate import evaluate
from glo_dsl.ir.expr import Expr, apply, substitute, var, variables
from glo_dsl.ir.types import REAL_ROW, Interval
from glo_dsl.lang.loss import Loss
from glo_dsl.passes.diff import gradients

Pull = NDArray[np.float64]
Invariant = Literal["paper", "exact"]

INVARIANTS: dict[str, Callable[[Pull, Pull, int], NDArray[np.bool_]]] = {
    "paper": lambda target, other, classes: target >= (classes - 1) * other,
    "exact": lambda target, other, classes: target > other,
}
"""What must hold of the pull at the target and at another class for a network to be called trainable. The paper's is as
the authors' code has it; the exact one says that a step on the logits raises the one of the target."""

PREDICTION = var("@prediction", REAL_ROW, Interval(0.0, 1.0))


class LearningRule:
    """The derivative of a loss by its predictions, with the number of classes and the sign of the paper: with
    L = -1/C sum of f(x_i, y_i) it is df/dy. What raises a prediction is positive.

    >>> import glo_dsl as glo
    >>> text = "loss ce(z: real[C], t: class[C]) = -mean(onehot(t) * log(softmax(z)))"
    >>> target, other = LearningRule(glo.loads(text)["ce"]).at_null_epoch([glo.loads(text)["ce"]], classes=10)
    >>> float(target[0]), float(other[0])
    (10.0, 0.0)
    """

    def __init__(self, loss: Loss) -> None:
        """`loss` takes logits real[C] and a class[C], and the logits only through softmax or log_softmax.

        Raises:
            GloError: it does not, or it has no derivative.
        """
        if sorted(str(v.type) for v in loss.inputs) != ["class[C]", "real[C]"]:
            raise GloError(f"{loss.name} has no learning rule: it is no loss of logits and a class", loss.span,
                           source=loss.source)  # fmt: skip
        self._label, logits = sorted(loss.inputs, key=lambda v: str(v.type))
        of_prediction: dict[Expr, Expr] = {
            apply("softmax", logits): PREDICTION,
            apply("log_softmax", logits): apply("log", PREDICTION),
        }
        (value,) = substitute((loss.expr,), of_prediction)
        if logits in variables((value,)):
            raise GloError(f"{loss.name} has no learning rule: it reads {logits.name} other than through softmax",
                           loss.span, source=loss.source)  # fmt: skip
        self._derivative = gradients(value, [PREDICTION])[PREDICTION]

    def at_null_epoch(self, losses: Sequence[Loss], classes: int) -> tuple[Pull, Pull]:
        """The pulls at the target and at another class, each [losses], when every prediction is 1 / classes.

        `losses` are the loss of this rule with constants of their own.
        """
        rows = len(losses)
        params = {
            p.var: np.array([[loss.params[n].default] for loss in losses], dtype=np.float64)
            for n, p in enumerate(losses[0].params)
        }
        uniform = np.full((rows, classes), 1.0 / classes)
        label = np.zeros((rows, 1), dtype=np.int64)
        (found,) = evaluate([self._derivative], {**params, PREDICTION: uniform, self._label: label}, classes)
        pull = -classes * np.broadcast_to(found, (rows, classes))
        return pull[:, 0], pull[:, 1]


def trainable(rule: LearningRule, losses: Sequence[Loss], classes: int, invariant: Invariant) -> list[bool]:
    """Whether the invariant holds for each loss; what is not a number does not hold.

    Raises:
        ValueError: fewer than two classes, or no such invariant.
    """
    if classes < 2 or invariant not in INVARIANTS:
        raise ValueError(f'an invariant is "paper" or "exact", of 2 classes or more; got {invariant!r} of {classes}')
    target, other = rule.at_null_epoch(losses, classes)
    with np.errstate(all="ignore"):
        held = INVARIANTS[invariant](target, other, classes)
    return [bool(h and f) for h, f in zip(held, np.isfinite(target) & np.isfinite(other))]

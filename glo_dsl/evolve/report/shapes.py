"""What a loss does: its value, its gradient and its learning rule, as functions of one prediction.

By interpreting the IR over arrays; nothing is compiled, and no text is executed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glo_dsl.errors import GloError
from glo_dsl.evolve.predictions import logits_name
from glo_dsl.evolve.report.formula import read_loss
from glo_dsl.evolve.report.story import About
from glo_dsl.ir.evaluate import evaluate
from glo_dsl.lang.loss import Loss
from glo_dsl.passes.pipeline import derive

Array = NDArray[np.float64]

POINTS = 199
MOST_CLASSES = 100_000
INPUTS = {"accuracy": ["class[C]", "real[C]"], "r2": ["real", "real"]}
"""What a task feeds to a loss, by its metric."""


@dataclass(frozen=True)
class Shape:
    """A loss along a line of predictions, all [points].

    Attributes:
        at: the probability of the target, the other classes sharing the rest; of a regression, prediction less target.
        gradient: by the target's logit; of a regression, by the prediction.
        others: by the logit of each other class; empty for a regression.
        target_weight, other_weight: the learning rule's gammas, see `shape_of`; empty for a regression.
    """

    at: Array
    value: Array
    gradient: Array
    others: Array
    target_weight: Array
    other_weight: Array


def shape_of(text: str, about: About) -> Shape | None:
    r"""The shape of a definition; None where it is no loss of predictions and targets, or has no gradient.

    The learning rule (Gonzalez & Miikkulainen 2020, arXiv:2010.00788) moves the outputs h of a softmax over n classes
    by weights gamma_k = -n dL/dh_k. Since the outputs sum to 1, a constant that all gammas share moves nothing; here it
    is chosen so that their mean under h is 0. Then gamma_k = -n (dL/dz_k) / h_k, z being the logits.
    """
    loss = read_loss(text)
    if loss is None or sorted(str(v.type) for v in loss.inputs) != INPUTS.get(about.metric):
        return None
    try:
        if about.metric == "accuracy":
            return _of_classes(loss, about.outputs) if 2 <= about.outputs <= MOST_CLASSES else None
        return _of_residuals(loss)
    except GloError:
        return None


def _of_classes(loss: Loss, classes: int) -> Shape:
    at = np.linspace(0, 1, POINTS + 2)[1:-1]
    outputs = np.repeat((1 - at)[:, None] / (classes - 1), classes, axis=1)
    outputs[:, 0] = at
    value, gradient = _computed(loss, np.log(outputs), np.zeros((POINTS, 1), dtype=np.int64), classes)
    with np.errstate(over="ignore"):
        weights = -classes * gradient[:, :2] / outputs[:, :2]
    return Shape(at, value[:, 0], gradient[:, 0], gradient[:, 1], weights[:, 0], weights[:, 1])


def _of_residuals(loss: Loss) -> Shape:
    at = np.linspace(-3, 3, POINTS)
    value, gradient = _computed(loss, at[:, None], np.zeros((POINTS, 1)), 1)
    none = np.empty(0)
    return Shape(at, value[:, 0], gradient[:, 0], none, none, none)


def _computed(loss: Loss, predictions: Array, target: NDArray[np.float64 | np.int64], classes: int) -> list[Array]:
    """The loss, [points, 1], and its gradient, [points, classes]."""
    name = logits_name(loss)
    derived = derive(loss, [name])
    inputs = {v: predictions if v.name == name else target for v in loss.inputs}
    params = {p.var: np.full((1, 1), p.default) for p in loss.params}
    found = evaluate([derived.value, *derived.gradients.values()], {**inputs, **params}, classes)
    sizes = ((len(predictions), 1), (len(predictions), classes))
    return [np.broadcast_to(v, s).astype(np.float64) for v, s in zip(found, sizes, strict=True)]

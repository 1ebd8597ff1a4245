"""What a task is usually trained with, and whether a loss can be searched on it."""

from __future__ import annotations

from glo_dsl.errors import GloError
from glo_dsl.evolve.tasks.task import Task
from glo_dsl.lang.definitions import losses_of
from glo_dsl.lang.loss import Loss

BASELINES = {
    "accuracy": "loss cross_entropy(z: real[C], t: class[C]) = -log_softmax(z)[t]",
    "r2": "loss squared_error(p: real, y: real) = (p - y)^2",
}
"""What is usual, by the metric of a task."""


def baseline_of(task: Task) -> Loss:
    """The usual loss of a task, by its metric."""
    (loss,) = losses_of(BASELINES[task.metric]).values()
    return loss


def check_space(loss: Loss, task: Task) -> None:
    """Refuses a loss that a task cannot feed.

    Raises:
        GloError: its inputs are not those of the task, or it has a divisor of its own.
    """
    wanted = ["class[C]", "real[C]"] if task.metric == "accuracy" else ["real", "real"]
    if sorted(str(v.type) for v in loss.inputs) != wanted:
        words = "logits real[C] and a label class[C]" if task.metric == "accuracy" else "two numbers, real and real,"
        raise GloError(
            f"{loss.name} must take {words} to be searched on the task {task.name}", loss.span, source=loss.source
        )
    if loss.per is not None:
        hint = "candidates are trained on the mean over the batch; leave per out"
        raise GloError(f"{loss.name} has a divisor of its own", loss.span, hint, loss.source)

"""What a task is usually trained with, and whether a loss can be searched on it."""

from __future__ import annotations

from glo_dsl.errors import GloError
from glo_dsl.evolve.config import Config
from glo_dsl.evolve.strategies.named import strategy_named
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


def classes_of(task: Task) -> int:
    """How many classes a task has, 0 for one without."""
    return task.outputs if task.metric == "accuracy" else 0


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


def check_search(config: Config, task: Task) -> Loss:
    """The loss that is searched, if there can be such a search.

    Raises:
        GloError: the space does not fit the task, or the strategy's options make no sense.
    """
    loss = losses_of(config.space)[config.loss]
    check_space(loss, task)
    strategy = strategy_named(config.strategy, config.strategy_options, loss, config.seed, classes_of(task))
    if strategy.attacks and not config.attack:
        hint = "say how strong it is, in units of the inputs, such as --set attack=0.1"
        raise GloError("robustness is measured under an attack, and there is none", hint=hint)
    return loss

"""A task by its name: one that is built in, or a user's own, with less data or wrong labels where that is asked for."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping

from glo_dsl.errors import GloError, did_you_mean
from glo_dsl.evolve.tasks import images, tabular
from glo_dsl.evolve.tasks.check import check_task
from glo_dsl.evolve.tasks.own import factory_named
from glo_dsl.evolve.tasks.split import with_fraction, with_noise
from glo_dsl.evolve.tasks.task import Task

TASKS: dict[str, Callable[..., Task]] = {
    "digits": tabular.digits,
    "digits-noisy": tabular.digits_noisy,
    "digits-cnn": tabular.digits_cnn,
    "wine": tabular.wine,
    "breast-cancer": tabular.breast_cancer,
    "diabetes": tabular.diabetes,
    "mnist": images.mnist,
    "cifar10": images.cifar10,
    "cifar10-allcnn": images.cifar10_allcnn,
    "cifar10-resnet20": images.cifar10_resnet20,
    "cifar10-wrn16-8": images.cifar10_wrn16_8,
}


def task_named(
    name: str, fraction: float = 1.0, seed: int = 0, data: str | os.PathLike[str] | None = None, *,
    noise: float | None = None, noise_seed: int = 0,
) -> Task:  # fmt: skip
    """The built-in task of this name, or what the user's `module:factory` or `path/to/file.py:factory` makes; checked.

    A factory is called with those of these arguments that are parameters of it. A fraction and noise that it does not
    take are applied to what it made.

    Args:
        fraction: how much of the training data is used, in (0, 1], of every class the same; validation and test stay
            whole, the recipe too, but that a batch is no larger than what is left.
        seed: of the split, and of what the fraction keeps.
        data: the folder with data sets; by default `$GLO_DATA_DIR`, else `data`.
        noise: probability of a wrong label in training and validation, never in the test; None: what the task has.
        noise_seed: of the noise.

    Raises:
        GloError: no such task, its data or a package is missing, an argument makes no sense for it, the user's factory
            fails, or the task is not fit for use (`check_task`).

    >>> task = task_named("digits", fraction=0.1)
    >>> [tuple(inputs.shape) for inputs, _ in (task.train, task.validation, task.test)]
    [(109, 64), (360, 64), (359, 64)]
    """
    if not 0 < fraction <= 1:
        raise GloError(f"fraction is {fraction:g}", hint="how much of the training data: above 0, at most 1")
    for what, number in (("seed", seed), ("noise_seed", noise_seed)):
        if number < 0:
            raise GloError(f"{what} is {number}", hint="a whole number from 0")
    options: dict[str, object] = {"fraction": fraction, "seed": seed, "noise_seed": noise_seed}
    options |= {} if data is None else {"data": data}
    options |= {} if noise is None else {"noise": noise}
    factory = factory_named(name) if ":" in name else _built_in(name)
    taken = _taken(factory, options)
    if "data" in options and "data" not in taken:
        raise GloError(f"task {name} reads no data", hint="leave data out")
    if seed and "seed" not in taken:
        raise GloError(f"task {name} has one split only", hint="leave seed out, or give the factory a parameter seed")
    task = factory(**taken)
    if not isinstance(task, Task):
        raise GloError(f"{name} gave {type(task).__name__}, not a Task", hint="glo_dsl.evolve.tasks.Task")
    check_task(task)
    if fraction < 1 and "fraction" not in taken:
        task = with_fraction(task, fraction, seed)
    if noise is not None and "noise" not in taken:
        task = with_noise(task, noise, noise_seed)
    return task


def _built_in(name: str) -> Callable[..., Task]:
    if name not in TASKS:
        known = f"tasks are: {', '.join(TASKS)}; your own: module:factory"
        raise GloError(f"unknown task {name}", hint=did_you_mean(name, TASKS) or known)
    return TASKS[name]


def _taken(factory: Callable[..., object], options: Mapping[str, object]) -> dict[str, object]:
    """The options that are parameters of a factory; none where Python cannot tell."""
    try:
        parameters = inspect.signature(factory).parameters.values()
    except ValueError:
        return {}
    names = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    return {name: value for name, value in options.items() if name in names}

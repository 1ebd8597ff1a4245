"""Tasks on the data that scikit-learn carries: no download, and trained in a second.

Every rate is near the best for the task's usual loss, cross-entropy or squared error, on a grid that goes on at both
sides of it: `python benchmarks/task_rates.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from glo_dsl.errors import GloError
from glo_dsl.evolve.tasks.networks import digits_cnn as digits_network
from glo_dsl.evolve.tasks.networks import perceptron
from glo_dsl.evolve.tasks.split import at_most, fraction_of, split, with_noise
from glo_dsl.evolve.tasks.task import Part, Recipe, Task
from glo_dsl.runtime.cache import fetch, key_of

_DIGITS = Recipe(rate=5.0, batch=128, steps=200)


def digits(seed: int = 0, fraction: float = 1.0) -> Task:
    """1797 handwritten digits of 8 x 8 pixels, for a perceptron. 60 % train, 20 % choose, 20 % are tested on.

    Raises:
        GloError: scikit-learn is not installed; so do all tasks of this module.

    >>> task = digits()
    >>> [len(targets) for _, targets in (task.train, task.validation, task.test)]
    [1078, 360, 359]
    """
    model = partial(perceptron, 64, 32, 10)
    return _task("digits", "load_digits", seed, fraction, 10, model, _DIGITS, prepare=_centred)


def digits_noisy(seed: int = 0, fraction: float = 1.0, noise: float = 0.4, noise_seed: int = 0) -> Task:
    """The same, but that a share of the labels of training and validation are wrong; those of the test are right."""
    task = with_noise(digits(seed, fraction), noise, noise_seed)
    return replace(task, name="digits-noisy", recipe=replace(task.recipe, rate=0.3))


def digits_cnn(seed: int = 0, fraction: float = 1.0) -> Task:
    """The digits as images 1 x 8 x 8, for two convolutions."""
    task = digits(seed, fraction)
    train, validation, test = (
        (x.view(-1, 1, 8, 8), y) for x, y in (task.train, task.validation, task.test)
    )  # fmt: skip
    return Task("digits-cnn", train, validation, test, 10, digits_network, replace(task.recipe, rate=1.0))


def wine(seed: int = 0, fraction: float = 1.0) -> Task:
    """178 wines of three growers, by 13 chemical measurements."""
    recipe = Recipe(rate=0.5, batch=32, steps=100)
    return _task("wine", "load_wine", seed, fraction, 3, partial(perceptron, 13, 16, 3), recipe)


def breast_cancer(seed: int = 0, fraction: float = 1.0) -> Task:
    """569 tumours, malignant or benign, by 30 measurements of their cells."""
    recipe = Recipe(rate=2.0, batch=64, steps=100)
    return _task("breast-cancer", "load_breast_cancer", seed, fraction, 2, partial(perceptron, 30, 16, 2), recipe)


def diabetes(seed: int = 0, fraction: float = 1.0) -> Task:
    """How 442 patients' diabetes went on within a year, by 10 measurements: a regression."""
    recipe = Recipe(rate=0.03, batch=64, steps=200)
    return _task("diabetes", "load_diabetes", seed, fraction, 1, partial(perceptron, 10, 16, 1), recipe, metric="r2")


Prepare = Callable[[Tensor], Callable[[Tensor], Tensor]]
"""What the values of the training part make of all values."""


def _centred(train: Tensor) -> Callable[[Tensor], Tensor]:
    mean = train.mean(0)
    return lambda x: x / 16 - mean / 16  # pixels are counted from 0 to 16


def _standardised(train: Tensor) -> Callable[[Tensor], Tensor]:
    mean, deviation = train.mean(0), train.std(0, unbiased=False)
    scale = torch.where(deviation > 0, deviation, 1.0)  # a constant column of a small part becomes 0
    return lambda x: (x - mean) / scale


def _task(
    name: str, loader: str, seed: int, fraction: float, outputs: int, model: Callable[[], nn.Module], recipe: Recipe,
    metric: Literal["accuracy", "r2"] = "accuracy", prepare: Prepare = _standardised,
) -> Task:  # fmt: skip
    """Loaded, split, cut to the fraction, and only then scaled: by what trains, and nothing else."""
    data, target = _loaded(name, loader)
    classes = metric == "accuracy"
    strata = target if classes else np.zeros(len(target), dtype=np.int64)
    x = torch.from_numpy(data)
    y = torch.from_numpy(target.astype(np.int64 if classes else np.float64))
    train, validation, test = ((x[i], y[i]) for i in map(torch.from_numpy, split(strata, seed)))
    train = fraction_of(train, fraction, seed, classes)
    inputs = prepare(train[0])
    targets = (lambda t: t) if classes else _standardised(train[1])

    def prepared(part: Part) -> Part:
        values = targets(part[1])
        return inputs(part[0]).float(), values if classes else values.float()

    parts = (prepared(train), prepared(validation), prepared(test))
    return Task(name, *parts, outputs, model, at_most(recipe, len(train[1])), metric)


def _loaded(name: str, loader: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Samples and targets. They are kept where kernels are: to import scikit-learn takes longer than a training, and
    every worker that is a process would do it again."""
    try:
        key = key_of("data", loader, version("scikit-learn"))
        with np.load(fetch(key, ".npz", partial(_write, loader)), allow_pickle=False) as kept:
            return kept["data"], kept["target"]
    except ImportError:
        raise GloError(f"task {name} needs scikit-learn", hint="pip install 'glo-dsl[search]'") from None
    except OSError:  # no room for a copy
        return _read(loader)


def _write(loader: str, file: Path) -> None:
    data, target = _read(loader)
    np.savez_compressed(file, data=data, target=target)


def _read(loader: str) -> tuple[NDArray[Any], NDArray[Any]]:
    from sklearn import datasets

    found = getattr(datasets, loader)()
    return found.data, found.target

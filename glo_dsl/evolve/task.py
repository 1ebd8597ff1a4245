"""What a loss is judged on: data in three parts that never mix, and a training recipe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from glo_dsl.errors import GloError, did_you_mean

Part = tuple[Tensor, Tensor]
"""Features [samples, features] float32, and class indices [samples] int64."""


@dataclass(frozen=True)
class Task:
    """A classification task.

    `train` fits weights, `validation` chooses losses and learning rates, `test` is read once, by the final table.
    The model is a perceptron with one hidden layer of tanh units, trained by plain SGD for `steps` batches of `batch`
    samples.
    """

    name: str
    train: Part
    validation: Part
    test: Part
    classes: int
    hidden: int = 32
    batch: int = 128
    steps: int = 200

    @property
    def features(self) -> int:
        return self.train[0].shape[1]


def split(features: np.ndarray, labels: np.ndarray, seed: int, shares: tuple[float, float]) -> tuple[Part, Part, Part]:
    """Train, validation and test parts, each class divided in the same proportions.

    `shares` are those of training and validation; the rest is for testing. The split depends on `seed` alone.
    """
    generator = np.random.default_rng(seed)
    parts: tuple[list[int], list[int], list[int]] = ([], [], [])
    for label in np.unique(labels):
        members = generator.permutation(np.flatnonzero(labels == label))
        first, second = round(shares[0] * len(members)), round((shares[0] + shares[1]) * len(members))
        for part, chosen in zip(parts, (members[:first], members[first:second], members[second:])):
            part.extend(int(i) for i in chosen)
    x, y = torch.from_numpy(features.astype(np.float32)), torch.from_numpy(labels.astype(np.int64))
    train, validation, test = ((x[sorted(part)], y[sorted(part)]) for part in parts)
    return train, validation, test


def digits() -> Task:
    """The 1797 handwritten digits of 8 x 8 pixels that scikit-learn carries: no download.

    60 % train, 20 % choose, 20 % are tested on.

    Raises:
        GloError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise GloError("task digits needs scikit-learn", hint="pip install 'glo-dsl[search]'") from None
    data = load_digits()
    train, validation, test = split(data.data / 16.0, data.target, seed=0, shares=(0.6, 0.2))
    mean = train[0].mean(0)  # centred by what training may know
    train, validation, test = ((x - mean, y) for x, y in (train, validation, test))
    return Task("digits", train, validation, test, classes=10)


TASKS: dict[str, Callable[[], Task]] = {"digits": digits}


def task_named(name: str) -> Task:
    """The built-in task of this name.

    Raises:
        GloError: there is none.
    """
    if name not in TASKS:
        hint = did_you_mean(name, TASKS) or f"tasks are: {', '.join(TASKS)}"
        raise GloError(f"unknown task {name}", hint=hint)
    return TASKS[name]()

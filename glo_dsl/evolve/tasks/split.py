"""Samples into parts that never mix; less of them, or wrong labels among them, for tasks that are harder."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glo_dsl.errors import GloError
from glo_dsl.evolve.tasks.task import Part, Recipe, Task

Strata = NDArray[np.int64]
"""[samples]: the class of every sample; all equal where there are no classes."""

Indices = NDArray[np.int64]
"""Numbers of samples, rising."""

_FRACTION, _HELD_OUT, _NOISE = 1, 2, 3  # each use of a seed has a stream of its own


def split(strata: Strata, seed: int, shares: tuple[float, float] = (0.6, 0.2)) -> tuple[Indices, Indices, Indices]:
    """Train, validation and test, each stratum divided in the same proportions.

    `shares` are those of training and validation; the rest is for testing. The split depends on `seed` alone.

    >>> [part.tolist() for part in split(np.repeat([0, 1], 5), seed=0)]
    [[2, 3, 4, 6, 7, 9], [0, 5], [1, 8]]
    """
    generator = np.random.default_rng(seed)
    parts: tuple[list[Indices], list[Indices], list[Indices]] = ([], [], [])
    for members in _members(strata):
        drawn = generator.permutation(members)
        first, second = round(shares[0] * len(drawn)), round((shares[0] + shares[1]) * len(drawn))
        for part, chosen in zip(parts, (drawn[:first], drawn[first:second], drawn[second:])):
            part.append(chosen)
    train, validation, test = (_rising(part) for part in parts)
    return train, validation, test


def held_out(samples: int, count: int, seed: int) -> tuple[Indices, Indices]:
    """All samples but `count`, and those: a shuffled training set cut in two, as the papers hold out validation."""
    drawn = np.random.default_rng([seed, _HELD_OUT]).permutation(samples)
    return np.sort(drawn[count:]), np.sort(drawn[:count])


def subset(strata: Strata, fraction: float, seed: int) -> Indices:
    """A fraction of every stratum, of each at least one sample. A smaller fraction is a part of a larger one.

    >>> subset(np.repeat([0, 1], 5), 0.4, seed=0).tolist()
    [1, 4, 6, 8]
    """
    generator = np.random.default_rng([seed, _FRACTION])
    drawn = [generator.permutation(members) for members in _members(strata)]
    return _rising(members[: max(1, round(fraction * len(members)))] for members in drawn)


def flipped(labels: Tensor, classes: int, share: float, generator: np.random.Generator) -> Tensor:
    """Labels [samples] of which each is, with probability `share`, any of the other classes, all equally likely."""
    wrong = generator.random(len(labels)) < share
    turns = generator.integers(1, classes, len(labels))  # 1 to classes - 1, so that a label that turns is another one
    return (labels + torch.from_numpy(np.where(wrong, turns, 0))) % classes


def with_noise(task: Task, share: float, seed: int) -> Task:
    """Symmetric noise in the labels of training and validation; the test stays clean.

    Raises:
        GloError: the task has no classes, or `share` is not in [0, 1).
    """
    if not 0 <= share < 1:
        raise GloError(f"noise is {share:g}", hint="it is the share of labels that are wrong, at least 0 and below 1")
    if task.metric != "accuracy":
        raise GloError(f"task {task.name} has no labels to make noisy", hint="noise is for tasks with classes")
    generator = np.random.default_rng([seed, _NOISE])
    train, validation = (
        (x, flipped(y, task.outputs, share, generator)) for x, y in (task.train, task.validation)
    )  # fmt: skip
    return replace(task, train=train, validation=validation)


def with_fraction(task: Task, fraction: float, seed: int) -> Task:
    """A fraction of the training data, of every class the same; validation and test stay whole."""
    train = fraction_of(task.train, fraction, seed, task.metric == "accuracy")
    return replace(task, train=train, recipe=at_most(task.recipe, len(train[1])))


def at_most(recipe: Recipe, samples: int) -> Recipe:
    """The recipe, with batches that are no larger than the training data."""
    return replace(recipe, batch=min(recipe.batch, samples))


def fraction_of(part: Part, fraction: float, seed: int, classes: bool) -> Part:
    """A fraction of a part; of each class the same where targets are `classes`."""
    if fraction == 1:
        return part
    strata: Strata = part[1].numpy() if classes else np.zeros(len(part[1]), dtype=np.int64)
    kept = torch.from_numpy(subset(strata, fraction, seed))
    return part[0][kept], part[1][kept]


def _members(strata: Strata) -> Iterable[Indices]:
    return (np.flatnonzero(strata == stratum) for stratum in np.unique(strata))


def _rising(groups: Iterable[Indices]) -> Indices:
    return np.sort(np.concatenate(list(groups)))

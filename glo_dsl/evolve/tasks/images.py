"""MNIST and CIFAR-10 as the papers train on them: networks, recipes, splits, augmentation.

GLO is arXiv:1905.11528, TaylorGLO arXiv:2002.00059. What the papers leave open, and what is different here, is said in
docs/search-tasks.md.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import nn

from glo_dsl.evolve.tasks import networks, stored
from glo_dsl.evolve.tasks.augment import Jitter, Shift, central, standardised
from glo_dsl.evolve.tasks.split import at_most, fraction_of, held_out
from glo_dsl.evolve.tasks.stored import Images
from glo_dsl.evolve.tasks.task import Part, Recipe, Task

Data = str | os.PathLike[str] | None

_CIFAR_TRAINED_ON = 45_000


def mnist(seed: int = 0, fraction: float = 1.0, data: Data = None) -> Task:
    """MNIST for the network of GLO: 55,000 train, 5,000 choose, 10,000 are tested on; 20,000 steps.

    A search of GLO takes 2,000 of them: `task.shortened(2000)`.

    Raises:
        GloError: the files are not in the folder `data`, or damaged; so do all tasks of this module.
    """
    train, validation, test = _parts(stored.mnist(data), 12, seed, fraction)
    recipe = at_most(Recipe(rate=0.01, batch=100, steps=20_000), len(train[1]))
    return Task("mnist", train, validation, test, 10, networks.mnist_cnn, recipe)


def cifar10(seed: int = 0, fraction: float = 1.0, data: Data = None) -> Task:
    """CIFAR-10 for the network of GLO, on crops of 24 x 24 with other brightness and contrast."""
    recipe = Recipe(
        rate=0.05, batch=1024, weight_decay=0.004, schedule="steps", at=(1 / 3, 2 / 3), factor=0.1,
        steps=_steps(epochs=1050, batch=1024),
    )  # fmt: skip
    train, *judged = _parts(stored.cifar10(data), 10, seed, fraction)
    jitter = Jitter()
    validation, test = ((standardised(central(x, jitter.size)), y) for x, y in judged)
    recipe = at_most(recipe, len(train[1]))
    return Task("cifar10", train, validation, test, 10, networks.cifar_cnn, recipe, augment=jitter)


def cifar10_allcnn(seed: int = 0, fraction: float = 1.0, data: Data = None) -> Task:
    """CIFAR-10 for All-CNN-C as TaylorGLO trains it: 350 epochs."""
    recipe = _decayed(0.01, 1e-3, epochs=350, at=(200, 250, 300), factor=0.1)
    return _shifted("cifar10-allcnn", networks.all_cnn_c, recipe, seed, fraction, data)


def cifar10_resnet20(seed: int = 0, fraction: float = 1.0, data: Data = None) -> Task:
    """CIFAR-10 for ResNet-20 as TaylorGLO trains it: 200 epochs."""
    recipe = _decayed(0.1, 1e-4, epochs=200, at=(100, 150), factor=0.1)
    return _shifted("cifar10-resnet20", networks.resnet20, recipe, seed, fraction, data)


def cifar10_wrn16_8(seed: int = 0, fraction: float = 1.0, data: Data = None) -> Task:
    """CIFAR-10 for the wide residual network 16-8 with dropout as TaylorGLO trains it: 200 epochs."""
    recipe = _decayed(0.1, 5e-4, epochs=200, at=(60, 120, 160), factor=0.2)
    return _shifted("cifar10-wrn16-8", networks.wide_resnet_16_8, recipe, seed, fraction, data)


def _shifted(
    name: str, model: Callable[[], nn.Module], recipe: Recipe, seed: int, fraction: float, data: Data
) -> Task:  # fmt: skip
    train, *judged = _parts(stored.cifar10(data), 10, seed, fraction)
    mean, deviation = train[0].mean((0, 2, 3)), train[0].std((0, 2, 3), unbiased=False)
    shift = Shift(tuple(mean.tolist()), tuple(deviation.tolist()))
    validation, test = ((shift.normalised(x), y) for x, y in judged)
    return Task(name, train, validation, test, 10, model, at_most(recipe, len(train[1])), augment=shift)


def _parts(read: tuple[Images, Images], share: int, seed: int, fraction: float) -> tuple[Part, Part, Part]:
    """Pixels from 0 to 1. One in `share` training images is held out to choose by; the test is that of the data set."""
    (pixels, labels), test = read
    kept, held = (torch.from_numpy(i) for i in held_out(len(labels), len(labels) // share, seed))
    train = fraction_of((pixels[kept], labels[kept]), fraction, seed, classes=True)
    scaled = [(x.float() / 255, y) for x, y in (train, (pixels[held], labels[held]), test)]
    return scaled[0], scaled[1], scaled[2]


def _steps(epochs: int, batch: int) -> int:
    """Steps of so many epochs of whole batches of CIFAR-10; the same for a fraction of its images."""
    return epochs * (_CIFAR_TRAINED_ON // batch)


def _decayed(rate: float, weight_decay: float, epochs: int, at: tuple[int, ...], factor: float) -> Recipe:
    """TaylorGLO's training: SGD with momentum, the rate times `factor` at some epochs."""
    plain = Recipe(rate, batch=128, steps=_steps(epochs, 128), momentum=0.9, weight_decay=weight_decay)
    return replace(plain, schedule="steps", at=tuple(epoch / epochs for epoch in at), factor=factor)

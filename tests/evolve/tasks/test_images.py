"""The tasks on tiny data sets in the real formats, through the real code: files, split, augmentation, check, model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Generator

from glo_dsl.evolve.tasks import Task, images, stored, task_named
from glo_dsl.evolve.tasks.augment import Jitter, Shift, central, standardised
from tests.evolve.tasks.stored_images import write_cifar10, write_mnist


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    write_mnist(root)
    write_cifar10(root)
    return root


def sizes(task: Task) -> list[tuple[int, ...]]:
    return [tuple(inputs.shape) for inputs, _ in (task.train, task.validation, task.test)]


def test_mnist(data: Path) -> None:
    task = task_named("mnist", fraction=0.5, data=data)
    assert sizes(task) == [(56, 1, 28, 28), (10, 1, 28, 28), (40, 1, 28, 28)]  # 110 of 120 train, half of each class
    whole = images.mnist(data=data)
    assert sizes(whole) == [(110, 1, 28, 28), (10, 1, 28, 28), (40, 1, 28, 28)]
    assert whole.train[0].min() == 0 and whole.train[0].max() == 1
    recipe = whole.recipe
    assert (recipe.rate, recipe.batch, recipe.steps, recipe.momentum, recipe.weight_decay, recipe.schedule) == (
        0.01, 100, 20_000, 0.0, 0.0, "constant",
    )  # fmt: skip
    assert task.recipe.batch == 56


def test_the_parts_of_mnist_share_no_image_and_other_seeds_choose_by_others(data: Path) -> None:
    whole = images.mnist(data=data)
    rows = {tuple(x.flatten().tolist()) for part in (whole.train, whole.validation, whole.test) for x in part[0]}
    assert len(rows) == 160
    other = images.mnist(seed=1, data=data)
    assert not torch.equal(other.validation[0], whole.validation[0])
    assert torch.equal(other.test[0], whole.test[0])


def test_cifar10_of_glo(data: Path) -> None:
    task = task_named("cifar10", data=data)
    assert sizes(task) == [(90, 3, 32, 32), (10, 3, 24, 24), (20, 3, 24, 24)]
    assert isinstance(task.augment, Jitter)
    (raw, _) = stored.cifar10(data)[1]
    torch.testing.assert_close(task.test[0], standardised(central(raw.float() / 255, 24)))
    recipe = task.recipe
    assert (recipe.rate, recipe.weight_decay, recipe.factor) == (0.05, 0.004, 0.1)
    assert [round(fraction * recipe.steps) for fraction in recipe.at] == [350 * 43, 700 * 43]  # 43 batches are an epoch


@pytest.mark.parametrize(
    ("name", "make", "rate", "decay", "factor", "epochs", "at"),
    [
        ("cifar10-allcnn", images.cifar10_allcnn, 0.01, 1e-3, 0.1, 350, [200, 250, 300]),
        ("cifar10-resnet20", images.cifar10_resnet20, 0.1, 1e-4, 0.1, 200, [100, 150]),
        ("cifar10-wrn16-8", images.cifar10_wrn16_8, 0.1, 5e-4, 0.2, 200, [60, 120, 160]),
    ],
)
def test_cifar10_of_taylorglo(
    name: str, make: object, rate: float, decay: float, factor: float, epochs: int, at: list[int], data: Path
) -> None:
    assert callable(make)
    task = make(data=data)
    assert task.name == name and sizes(task) == [(90, 3, 32, 32), (10, 3, 32, 32), (20, 3, 32, 32)]
    recipe = task.recipe
    assert (recipe.rate, recipe.weight_decay, recipe.momentum, recipe.factor) == (rate, decay, 0.9, factor)
    assert recipe.steps == epochs * 351 and recipe.batch == 90 and recipe.schedule == "steps"
    assert [round(fraction * epochs) for fraction in recipe.at] == at
    assert isinstance(task.augment, Shift) and task.augment.padding == 4
    mean = task.train[0].mean((0, 2, 3))
    torch.testing.assert_close(torch.tensor(task.augment.mean), mean)
    (raw, _) = stored.cifar10(data)[1]
    deviation = task.train[0].std((0, 2, 3), unbiased=False)
    wanted = (raw.float() / 255 - mean[:, None, None]) / deviation[:, None, None]
    torch.testing.assert_close(task.test[0], wanted)
    batch = task.augment(task.train[0][:4], Generator().manual_seed(0))
    assert batch.shape == (4, 3, 32, 32)


def test_statistics_are_those_of_the_fraction_that_trains(data: Path) -> None:
    task = images.cifar10_resnet20(fraction=0.2, data=data)
    assert isinstance(task.augment, Shift)
    torch.testing.assert_close(torch.tensor(task.augment.mean), task.train[0].mean((0, 2, 3)))


@pytest.mark.parametrize("name", ["cifar10-allcnn", "cifar10-resnet20"])
def test_they_pass_the_check(name: str, data: Path) -> None:
    assert task_named(name, data=data).name == name

"""Every field of a task, spoilt in every way that the check knows, and what is said then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Generator, Tensor, nn

import glo_dsl as glo
from glo_dsl.evolve.tasks import Recipe, Task, check_task

INPUTS = torch.linspace(-1, 1, 60).view(20, 3)
CLASSES = torch.arange(20) % 4
VALUES = torch.linspace(-1, 1, 20)
NAN = torch.full((20, 3), torch.nan)


def linear(outputs: int = 4) -> nn.Module:
    return nn.Linear(3, outputs)


PART = (INPUTS, CLASSES)
GOOD = Task("mine", PART, PART, PART, outputs=4, model=linear, recipe=Recipe(rate=0.1, batch=5, steps=3))
NUMBERS = (INPUTS, VALUES)
REGRESSION = replace(
    GOOD, train=NUMBERS, validation=NUMBERS, test=NUMBERS, outputs=1, model=lambda: linear(1), metric="r2"
)  # fmt: skip


def rebuilt(**fields: object) -> Task:
    changed: Any = fields
    return replace(GOOD, **changed)


def recipe(**fields: object) -> Task:
    changed: Any = fields
    return replace(GOOD, recipe=replace(GOOD.recipe, **changed))


def values(**fields: object) -> Task:
    changed: Any = fields
    return replace(REGRESSION, **changed)


class Branching(nn.Linear):
    """Takes another way by what it sees."""

    def __init__(self) -> None:
        super().__init__(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        return y if y.sum() > 0 else -y


class Hidden(nn.Linear):
    """Keeps weights where neither `parameters` nor `buffers` finds them."""

    def __init__(self) -> None:
        super().__init__(3, 4)
        self.scale = [torch.rand(())]

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * (1 + self.scale[0])


class ByNumpy(nn.Linear):
    """Draws weights from elsewhere."""

    def __init__(self) -> None:
        super().__init__(3, 4)
        self.bias = nn.Parameter(torch.from_numpy(np.random.default_rng().random(4)).float())


def doubled(x: Tensor, generator: Generator) -> Tensor:
    return torch.cat([x, x])


def by_itself(x: Tensor, generator: Generator) -> Tensor:
    return x + torch.rand(())


def failing(*_: object) -> Tensor:
    raise ValueError("boom\nsecond line")


def frozen() -> nn.Module:
    return linear().requires_grad_(False)


SPOILT: list[tuple[Task, str]] = [
    (rebuilt(name=""), "its name is not a text"),
    (rebuilt(train=INPUTS), "train is not a pair of tensors"),
    (rebuilt(test=(INPUTS.numpy(), CLASSES)), "test is not a pair of tensors"),
    (rebuilt(recipe={"rate": 1}), "its recipe is of type dict"),
    (rebuilt(metric="f1"), "its metric is 'f1'"),
    (rebuilt(outputs=4.0), "outputs is 4.0"),
    (rebuilt(outputs=0), "outputs is 0"),
    (rebuilt(outputs=1), "outputs is 1 with metric accuracy"),
    (values(outputs=2), "outputs is 2 with metric r2"),
    (rebuilt(model="linear"), "its model is of type str"),
    (rebuilt(model=linear()), "its model is a network"),
    (rebuilt(train=(INPUTS[:, 0], CLASSES)), "train has inputs [20] with targets [20]"),
    (rebuilt(train=(INPUTS, CLASSES[:, None])), "train has inputs [20, 3] with targets [20, 1]"),
    (rebuilt(validation=(INPUTS, CLASSES[:19])), "validation has 20 inputs for 19 targets"),
    (rebuilt(test=(INPUTS[:0], CLASSES[:0])), "test has no samples"),
    (rebuilt(train=(INPUTS.double(), CLASSES)), "inputs of train are torch.float64"),
    (rebuilt(test=(NAN, CLASSES)), "inputs of test are not all finite"),
    (rebuilt(train=(INPUTS, CLASSES.int())), "targets of train are torch.int32"),
    (rebuilt(validation=(INPUTS, CLASSES + 1)), "targets of validation go up to 4"),
    (rebuilt(validation=(INPUTS, CLASSES - 1)), "targets of validation go down to -1"),
    (values(train=(INPUTS, CLASSES)), "targets of train are torch.int64"),
    (values(test=(INPUTS, VALUES / 0)), "targets of test are not all finite"),
    (values(test=(INPUTS, VALUES * 0)), "targets of test are all equal"),
    (rebuilt(test=(INPUTS[:, :2], CLASSES)), "samples of validation and test have shapes [3] and [2]"),
    (rebuilt(train=(INPUTS[:, :2], CLASSES)), "samples of train and validation have shapes [2] and [3]"),
    (recipe(rate=0), "its rate is 0"),
    (recipe(rate=float("inf")), "its rate is inf"),
    (recipe(rate="fast"), "its rate is 'fast'"),
    (recipe(steps=0), "its steps are 0"),
    (recipe(steps=2.5), "its steps are 2.5"),
    (recipe(batch=0), "its batch is 0"),
    (recipe(batch=21), "its batch is 21"),
    (recipe(momentum=1.0), "its momentum is 1.0"),
    (recipe(weight_decay=-1.0), "its weight decay is -1.0"),
    (recipe(factor=0), "its factor is 0"),
    (recipe(optimizer="adam"), "its optimizer is 'adam'"),
    (recipe(schedule="linear"), "its schedule is 'linear'"),
    (recipe(schedule="steps"), "its rate changes at () with schedule steps"),
    (recipe(at=(0.5,)), "its rate changes at (0.5,) with schedule constant"),
    (recipe(schedule="steps", at=(0.5, 0.2)), "its rate changes at (0.5, 0.2)"),
    (recipe(schedule="steps", at=(100, 150)), "its rate changes at (100, 150)"),
    (recipe(schedule="steps", at=[0.5]), "its rate changes at [0.5]"),
    (rebuilt(augment=failing), "augment failed: ValueError: boom"),
    (rebuilt(augment=lambda x, g: x.tolist()), "augment gives no finite float32 tensor"),
    (rebuilt(augment=lambda x, g: x / 0), "augment gives no finite float32 tensor"),
    (rebuilt(augment=doubled), "augment gives a batch [4, 3]"),
    (rebuilt(augment=lambda x, g: x[:, :2]), "augment gives a batch [2, 2]"),
    (rebuilt(augment=by_itself), "augment gives something else for the same generator"),
    (rebuilt(model=failing), "model failed: ValueError: boom"),
    (rebuilt(model=lambda: torch.tanh), "model makes of type builtin_function_or_method"),
    (rebuilt(model=nn.Tanh), "model has nothing to train"),
    (rebuilt(model=frozen), "model has nothing to train"),
    (rebuilt(model=lambda: linear().double()), "model is not all float32"),
    (rebuilt(model=lambda: nn.Linear(5, 4)), "model fails on inputs [2, 3]: RuntimeError: mat1 and mat2"),
    (rebuilt(model=lambda: linear(3)), "model gives [2, 3] for inputs [2, 3]"),
    (values(model=lambda: nn.Sequential(linear(1), nn.Flatten(0))), "model gives [2] for inputs [2, 3]"),
    (rebuilt(model=lambda: nn.LSTM(3, 4)), "model gives of type tuple"),
    (rebuilt(model=ByNumpy), "model has other weights for the same seed"),
    (rebuilt(model=Branching), "model cannot be stacked by torch.func"),
    (rebuilt(model=Hidden), "model gives something else when it is stacked"),
]


@pytest.mark.parametrize(("task", "said"), SPOILT, ids=lambda value: value if isinstance(value, str) else "")
def test_what_is_wrong_is_said_in_one_sentence(task: Task, said: str) -> None:
    with pytest.raises(glo.GloError) as error:
        check_task(task)
    assert error.value.message.startswith(f"task {task.name}: {said}")
    assert error.value.hint and "\n" not in str(error.value.message)


@pytest.mark.parametrize(
    "task",
    [
        GOOD, REGRESSION,
        recipe(schedule="steps", at=(0.25, 0.5)), recipe(schedule="cosine"), recipe(optimizer="adamw", momentum=0.9),
        recipe(batch=20), rebuilt(augment=lambda x, g: x + torch.rand(x.shape, generator=g)),
        rebuilt(train=(INPUTS.repeat(1, 2), CLASSES), augment=lambda x, g: x[:, :3]),
        rebuilt(model=lambda: nn.Sequential(linear(8), nn.BatchNorm1d(8), nn.Dropout(0.5), linear_from(8))),
    ],
)  # fmt: skip
def test_what_is_right_passes(task: Task) -> None:
    check_task(task)


def linear_from(inputs: int) -> nn.Module:
    return nn.Linear(inputs, 4)


@pytest.mark.parametrize("make", [linear, lambda: nn.Sequential(linear(), nn.Dropout(0.5))])
def test_checking_leaves_no_trace(make: Callable[[], nn.Module]) -> None:
    task = rebuilt(model=make, augment=lambda x, g: x.add_(1))
    before, state = INPUTS.clone(), torch.get_rng_state()
    check_task(task)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(INPUTS, before)

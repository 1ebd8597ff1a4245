"""What a loss is judged on: data in three parts that never mix, a model, and a recipe for its training."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from torch import Generator, Tensor, nn

GLOBAL_GENERATOR = threading.Lock()
"""Held by who uses PyTorch's global generator: networks draw their weights from no other, and threads share it."""

Part = tuple[Tensor, Tensor]
"""Inputs [samples, ...] float32, and targets [samples]: class indices int64, or values float32."""

Augment = Callable[[Tensor, Generator], Tensor]
"""Inputs of one batch [batch, ...] to inputs of the same shape up to the sizes of an image; all chance comes from the
generator, which is on the device of the inputs."""


@dataclass(frozen=True)
class Recipe:
    """How a model is trained.

    Attributes:
        rate: the learning rate at the start, for the mean loss of a batch.
        momentum: of SGD; for AdamW, beta1.
        weight_decay: as the optimiser of PyTorch has it: added to the gradient by SGD, decoupled in AdamW.
        batch: samples of a step. steps: how many there are.
        schedule: "constant"; "cosine", to 0 at the last step; "steps", times `factor` at every fraction in `at`.
    """

    rate: float
    batch: int
    steps: int
    optimizer: Literal["sgd", "adamw"] = "sgd"
    momentum: float = 0.0
    weight_decay: float = 0.0
    schedule: Literal["constant", "cosine", "steps"] = "constant"
    at: tuple[float, ...] = ()
    factor: float = 0.1


@dataclass(frozen=True)
class Task:
    """A task of classification, or of regression.

    `train` fits weights; `validation` chooses losses, constants and learning rates; `test` is read once, by the final
    table.

    Attributes:
        outputs: what the model gives for a sample: so many logits; or, where `metric` is not accuracy, one value.
        model: makes the network, with fresh weights from PyTorch's global generator, which the caller has seeded.
        metric: what fitness is, larger is better: "accuracy" in [0, 1], or "r2", the share of variance explained.
    """

    name: str
    train: Part
    validation: Part
    test: Part
    outputs: int
    model: Callable[[], nn.Module]
    recipe: Recipe
    metric: Literal["accuracy", "r2"] = "accuracy"
    augment: Augment | None = None

    def shortened(self, steps: int) -> Task:
        """The same with other steps of training."""
        return replace(self, recipe=replace(self.recipe, steps=steps))

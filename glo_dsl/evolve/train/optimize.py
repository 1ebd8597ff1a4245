"""Optimisers over stacked parameters, each network with a learning rate of its own.

PyTorch's have one rate for a whole tensor, so these are written here, to the same formulas.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from copy import copy
from typing import Protocol, Self

import torch
from torch import Tensor

from glo_dsl.evolve.tasks.task import Recipe

Named = Mapping[str, Tensor]

LEAST = 1e-36
"""Squares of gradients below this count as this. It changes no step, for its root is lost beside epsilon; but without
it a weight that never had a gradient would have a step without a derivative."""


class Optimizer(Protocol):
    """Changes parameters [M, ...] in place, and after its first step its own state, too."""

    def terms(self, steps: int) -> Tensor:
        """What its formulas take besides the rate, [steps, terms], the same for all networks."""

    def step(self, parameters: Named, gradients: Named, rates: Tensor, terms: Tensor) -> None:
        """One step; `rates` [M] are this step's learning rates, `terms` [terms] its row."""

    def mapped(self, change: Callable[[Tensor], Tensor]) -> Self:
        """One like this with every tensor [M, ...] of its state changed so, in an order that is always the same."""


class Sgd:
    """`torch.optim.SGD` with momentum and weight decay, without dampening or Nesterov's."""

    def __init__(self, recipe: Recipe) -> None:
        self.momentum, self.weight_decay = recipe.momentum, recipe.weight_decay
        self._velocity: dict[str, Tensor] = {}

    def terms(self, steps: int) -> Tensor:
        """None."""
        return torch.empty(steps, 0)

    def step(self, parameters: Named, gradients: Named, rates: Tensor, terms: Tensor) -> None:
        """One step."""
        for name, parameter in parameters.items():
            change = gradients[name]
            if self.weight_decay:
                change = change.add(parameter, alpha=self.weight_decay)
            if self.momentum:
                before = self._velocity.get(name)
                change = change.clone() if before is None else before.mul_(self.momentum).add_(change)
                self._velocity[name] = change
            parameter.addcmul_(change, _each(rates, parameter), value=-1)

    def mapped(self, change: Callable[[Tensor], Tensor]) -> Self:
        """One like this with every tensor of its state changed so."""
        other = copy(self)
        other._velocity = {name: change(v) for name, v in self._velocity.items()}
        return other


class AdamW:
    """`torch.optim.AdamW` (Loshchilov & Hutter 2019) with beta2 0.999 and epsilon 1e-8; beta1 is the recipe's momentum,
    or 0.9 where that is 0."""

    def __init__(self, recipe: Recipe) -> None:
        self.beta1, self.beta2, self.epsilon = recipe.momentum or 0.9, 0.999, 1e-8
        self.weight_decay = recipe.weight_decay
        self._moments: dict[str, tuple[Tensor, Tensor]] = {}

    def terms(self, steps: int) -> Tensor:
        """What makes up for moments that begin at 0: what to divide the root of the second by, and minus what to
        multiply the first by."""
        counts = range(1, steps + 1)
        each = [(math.sqrt(1 - self.beta2**n), -1 / (1 - self.beta1**n)) for n in counts]
        return torch.tensor(each, dtype=torch.float64)

    def step(self, parameters: Named, gradients: Named, rates: Tensor, terms: Tensor) -> None:
        """One step."""
        below, before = terms
        for name, parameter in parameters.items():
            gradient, rate = gradients[name], _each(rates, parameter)
            if name not in self._moments:
                self._moments[name] = torch.zeros_like(gradient), torch.zeros_like(gradient)
            first, second = self._moments[name]
            first.lerp_(gradient, 1 - self.beta1)
            second.mul_(self.beta2).addcmul_(gradient, gradient, value=1 - self.beta2)
            if self.weight_decay:
                parameter.mul_(1 - rate * self.weight_decay)
            root = second.clamp_min(LEAST).sqrt()
            size = (root / below).add_(self.epsilon)
            parameter.addcmul_((first / size).mul_(before), rate)

    def mapped(self, change: Callable[[Tensor], Tensor]) -> Self:
        """One like this with every tensor of its state changed so."""
        other = copy(self)
        other._moments = {name: (change(first), change(second)) for name, (first, second) in self._moments.items()}
        return other


def optimizer_of(recipe: Recipe) -> Optimizer:
    """The optimiser that a recipe asks for."""
    return AdamW(recipe) if recipe.optimizer == "adamw" else Sgd(recipe)


def factor(recipe: Recipe, step: int) -> float:
    """What a schedule multiplies the learning rate by at a step, counted from 0."""
    if recipe.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * step / recipe.steps))
    if recipe.schedule == "steps":
        return float(recipe.factor ** sum(step >= share * recipe.steps for share in recipe.at))
    return 1.0


def factors(recipe: Recipe) -> Tensor:
    """That of every step, [steps]."""
    return torch.tensor([factor(recipe, step) for step in range(recipe.steps)], dtype=torch.float64)


def _each(rates: Tensor, parameter: Tensor) -> Tensor:
    """[M] to [M, 1, ...]"""
    return rates.reshape(-1, *[1] * (parameter.dim() - 1))

"""Stacked optimisers against those of PyTorch, network by network."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from glo_dsl.evolve.tasks.task import Recipe
from glo_dsl.evolve.train.optimize import factor, optimizer_of

RATES = torch.tensor([0.1, 1.0, 0.03])


def reference(recipe: Recipe, parameter: torch.Tensor, rate: float) -> torch.optim.Optimizer:
    if recipe.optimizer == "adamw":
        betas = (recipe.momentum or 0.9, 0.999)
        return torch.optim.AdamW([parameter], rate, betas, weight_decay=recipe.weight_decay)
    return torch.optim.SGD([parameter], rate, recipe.momentum, weight_decay=recipe.weight_decay)


@settings(max_examples=25)
@given(
    st.sampled_from(["sgd", "adamw"]), st.sampled_from([0.0, 0.5, 0.9]), st.sampled_from([0.0, 0.1]), st.integers(0, 99)
)
def test_every_network_is_optimised_as_alone(optimizer: str, momentum: float, decay: float, seed: int) -> None:
    recipe = Recipe(1.0, 8, 10, optimizer, momentum, decay)  # type: ignore[arg-type]
    g = torch.Generator().manual_seed(seed)
    start = torch.randn(3, 4, 2, generator=g)
    mine, stacked = start.clone(), optimizer_of(recipe)
    terms = stacked.terms(6)
    alone = [start[n].clone() for n in range(3)]
    others = [reference(recipe, p, float(rate)) for p, rate in zip(alone, RATES)]
    for step in range(6):
        if step == 4:  # the others go on without the first
            mine, alone, others = mine[[1, 2]].clone(), alone[1:], others[1:]
            stacked = stacked.mapped(lambda state: state[[1, 2]])
        gradient = torch.randn(mine.shape, generator=g)
        stacked.step({"w": mine}, {"w": gradient}, RATES[-len(mine) :], terms[step])
        for parameter, other, own in zip(alone, others, gradient):
            parameter.grad = own.clone()
            other.step()
    torch.testing.assert_close(mine, torch.stack(alone))


@pytest.mark.parametrize("schedule", ["constant", "cosine", "steps"])
def test_schedules_are_those_of_pytorch(schedule: str) -> None:
    recipe = Recipe(1.0, 8, 20, schedule=schedule, at=(0.5, 0.75), factor=0.2)  # type: ignore[arg-type]
    optimizer = torch.optim.SGD([torch.zeros(1)], 1.0)
    other = {
        "constant": torch.optim.lr_scheduler.ConstantLR(optimizer, 1.0),
        "cosine": torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 20),
        "steps": torch.optim.lr_scheduler.MultiStepLR(optimizer, [10, 15], 0.2),
    }[schedule]
    for step in range(20):
        assert factor(recipe, step) == pytest.approx(other.get_last_lr()[0])
        optimizer.step()
        other.step()

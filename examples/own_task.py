"""A task of one's own: which of three spirals does a point lie on?

glo search examples/glo.glo --task examples/own_task.py:spirals
"""

import torch
from torch import Tensor, nn

from glo_dsl.evolve.tasks import Part, Recipe, Task


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 24), nn.Tanh(), nn.Linear(24, 24), nn.Tanh(), nn.Linear(24, 3))


def points(count: int, generator: torch.Generator) -> Part:
    """Points [count, 2] with some noise, and the number of the spiral of each."""
    spiral = torch.randint(3, (count,), generator=generator)
    distance = torch.rand(count, generator=generator).sqrt()
    angle = 2 * torch.pi * (spiral / 3 + 0.8 * distance) + 0.15 * torch.randn(count, generator=generator)
    return torch.stack([distance * angle.cos(), distance * angle.sin()], dim=1), spiral


def moved(inputs: Tensor, generator: torch.Generator) -> Tensor:
    """Training points shake a little, other than before at every step."""
    return inputs + 0.02 * torch.randn(inputs.shape, generator=generator, device=generator.device)


def spirals(seed: int = 0) -> Task:
    generator = torch.Generator().manual_seed(seed)
    train, validation, test = (points(count, generator) for count in (900, 300, 300))
    recipe = Recipe(rate=0.5, batch=90, steps=400, momentum=0.9, schedule="cosine")
    return Task("spirals", train, validation, test, outputs=3, model=network, recipe=recipe, augment=moved)

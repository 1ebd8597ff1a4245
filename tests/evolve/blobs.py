"""A task small enough to train on in a test; also what a user's own task looks like."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from glo_dsl.evolve.tasks.task import Part, Recipe, Task


def blobs() -> Task:
    """Four Gaussian clouds in six dimensions that overlap a little."""
    generator = np.random.default_rng(7)
    centres = generator.standard_normal((4, 6)) * 1.2
    labels = np.tile(np.arange(4), 60)
    features = torch.from_numpy((centres[labels] + generator.standard_normal((240, 6))).astype(np.float32))
    parts = [_part(features, labels, a, b) for a, b in ((0, 120), (120, 180), (180, 240))]
    return Task("blobs", *parts, 4, _network, Recipe(0.5, 32, 40))  # type: ignore[arg-type]


def line() -> Task:
    """A linear function with noise."""
    g = torch.Generator().manual_seed(3)
    x = torch.randn(150, 4, generator=g)
    y = x @ torch.tensor([1.0, -1.0, 2.0, 0.5]) + 0.1 * torch.randn(150, generator=g)
    parts = [(x[a:b], y[a:b]) for a, b in ((0, 90), (90, 120), (120, 150))]
    return Task("line", *parts, 1, lambda: nn.Linear(4, 1), Recipe(0.02, 16, 40), "r2")


def _part(features: torch.Tensor, labels: np.ndarray, first: int, last: int) -> Part:
    return features[first:last], torch.from_numpy(labels[first:last].astype(np.int64))


def _network() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4))

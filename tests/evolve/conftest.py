"""A task small enough to train on in a test."""

from __future__ import annotations

import numpy as np
import pytest

from glo_dsl.evolve.task import Task, split


@pytest.fixture(scope="session")
def blobs() -> Task:
    """Four Gaussian clouds in six dimensions that overlap a little."""
    generator = np.random.default_rng(7)
    centres = generator.standard_normal((4, 6)) * 1.2
    labels = np.repeat(np.arange(4), 60)
    features = centres[labels] + generator.standard_normal((240, 6))
    train, validation, test = split(features, labels, seed=1, shares=(0.5, 0.25))
    return Task("blobs", train, validation, test, classes=4, hidden=8, batch=32, steps=40)

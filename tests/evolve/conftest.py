"""A search small enough for a test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from glo_dsl.evolve.config import Config, configured
from glo_dsl.evolve.session import Where, begin

GLO = "loss glo(z: real[C], t: class[C]) = let y = softmax(z), x = onehot(t) in -mean(?f(x, y))"
BLOBS = f"{Path(__file__).parent / 'blobs.py'}:blobs"
LINE = f"{Path(__file__).parent / 'blobs.py'}:line"

HERE = Where(workers=1)


def small(strategy: str = "islands", space: str = GLO, name: str = "glo", **settings: Any) -> Config:
    """A configuration for seconds."""
    usual = {
        "task": BLOBS, "trainings": 40, "search_seeds": 2, "leader_seeds": 2, "rate_seeds": 2, "tune_seeds": 2,
        "confirm_seeds": 3,
        "fresh_seeds": 4, "leaders": 3, "finalists": 1, "tune_generations": 2,
        "strategy_options": {"population": 12, "generations": 3, "start": "none"} if strategy == "islands" else {},
    }  # fmt: skip
    return configured(space, name, {"strategy": strategy, **usual, **settings})


@pytest.fixture(scope="session")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search that has come to its end; nothing writes to it."""
    directory = tmp_path_factory.mktemp("study") / "ended"
    begin(small(), directory, HERE)
    return directory

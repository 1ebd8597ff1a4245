"""Loggers by the names that commands know them by."""

from __future__ import annotations

import os
from collections.abc import Iterable
from importlib.util import find_spec

from glo_dsl.errors import GloError, did_you_mean
from glo_dsl.evolve.writers.mlflow_ import MLflow
from glo_dsl.evolve.writers.tensorboard_ import TensorBoard
from glo_dsl.evolve.writers.wandb_ import WeightsAndBiases
from glo_dsl.evolve.writers.writer import Opening

OPENINGS: dict[str, Opening] = {"tensorboard": TensorBoard, "mlflow": MLflow, "wandb": WeightsAndBiases}
"""By name. What they need is imported when they open a run."""


def check(names: Iterable[str]) -> None:
    """Refuses loggers that there are not, before anything is run for them.

    Raises:
        GloError: no such logger, or it is not installed.

    >>> check(["tensorbord"])
    Traceback (most recent call last):
    glo_dsl.errors.GloError: no logger tensorbord
      did you mean tensorboard?
    """
    for name in names:
        if name not in OPENINGS:
            raise GloError(f"no logger {name}", hint=did_you_mean(name, OPENINGS) or f"there are {', '.join(OPENINGS)}")
        missing = [module for module in _modules(name) if find_spec(module) is None]
        if missing:
            raise GloError(f"the logger {name} needs {missing[0]}", hint=f"pip install 'glo-dsl[{name}]'")


def _modules(name: str) -> tuple[str, ...]:
    """What is imported."""
    if name == "mlflow" and "MLFLOW_TRACKING_URI" not in os.environ:
        return "mlflow", "sqlalchemy", "alembic"  # for its local store
    return (name,)

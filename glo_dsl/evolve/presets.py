"""What a strategy sets besides its own options: how its candidates are trained."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

_PAPER = {"rates": "task", "rungs": (1.0,), "search_seeds": 1, "tune_generations": 0}

PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "islands": {},
        "nsga2": {"finalists": 6, "tune_generations": 0},  # a front is shown; coefficients on every node would end it
        "glo": _PAPER,  # one training at one learning rate; its own CMA-ES comes after the trees
        "taylor": _PAPER,
        "constants": {"search_seeds": 4, "rungs": (1.0,), "rate_factors": (1.0,), "tune_generations": 0},
    }
)
"""Values in the place of the defaults of `Config`, by strategy."""

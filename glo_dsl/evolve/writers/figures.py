"""The figures of a search that are logged, and what they are called."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from glo_dsl.evolve.compare import welch
from glo_dsl.evolve.config import Config
from glo_dsl.evolve.progress import Progress
from glo_dsl.evolve.verify import Outcome


def figures_of(step: Progress, trainings_per_second: float | None) -> dict[str, float]:
    """Of a generation; what is not known is left out."""
    found = {
        "best": step.best,
        "median": None if step.generation is None else step.generation.median,
        "trainings_per_second": trainings_per_second,
        "never_trained": step.untrained / step.proposals if step.proposals else None,
        "rung_correlation": None if step.agreement is None else step.agreement.correlation,
    }
    return _finite(found)


def result_of(outcome: Outcome) -> dict[str, float]:
    """Of the finalists and the baseline on the test data; p is Welch's."""
    found: dict[str, float | None] = {}
    for entry in (outcome.baseline, *outcome.entries):
        result, name = entry.result, f"test/{entry.result.name}"
        found |= {f"{name}/mean": result.mean, f"{name}/standard_error": result.standard_error}
        if entry is not outcome.baseline:
            found[f"{name}/welch_p"] = welch(outcome.baseline.result, result)
    return _finite(found)


def settings_of(config: Config) -> dict[str, str]:
    """Names and values as texts, without the text of the space; tables by dotted names."""
    found = config.as_json()
    del found["space"]
    return dict(_flat(found, ""))


def _flat(table: Mapping[str, Any], prefix: str) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for name, value in table.items():
        if isinstance(value, Mapping):
            pairs += _flat(value, f"{prefix}{name}.")
        else:
            pairs.append((f"{prefix}{name}", value if isinstance(value, str) else json.dumps(value)))
    return pairs


def _finite(found: Mapping[str, float | None]) -> dict[str, float]:
    return {name: float(value) for name, value in found.items() if value is not None and math.isfinite(value)}

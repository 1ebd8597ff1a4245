"""Requests packed into units of work, and the results of units unpacked into evaluations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from glo_dsl.errors import GloError
from glo_dsl.evolve.evaluator import remember
from glo_dsl.evolve.request import Request, Schedule
from glo_dsl.evolve.store.rows import Evaluation, Unit
from glo_dsl.lang.restate import restated

MODELS = 40
"""Networks of a unit: enough to fill a matrix product, few enough to keep every core busy."""


def units_of(missing: Sequence[Request], schedule: Schedule) -> list[dict[str, Any]]:
    """Requests in parts of nearly equal size."""
    count = len(missing) if schedule.slopes else -(-len(missing) * len(schedule.seeds) // MODELS)
    ends = [len(missing) * n // max(count, 1) for n in range(count + 1)]
    return [unit_of(missing[a:b], schedule) for a, b in pairwise(ends) if a < b]


def unit_of(requests: Sequence[Request], schedule: Schedule) -> dict[str, Any]:
    """The payload of a unit; see `Trainer`. Those of this process are spared the reading of its texts."""
    texts = [restated(request.loss) for request in requests]
    for request, text in zip(requests, texts):
        remember(text, request.loss)
    return {
        "jobs": [{"key": r.key.hex(), "text": text, "rate": r.rate} for r, text in zip(requests, texts)],
        "seeds": list(schedule.seeds), "steps": list(schedule.steps), "part": schedule.part, "keep": schedule.keep,
        **({"slopes": True} if schedule.slopes else {}), **({"attack": schedule.attack} if schedule.attack else {}),
    }  # fmt: skip


def evaluations_of(unit: Unit, result: dict[str, Any]) -> list[Evaluation]:
    """What a unit has given, as a study keeps it."""
    found, seeds = [], unit.payload["seeds"]
    each = result["seconds"] / max(1, len(unit.payload["jobs"]) * len(seeds))
    slopes = result.get("slopes") or [None] * len(seeds)
    for job, scores in zip(unit.payload["jobs"], result["scores"]):
        for steps, metric, *more in scores:
            for seed, value, slope, harmed in zip(seeds, metric, slopes, more[0] if more else [None] * len(seeds)):
                reason = "" if value is not None else "diverged"
                key = bytes.fromhex(job["key"])
                metrics = {"slopes": slope, "attacked": harmed}
                known = {name: figure for name, figure in metrics.items() if figure is not None}
                found.append(Evaluation(key, seed, steps, value, known, reason, each))
    return found


def slopes_of(evaluation: Evaluation) -> tuple[float, ...]:
    """Those that are on record; none for a network that has none. Raises GloError where something else is."""
    found: Any = evaluation.metrics.get("slopes", [])
    if not isinstance(found, list) or not all(type(s) in (int, float) for s in found):
        raise GloError(f"the study holds {found!r:.60}, which are no slopes", hint="restore a copy of it")
    return tuple(map(float, found))


def attacked_of(evaluation: Evaluation) -> float:
    """The metric under attack that is on record; NaN for a network that has none, as one that has diverged."""
    found: Any = evaluation.metrics.get("attacked", math.nan)
    if type(found) not in (int, float):
        raise GloError(f"the study holds {found!r:.60}, which is no metric", hint="restore a copy of it")
    return float(found)

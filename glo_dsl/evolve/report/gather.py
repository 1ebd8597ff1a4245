"""A search, read from its study without writing, whether it has ended, is running, or was interrupted."""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from glo_dsl.errors import GloError
from glo_dsl.evolve.compare import Grid, Result, welch
from glo_dsl.evolve.config import Config, from_json
from glo_dsl.evolve.cost import networks_of
from glo_dsl.evolve.report.story import About, Asked, Generation, Loss, Outcome, State, Story
from glo_dsl.evolve.store.records import Records
from glo_dsl.evolve.store.rows import Event, Unit

ALONE = ", alone"
STAGES = {
    "search": "searching", "leaders": "looking at the leaders again", "rates": "finding learning rates",
    "constants": "tuning constants", "confirm": "validating the finalists on many seeds",
    "test": "measuring on test data",
}  # fmt: skip
"""What the last question of a study says that its search was at."""

MOST = 1e12
"""No figure of a search is as large."""

Scored = Mapping[int, float]
"""Mean fitness after so many steps, at the best of the learning rates."""

Scores = Mapping[str, Scored]
"""By the text of a loss that was trained."""


def gathered(records: Records) -> Story:
    """The story of a study.

    Raises:
        GloError: it cannot be read, or holds what no search writes.
    """
    try:
        return _gathered(records)
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise GloError(
            f"the study holds what no search writes ({type(error).__name__}: {error})",
            hint="it is damaged, or of another version of glo-dsl; restore a copy, or search again",
        ) from None


def _gathered(records: Records) -> Story:
    config = from_json(records.config())
    events = records.events(("ask", "tell", "result"))  # first: what comes later by a search that runs is left out
    asks = [event for event in events if event.kind == "ask"]
    units = [records.units(n) for n in range(len(asks))]
    steps = next((tuple(u.payload["steps"]) for some in units for u in some if u.payload["steps"]), ())
    scores = _scores(records, config, steps, units)
    results = [event.payload for event in events if event.kind == "result"]
    state: State = "ended" if results else "running" if records.driver().drives(time.time()) else "interrupted"
    purpose = str(asks[-1].payload["purpose"]).removesuffix(ALONE) if asks else "search"
    return Story(
        config, _about(records.noted("search")), state, STAGES.get(purpose, purpose), steps,
        tuple(_generations(records, events, units, scores)), _outcome(results[-1]) if results else None,
    )  # fmt: skip


def _about(noted: object) -> About:
    if not isinstance(noted, dict):
        return About()
    versions = {str(name): str(version) for name, version in noted["versions"].items()}
    return About(str(noted["metric"]), int(noted["outputs"]), str(noted["baseline"]), versions)


def _scores(records: Records, config: Config, steps: Sequence[int], units: Sequence[Sequence[Unit]]) -> Scores:
    """What the trainings of the strategy gave; each loss at the better of its learning rates."""
    seeds = config.seeds("search")
    texts: dict[bytes, list[str]] = defaultdict(list)
    for unit in (unit for some in units for unit in some if tuple(unit.payload["seeds"]) == seeds):
        for job in unit.payload["jobs"]:
            texts[bytes.fromhex(job["key"])].append(str(job["text"]))
    found: dict[str, dict[int, float]] = defaultdict(dict)
    for rung in steps:
        known = records.known(texts, seeds, rung)
        for key, owners in texts.items():
            each = [known.get((key, seed)) for seed in seeds]
            if all(each):
                mean = _finite(sum((e.fitness if e and e.fitness is not None else 0.0) for e in each) / len(each))
                for text in owners:
                    found[text][rung] = max(mean, found[text].get(rung, -math.inf))
    return found


def _generations(
    records: Records, events: Sequence[Event], units: Sequence[Sequence[Unit]], scores: Scores
) -> Iterator[Generation]:
    """Questions are numbered by the store; those of the strategy are followed by what it was told."""
    by_question: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in records.candidates():
        by_question[row["generation"]].append(row)
    every = [row for rows in by_question.values() for row in rows]
    classes = {row["class"]: scores[row["text"]] for row in every if row["class"] and row["text"] in scores}
    question, trainings, count, found = -1, 0, 0, 0
    rows: list[dict[str, Any]] = []
    dropped, before = Counter[str](), Counter[str]()
    for event in events:
        if event.kind == "ask":
            question += 1
            trainings += sum(map(networks_of, units[question]))
            rows = by_question[question] or rows
            dropped = Counter({str(k): int(n) for k, n in event.payload.get("dropped", dropped).items()})
        elif event.kind == "tell":
            told = zip(rows, event.payload["fitness"], strict=True)
            asked = [_asked(count + n, found, row, fitness, classes) for n, (row, fitness) in enumerate(told)]
            yield Generation(found, trainings, tuple(asked), dropped - before)
            count, found, before = count + len(asked), found + 1, dropped


def _asked(
    number: int, generation: int, row: Mapping[str, Any], fitness: float | None, classes: Mapping[bytes, Scored]
) -> Asked:
    origin = row["origin"]
    fate = row["verdict"] or ("trained" if fitness is not None else "failed")
    parents = tuple(int(n) for n in origin["parents"])
    score = None if fitness is None else _finite(fitness)
    return Asked(
        number, generation, str(row["text"]), str(origin["origin"]), parents, int(row["complexity"]), str(fate), score,
        classes.get(row["class"], {}),
    )  # fmt: skip


def _outcome(payload: Mapping[str, Any]) -> Outcome:
    baseline, *finalists = [_loss(row) for row in payload["losses"]]
    if not finalists:
        raise ValueError("a result without a loss")
    compared = tuple(Loss(f.name, f.text, f.restated, f.complexity, f.result, _p(baseline, f)) for f in finalists)
    return Outcome(baseline, compared, int(payload["trainings"]), int(payload["in_all"]))


def _loss(row: Mapping[str, Any]) -> Loss:
    rates, fitness = (tuple(map(_finite, side)) for side in row["grid"])
    test = tuple(map(_finite, row["test"]))
    if len(rates) != len(fitness) or not rates or min(rates) <= 0 or len(test) < 2:
        raise ValueError(f"the figures of {row['name']!r:.60}")
    attacked = tuple(map(_finite, row.get("attacked", ())))
    if attacked and len(attacked) != len(test):
        raise ValueError(f"the figures of {row['name']!r:.60}")
    result = Result(str(row["name"]), Grid(rates, fitness), test, int(row["diverged"]), attacked)
    return Loss(result.name, str(row["text"]), str(row["restated"]), int(row["complexity"]), result)


def _finite(value: float) -> float:
    """A number that can be drawn and squared."""
    if not abs(float(value)) < MOST:
        raise ValueError(f"{value!r:.60} among the figures")
    return float(value)


def _p(baseline: Loss, finalist: Loss) -> float | None:
    if not baseline.result.standard_error and not finalist.result.standard_error:
        return None
    return welch(baseline.result, finalist.result)

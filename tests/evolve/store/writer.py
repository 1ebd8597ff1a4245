"""A process that drives a study if nobody else does, works on it otherwise, and notes what it was promised.

A line of its notes, written after the call has returned, is an evaluation (class, seed, fitness) or an event
(n, payload) that must not be lost from then on.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator

from glo_dsl.errors import GloError
from glo_dsl.evolve.store.rows import Candidate, Evaluation, Unit
from glo_dsl.evolve.store.study import Study

UNITS, SEEDS = 6, 3
NO_LIMIT = 1_000_000  # units are lost to kills here, through no fault of their own


def payloads(generation: int) -> list[dict[str, object]]:
    return [{"classes": [f"{generation:06x}{unit:02x}{k:02x}" for k in range(2)]} for unit in range(UNITS)]


def evaluations(payload: dict[str, list[str]]) -> Iterator[Evaluation]:
    """What training would give: chance that the class and the seed decide."""
    for name in payload["classes"]:
        for seed in range(SEEDS):
            yield Evaluation(bytes.fromhex(name), seed, 0, random.Random(f"{name} {seed}").random())


def work(study: Study, unit: Unit, notes: int) -> None:
    found = list(evaluations(unit.payload))
    study.finish(unit.id, unit.attempt, found)
    lines = [json.dumps([e.gradient_class.hex(), e.seed, e.fitness]) + "\n" for e in found]
    os.write(notes, "".join(lines).encode())


def drive(study: Study, notes: int) -> None:
    """Begins a generation when there is nothing to do."""
    n = study.record("tell", "so far")
    os.write(notes, (json.dumps([n, "so far"]) + "\n").encode())
    generation = n  # grows from one to the next
    names = [name for payload in payloads(generation) for name in payload["classes"]]  # type: ignore[attr-defined]
    candidates = [Candidate(f"loss of {name}", "drawn", bytes.fromhex(name), 1) for name in names]
    study.begin(generation, {"generation": generation}, candidates, payloads(generation))


def write(directory: str, path: str) -> None:
    """Goes on until it is killed."""
    notes = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    drives = False
    with Study.open(directory) as study:
        while True:
            if not drives:
                try:
                    study.take()
                    drives = True
                except GloError:
                    pass
            unit = study.claim(f"process {os.getpid()}", 0.2, NO_LIMIT)
            if unit:
                work(study, unit, notes)
            elif drives:
                drive(study, notes)

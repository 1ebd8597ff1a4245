"""A study and what is written to it, a clock that stands still, and processes of every kind."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from glo_dsl.evolve.store.process import Process, this_process
from glo_dsl.evolve.store.rows import Evaluation
from glo_dsl.evolve.store.study import Study


class Clock:
    """Seconds that go by when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def evaluations(gradient_class: bytes, *fitness: float | None, rung: int = 0) -> list[Evaluation]:
    return [
        Evaluation(gradient_class, seed, rung, value, {"loss": 0.5}, "" if value is not None else "diverged", 0.25)
        for seed, value in enumerate(fitness)
    ]


def work(*jobs: tuple[str, str, float], part: str = "validation") -> dict[str, object]:
    """The payload of a unit as a search has it; jobs are key, text and rate."""
    return {"jobs": [{"key": key, "text": text, "rate": rate} for key, text, rate in jobs], "part": part}


def finished(study: Study, found: list[Evaluation], payload: object = "all") -> None:
    """As a generation of one unit with these evaluations."""
    study.begin(study.record("next", None), {}, [], [payload])
    unit = study.claim("here", 60)
    assert unit is not None and study.finish(unit.id, unit.attempt, found)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def study(tmp_path: Path, clock: Clock) -> Iterator[Study]:
    """One that this process drives."""
    with Study.create(tmp_path / "study", {"task": "digits"}, clock) as made:
        made.take()
        yield made


@pytest.fixture(scope="session")
def dead() -> Process:
    """A process that has ended, as its number shows."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    here = this_process()
    return Process(here.host, here.machine, child.pid, here.started)


@pytest.fixture
def elsewhere() -> Process:
    """A process of which nothing can be seen from here."""
    return Process("far.example.org", "another machine", 77, "123")

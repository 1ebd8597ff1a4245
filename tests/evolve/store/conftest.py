"""A study, a clock that stands still, and processes of every kind."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from glo_dsl.evolve.store.process import Process, this_process
from glo_dsl.evolve.store.study import Study


class Clock:
    """Seconds that go by when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


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

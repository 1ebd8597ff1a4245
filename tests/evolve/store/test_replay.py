"""What the events say is enough: a search that is stopped after any of its steps goes on as if it had not been."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from glo_dsl.evolve.store.process import Process, this_process
from glo_dsl.evolve.store.rows import Candidate, Evaluation, Event
from glo_dsl.evolve.store.study import Study
from tests.evolve.store.conftest import Clock

HERE = this_process()
DEAD = Process(HERE.host, HERE.machine, HERE.pid, "1")


class Chain:
    """Asks for what all that it was told makes of it."""

    def __init__(self, seed: int, size: int) -> None:
        self.state, self.size = str(seed), size

    def ask(self) -> list[str]:
        return [hashlib.md5(f"{self.state} {k}".encode()).hexdigest()[:2] for k in range(self.size)]

    def tell(self, fitness: Sequence[float | None]) -> None:
        self.state = hashlib.md5(f"{self.state} {list(fitness)}".encode()).hexdigest()


def payload(name: str) -> dict[str, object]:
    return {"jobs": [{"key": name, "text": name, "rate": 0.1}], "part": "validation"}


class Stop(Exception):
    """The process is killed here."""


class Search:
    """The smallest that there is: every step is one write, and what it goes on from is read from the study."""

    def __init__(self, study: Study, seed: int, size: int, steps: int) -> None:
        self.study, self.strategy, self.steps = study, Chain(seed, size), steps
        study.take()
        self.generation = 0
        for event in study.events(["tell"]):
            self.strategy.tell(event.payload)
            self.generation += 1

    def step(self) -> None:
        if not self.steps:
            raise Stop
        self.steps -= 1

    def run(self, generations: int) -> list[Event]:
        while self.generation < generations:
            names = self.strategy.ask()
            classes = [bytes.fromhex(name) for name in names]
            if len(self.study.events(["ask"])) == self.generation:
                self.step()
                new = sorted(set(classes) - {c for c, _ in self.study.known(classes, [0], 0)})
                candidates = [Candidate(name, "chain", c, 1) for name, c in zip(names, classes)]
                self.study.begin(self.generation, names, candidates, [payload(c.hex()) for c in new])
            self.work()
            self.step()
            known = self.study.known(classes, [0], 0)
            fitness = [known[c, 0].fitness for c in classes]
            self.study.record("tell", fitness)
            self.strategy.tell(fitness)
            self.generation += 1
        return self.study.events()

    def work(self) -> None:
        while unit := self.study.claim("here", 60):
            self.step()
            c = bytes.fromhex(unit.payload["jobs"][0]["key"])
            lucky = c[0] % 3 > 0
            found = Evaluation(c, 0, 0, c[0] / 7 if lucky else None, reason="" if lucky else "diverged")
            assert self.study.finish(unit.id, unit.attempt, [found])


@settings(max_examples=25)
@given(
    seed=st.integers(0, 99),
    size=st.integers(1, 4),
    generations=st.integers(1, 4),
    stops=st.lists(st.integers(0, 9), max_size=4),
)
def test_stopped_anywhere_is_as_never_stopped(seed: int, size: int, generations: int, stops: list[int]) -> None:
    place = Path(tempfile.mkdtemp(prefix="glo-study-"))
    clock = Clock()
    try:
        with Study.create(place / "through", {}, clock) as study:
            want = Search(study, seed, size, 1000).run(generations)
            rows = study.candidates()
            assert all(len(row["evaluations"]) == 1 for row in rows)
        Study.create(place / "stopped", {}, clock).close()
        left = []
        for steps in stops:
            left.append(study := Study.open(place / "stopped", clock, DEAD))  # never closed: as if killed
            try:
                Search(study, seed, size, steps).run(generations)
            except Stop:
                events = study.events()
                assert events == want[: len(events)]
        with Study.open(place / "stopped", clock) as study:
            assert Search(study, seed, size, 1000).run(generations) == want
            assert study.candidates() == rows
            assert max((u.attempt for g in range(generations) for u in study.units(g)), default=1) <= 1 + len(stops)
        for study in left:
            study.close()
    finally:
        shutil.rmtree(place)

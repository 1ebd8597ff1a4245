"""Two processes write one study and are killed at any moment: what they were promised is there, and the rest goes on.

`GLO_KILLS=100` kills a hundred times.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import time
from pathlib import Path
from typing import Any

from glo_dsl.evolve.store.records import Records
from glo_dsl.evolve.store.study import Study
from tests.evolve.store.writer import NO_LIMIT, SEEDS, UNITS, evaluations, write

KILLS = int(os.environ.get("GLO_KILLS", "10"))
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["__main__", "tests.evolve.store.writer"])


class Writer:
    def __init__(self, study: Path, notes: Path) -> None:
        self.notes = notes
        # forked off a process that has imported what there is to import, and has nothing open
        self.process = PROCESSES.Process(target=write, args=(str(study), str(notes)))
        self.process.start()

    def is_busy(self) -> bool:
        return self.notes.exists() and self.notes.stat().st_size > 500

    def kill(self) -> None:
        self.process.kill()
        self.process.join()
        assert self.process.exitcode == -9  # it was still at work, and had nothing to complain of


def promised(notes: Path) -> tuple[dict[tuple[str, int], float], dict[int, Any]]:
    """The evaluations and the events in the notes of a writer. Its last line may have been cut by the kill."""
    lines = [json.loads(line) for line in notes.read_text().splitlines(keepends=True) if line.endswith("\n")]
    return {(c, seed): f for c, seed, f in (line for line in lines if len(line) == 3)}, {
        line[0]: line[1] for line in lines if len(line) == 2
    }


def test_no_kill_takes_what_was_promised(tmp_path: Path) -> None:
    place, chance = tmp_path / "study", random.Random(os.environ.get("GLO_KILLS"))
    Study.create(place, {}).close()
    kept: dict[tuple[str, int], float] = {}
    events: dict[int, Any] = {}
    writers: list[Writer] = []
    for kill in range(KILLS):  # of two writers one is replaced, in turn: now the driver, now the one who takes over
        while len(writers) < 2:
            writers.append(Writer(place, tmp_path / f"notes {kill} {len(writers)}"))
        deadline = time.monotonic() + 60
        while not all(writer.is_busy() for writer in writers):
            assert time.monotonic() < deadline and all(writer.process.is_alive() for writer in writers)
            time.sleep(0.002)
        time.sleep(chance.random() * 0.03)
        one = writers.pop(chance.randrange(2))
        one.kill()
        mine = promised(one.notes)
        kept |= mine[0]
        events |= mine[1]
        with Records.open(place) as records:  # while the other goes on
            check(records, *mine)
    for writer in writers:
        writer.kill()
        kept |= promised(writer.notes)[0]
    with Records.open(place) as records:
        check(records, kept, events)
        token = records.driver().token
    assert len(kept) > 5 * KILLS and len(events) > 1 and token > 1
    goes_on_to_the_end(place)


def check(records: Records, kept: dict[tuple[str, int], float], events: dict[int, Any]) -> None:
    records.check()
    known = records.known([bytes.fromhex(c) for c, _ in kept], range(SEEDS), 0)
    lost = {key for key, fitness in kept.items() if known[bytes.fromhex(key[0]), key[1]].fitness != fitness}
    assert not lost
    log = records.events()
    assert [e.n for e in log] == list(range(1, len(log) + 1))
    assert {n: log[n - 1].payload for n in events} == events
    begun = {e.payload["generation"] for e in log if e.kind == "ask"}
    assert len(records.units(max(begun, default=0))) in (0, UNITS)  # whole generations only


def goes_on_to_the_end(place: Path) -> None:
    """All work that was begun ends, in one more process and once the leases of the dead have ended."""
    with Study.open(place, clock=lambda: time.time() + 1000) as study:
        study.take()
        while unit := study.claim("the last", 60, NO_LIMIT):
            assert study.finish(unit.id, unit.attempt, list(evaluations(unit.payload)))
        begun = [e.payload["generation"] for e in study.events(["ask"])]
        units = [unit for generation in begun for unit in study.units(generation)]
        assert study.work() == {"done": len(units)} and len(units) == UNITS * len(begun) > 0
        wanted = {(e.gradient_class, e.seed): e.fitness for unit in units for e in evaluations(unit.payload)}
        found = study.known({c for c, _ in wanted}, range(SEEDS), 0)
        assert {key: e.fitness for key, e in found.items()} == wanted
        study.check()

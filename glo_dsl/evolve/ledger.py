"""The book of a search: what it decides is written down before it is done, and what is written is not done again.

A search is a function of its configuration and of the results of trainings, both of which a study holds. To resume one
it is run again from the start: each event that it would record is compared with the one that is there, each training
that is there is read, and only where the book ends new work begins. So there is no state to lose: one that is saved,
see `checkpoint`, saves the time of going through the book, and may be missing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any

from glo_dsl.errors import GloError
from glo_dsl.evolve.cost import networks_of
from glo_dsl.evolve.executors.executor import Executor, Finished
from glo_dsl.evolve.packing import attacked_of, evaluations_of, slopes_of, unit_of, units_of
from glo_dsl.evolve.request import Measured, Request, Schedule, digest_of
from glo_dsl.evolve.store.plain_json import encode
from glo_dsl.evolve.store.rows import Candidate, Event, Unit
from glo_dsl.evolve.store.study import Study

FOREVER = 3.0e9
"""Seconds of a lease that ends with the driver."""

BEAT = 2.0
"""Seconds after which a driver shows that it lives."""


class Ledger:
    """The book of one study; used by the one process that drives it.

    `told` is called after every unit with what it was and gave; `stop` is asked between units, and ends the search by
    raising.

    Attributes:
        trainings: networks of all units so far, whether they have ended or not.
        finished: of those that have. fresh: of those that have since this process drives.
        units: how many of the last evaluation have ended, and all, while it is at work; else (0, 0).
        begun: the keys of its requests that were not known.
    """

    def __init__(
        self, study: Study, executor: Executor, told: Callable[[Unit, Finished], None] = lambda *_: None,
        stop: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        self.study, self._executor, self._told, self._stop = study, executor, told, stop
        self.workers = executor.capacity
        self._events = study.events()
        self._digest = blake2b(digest_size=16)
        self._place = 0
        self._generation = 0
        self._written = len(self._events)
        self.trainings = self.finished = self.fresh = 0
        self.units = 0, 0
        self.begun: frozenset[bytes] = frozenset()

    @property
    def replayed(self) -> tuple[int, int]:
        """Events of the book that have come again, and all that it had when it was opened."""
        return min(self._place, self._written), self._written

    @property
    def replaying(self) -> bool:
        """Whether what comes next is in the book already."""
        return self._place < len(self._events)

    def stored(self, kind: str) -> Any:
        """The payload of the event that comes next, or None where the book ends.

        Raises:
            GloError: it is of another kind.
        """
        if not self.replaying:
            return None
        event: Event = self._events[self._place]
        if event.kind != kind:
            raise _differs(event, kind)
        return event.payload

    def record(self, kind: str, payload: dict[str, Any]) -> None:
        """Writes an event down, or finds it in the book.

        Raises:
            GloError: another one is there.
        """
        self._agree(kind, payload)
        if self._place == len(self._events):
            self.study.record(kind, payload)
            self._events.append(Event(self._place + 1, kind, payload))
        self._turn()

    def state(self) -> dict[str, Any]:
        """Where it is open, for `jump`; as JSON has it."""
        return {
            "place": self._place, "generation": self._generation, "trainings": self.trainings,
            "finished": self.finished, "digest": self._digest.hexdigest(),
        }  # fmt: skip

    def jump(self, state: dict[str, Any]) -> None:
        """Opens the book where one was open that had this state.

        Raises:
            LookupError, TypeError, ValueError: it is no state, or not one of this book.
        """
        place = int(state["place"])
        if not self._place <= place <= len(self._events):
            raise ValueError(f"the book has no place {place}")
        while self._place < place:
            self._turn()
        if self._digest.hexdigest() != state["digest"]:
            raise ValueError("the book begins with other events")
        self._generation, self.trainings = int(state["generation"]), int(state["trainings"])
        self.finished = int(state["finished"])

    def evaluate(
        self, purpose: str, requests: Sequence[Request], schedule: Schedule,
        candidates: Callable[[], Sequence[Candidate]] = tuple, note: dict[str, Any] | None = None,
    ) -> list[Measured]:  # fmt: skip
        """What is known of each request in the end, having trained what nobody has trained before.

        `candidates`, which are called for if they are not in the book yet, and `note` are put on record with it.
        """
        payload = {"purpose": purpose, "requests": digest_of(requests, schedule), **(note or {})}
        self._begin(payload, candidates, lambda: units_of(self._missing(requests, schedule), schedule))
        self.begun = frozenset()
        failed = self._work()
        alone = [request for request in requests if request.key.hex() in failed]
        if alone and schedule.steps and not purpose.endswith("alone"):
            # One of them spoils a unit; which one, they show when each has a unit of its own.
            alone = list({request.key: request for request in alone}.values())
            self._begin(
                {"purpose": f"{purpose}, alone", "requests": digest_of(alone, schedule)}, tuple,
                lambda: [unit_of([request], schedule) for request in alone],
            )  # fmt: skip
            failed = self._work()
        return self._measured(requests, schedule, failed)

    def _begin(
        self, payload: dict[str, Any], candidates: Callable[[], Sequence[Candidate]],
        units: Callable[[], list[dict[str, Any]]],
    ) -> None:  # fmt: skip
        self._agree("ask", payload)
        if self._place == len(self._events):
            self.study.begin(self._generation, payload, candidates(), units())
            self._events.append(Event(self._place + 1, "ask", payload))
        self._turn()
        self._generation += 1

    def _turn(self) -> None:
        """To the next event."""
        event = self._events[self._place]
        self._digest.update(encode([event.kind, event.payload]).encode())
        self._place += 1

    def _agree(self, kind: str, payload: dict[str, Any]) -> None:
        there = self.stored(kind)
        if there is not None and there != payload:
            raise _differs(self._events[self._place], kind)

    def _missing(self, requests: Sequence[Request], schedule: Schedule) -> list[Request]:
        different = {request.key: request for request in requests}
        known = self.study.known(different, schedule.seeds, schedule.steps[0])
        return [r for key, r in different.items() if any((key, seed) not in known for seed in schedule.seeds)]

    def _work(self) -> dict[str, str]:
        """Does the units of the last generation that are not done; why those of them failed that did, by key."""
        generation = self._generation - 1
        units = {unit.id: unit for unit in self.study.units(generation)}
        self.begun |= {bytes.fromhex(job["key"]) for unit in units.values() for job in unit.payload["jobs"]}
        self.trainings += sum(map(networks_of, units.values()))
        ended = [unit for unit in units.values() if unit.state in ("done", "failed")]
        self.finished += sum(map(networks_of, ended))
        if len(ended) < len(units):
            self.units = len(ended), len(units)
            self._drain()
            self.units = 0, 0
            units = {unit.id: unit for unit in self.study.units(generation)}
        return {job["key"]: u.reason for u in units.values() if u.state == "failed" for job in u.payload["jobs"]}

    def _drain(self) -> None:
        """Hands out units until there are none."""
        flight: dict[int, Unit] = {}
        beat = time.monotonic()
        while True:
            while len(flight) < 2 * self._executor.capacity:
                unit = self.study.claim("driver", FOREVER)
                if unit is None:
                    break
                flight[unit.id] = unit
                self._executor.submit(unit.id, unit.payload)
            if not flight:
                return
            for finished in self._executor.finished(wait=BEAT):
                self._end(flight.pop(finished.number), finished)
            self._stop()
            if time.monotonic() - beat > BEAT:
                self.study.heartbeat()
                beat = time.monotonic()

    def _end(self, unit: Unit, finished: Finished) -> None:
        if finished.kind == "done":
            self.study.finish(unit.id, unit.attempt, evaluations_of(unit, finished.result))
        else:
            self.study.fail(unit.id, unit.attempt, f"{finished.kind}: {finished.failure}", most_failures=1)
        self.finished += networks_of(unit)
        self.fresh += networks_of(unit)
        self.units = self.units[0] + 1, self.units[1]
        self._told(unit, finished)

    def _measured(self, requests: Sequence[Request], schedule: Schedule, failed: dict[str, str]) -> list[Measured]:
        """The last rung that each request has reached."""
        found: dict[bytes, Measured] = {}
        keys = list({request.key for request in requests})
        for steps in schedule.steps:
            known = self.study.known(keys, schedule.seeds, steps)
            for key in keys:
                each = [known.get((key, seed)) for seed in schedule.seeds]
                if all(e is not None for e in each):
                    metric = tuple(float("nan") if e is None or e.fitness is None else e.fitness for e in each)
                    slopes = tuple(s for e in each if e is not None and (s := slopes_of(e)))
                    before = found.get(key, Measured(0, (), "not trained"))
                    first = before.fitness if before.first is None else before.first
                    attacked = tuple(attacked_of(e) for e in each if e is not None) if schedule.attack else ()
                    found[key] = Measured(steps, metric, first=first, slopes=slopes, attacked=attacked)
        lost = {key: Measured(0, (), failed.get(key.hex(), "not trained")) for key in keys if key not in found}
        return [(found | lost)[request.key] for request in requests]


def _differs(event: Event, kind: str) -> GloError:
    return GloError(
        f"the study has another history: its event {event.n} is {event.kind!r}, and not what this {kind!r} would be",
        hint="it was begun by another version of glo-dsl, or of the libraries that it computes with",
    )

"""The book of a search: what it decides is written down before it is done, and what is written is not done again.

A search is a function of its configuration and of the results of trainings, both of which a study holds. To resume one
it is run again from the start: each event that it would record is compared with the one that is there, each training
that is there is read, and only where the book ends new work begins. So there is no state to save, and none to lose.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from glo_dsl.errors import GloError
from glo_dsl.evolve.evaluator import PartName, remember
from glo_dsl.evolve.executors.executor import Executor, Finished
from glo_dsl.evolve.store.rows import Candidate, Evaluation, Event, Unit
from glo_dsl.evolve.store.study import Study
from glo_dsl.lang.loss import Loss
from glo_dsl.lang.restate import restated

MODELS = 40
"""Networks of a unit: enough to fill a matrix product, few enough to keep every core busy."""

SLOPES = 12
"""What a training with its derivatives counts as, in trainings without. By CPU time it is 11 to 15 for six networks on
digits, 6 for 24 and up to 25 for three of a long loss (benchmarks/constants.py)."""

FOREVER = 3.0e9
"""Seconds of a lease that ends with the driver."""

BEAT = 2.0
"""Seconds after which a driver shows that it lives."""


@dataclass(frozen=True)
class Request:
    """A training that is wanted.

    Attributes:
        key: names all trainings that come to the same: see `key_of`.
        loss: what is trained. rate: the learning rate.
    """

    key: bytes
    loss: Loss
    rate: float


@dataclass(frozen=True)
class Schedule:
    """How requests are trained: networks of these seeds, judged on a part after so many steps, of which a share goes on
    after each but the last. With `slopes`, derivatives of one rung by the parameters of each loss are asked for too."""

    seeds: tuple[int, ...]
    steps: tuple[int, ...]
    part: PartName = "validation"
    keep: float = 0.5
    slopes: bool = False


@dataclass(frozen=True)
class Measured:
    """What is known of a request: the metric of every seed, NaN where the network has diverged, after so many steps; or
    why there is none. `first`: the fitness at the first rung, for one that has gone on after it. `slopes`: those of
    every seed as `Trainer` has them, where they were asked for and exist."""

    steps: int
    metric: tuple[float, ...]
    reason: str = ""
    first: float | None = None
    slopes: tuple[tuple[float, ...], ...] = ()

    @property
    def fitness(self) -> float | None:
        """The mean, in which a network that has diverged counts as one that has learnt nothing."""
        if self.reason:
            return None
        return sum(0.0 if m != m else m for m in self.metric) / len(self.metric)

    @property
    def worth(self) -> float:
        """The fitness, and less than any where there is none: the metric of a task may be below 0."""
        return -math.inf if self.fitness is None else self.fitness

    @property
    def rank(self) -> tuple[int, float]:
        """The further, the better; then the fitter."""
        return self.steps, self.worth


def key_of(gradient_class: bytes, step_size: float, part: str) -> bytes:
    """What two trainings have in common that come to the same: gradients up to a factor, the learning rate times that
    factor, and the data that they are judged on. Seeds and steps are named beside it."""
    text = gradient_class + f"|{step_size:.6g}|{part}".encode()
    return hashlib.blake2b(text, digest_size=16).digest()


def key_of_slopes(text: str, rate: float, part: str) -> bytes:
    """The same for trainings with derivatives, which losses of one gradient do not share: their parameters differ."""
    return hashlib.blake2b(f"slopes|{part}|{rate!r}|{text}".encode(), digest_size=16).digest()


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
        self._place += 1

    def evaluate(
        self, purpose: str, requests: Sequence[Request], schedule: Schedule,
        candidates: Callable[[], Sequence[Candidate]] = tuple, note: dict[str, Any] | None = None,
    ) -> list[Measured]:  # fmt: skip
        """What is known of each request in the end, having trained what nobody has trained before.

        `candidates`, which are called for if they are not in the book yet, and `note` are put on record with it.
        """
        payload = {"purpose": purpose, "requests": _digest(requests, schedule), **(note or {})}
        self._begin(payload, candidates, lambda: _units(self._missing(requests, schedule), schedule))
        self.begun = frozenset()
        failed = self._work()
        alone = [request for request in requests if request.key.hex() in failed]
        if alone and schedule.steps and not purpose.endswith("alone"):
            # One of them spoils a unit; which one, they show when each has a unit of its own.
            alone = list({request.key: request for request in alone}.values())
            self._begin(
                {"purpose": f"{purpose}, alone", "requests": _digest(alone, schedule)}, tuple,
                lambda: [_unit([request], schedule) for request in alone],
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
        self._place += 1
        self._generation += 1

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
        self.trainings += sum(map(_networks, units.values()))
        ended = [unit for unit in units.values() if unit.state in ("done", "failed")]
        self.finished += sum(map(_networks, ended))
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
            self.study.finish(unit.id, unit.attempt, _evaluations(unit, finished.result))
        else:
            self.study.fail(unit.id, unit.attempt, f"{finished.kind}: {finished.failure}", most_failures=1)
        self.finished += _networks(unit)
        self.fresh += _networks(unit)
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
                    slopes = tuple(s for e in each if e is not None and (s := _slopes(e)))
                    before = found.get(key, Measured(0, (), "not trained"))
                    first = before.fitness if before.first is None else before.first
                    found[key] = Measured(steps, metric, first=first, slopes=slopes)
        lost = {key: Measured(0, (), failed.get(key.hex(), "not trained")) for key in keys if key not in found}
        return [(found | lost)[request.key] for request in requests]


def _networks(unit: Unit) -> int:
    """What a unit costs, in trainings without derivatives."""
    return len(unit.payload["jobs"]) * len(unit.payload["seeds"]) * (SLOPES if unit.payload.get("slopes") else 1)


def _units(missing: Sequence[Request], schedule: Schedule) -> list[dict[str, Any]]:
    """Requests in parts of nearly equal size."""
    count = len(missing) if schedule.slopes else -(-len(missing) * len(schedule.seeds) // MODELS)
    ends = [len(missing) * n // max(count, 1) for n in range(count + 1)]
    return [_unit(missing[a:b], schedule) for a, b in pairwise(ends) if a < b]


def _unit(requests: Sequence[Request], schedule: Schedule) -> dict[str, Any]:
    """The payload of a unit; see `Trainer`. Those of this process are spared the reading of its texts."""
    texts = [restated(request.loss) for request in requests]
    for request, text in zip(requests, texts):
        remember(text, request.loss)
    return {
        "jobs": [{"key": r.key.hex(), "text": text, "rate": r.rate} for r, text in zip(requests, texts)],
        "seeds": list(schedule.seeds), "steps": list(schedule.steps), "part": schedule.part, "keep": schedule.keep,
        **({"slopes": True} if schedule.slopes else {}),
    }  # fmt: skip


def _evaluations(unit: Unit, result: dict[str, Any]) -> list[Evaluation]:
    found, seeds = [], unit.payload["seeds"]
    each = result["seconds"] / max(1, len(unit.payload["jobs"]) * len(seeds))
    slopes = result.get("slopes") or [None] * len(seeds)
    for job, scores in zip(unit.payload["jobs"], result["scores"]):
        for steps, metric in scores:
            for seed, value, slope in zip(seeds, metric, slopes):
                reason = "" if value is not None else "diverged"
                key = bytes.fromhex(job["key"])
                metrics = {} if slope is None else {"slopes": slope}
                found.append(Evaluation(key, seed, steps, value, metrics, reason, each))
    return found


def _slopes(evaluation: Evaluation) -> tuple[float, ...]:
    """Those that are on record; none for a network that has none. Raises GloError where something else is."""
    found: Any = evaluation.metrics.get("slopes", [])
    if not isinstance(found, list) or not all(type(s) in (int, float) for s in found):
        raise GloError(f"the study holds {found!r:.60}, which are no slopes", hint="restore a copy of it")
    return tuple(map(float, found))


def _digest(requests: Sequence[Request], schedule: Schedule) -> str:
    """Names what is asked for."""
    digest = hashlib.blake2b(repr(schedule).encode(), digest_size=8)
    for request in requests:
        digest.update(request.key + f"{request.rate!r}".encode())
    return digest.hexdigest()


def _differs(event: Event, kind: str) -> GloError:
    return GloError(
        f"the study has another history: its event {event.n} is {event.kind!r}, and not what this {kind!r} would be",
        hint="it was begun by another version of glo-dsl, or of the libraries that it computes with",
    )

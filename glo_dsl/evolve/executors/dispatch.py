"""Which unit goes to which worker, and what becomes of the units whose worker is lost."""

from __future__ import annotations

import itertools
import os
import pickle
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Protocol, Self

from glo_dsl.errors import GloError
from glo_dsl.evolve.executors.executor import Finished, Kind
from glo_dsl.evolve.executors.worker import Prepared, Trouble


@dataclass(frozen=True)
class News:
    """Of a worker: it is made, or its factory failed; its unit is done, raised, is over the limit; or it is gone.

    `result` is a pickle; `trouble` says what happened otherwise.
    """

    worker: int
    what: Literal["made", "broken", "done", "raised", "timeout", "died"]
    result: bytes = b""
    trouble: Trouble | None = None

    @classmethod
    def answer(cls, worker: int, came: Prepared | bytes | Trouble) -> News:
        """What came back from a call of the worker."""
        if isinstance(came, Prepared):
            return cls(worker, "broken" if came.trouble else "made", trouble=came.trouble)
        return cls(worker, "raised", trouble=came) if isinstance(came, Trouble) else cls(worker, "done", result=came)

    @property
    def last(self) -> bool:
        """Whether the worker is no more after this, or of no use."""
        return self.what in ("broken", "timeout", "died")


class Place(Protocol):
    """Where workers are. They are known by numbers that the dispatcher gives, each used once."""

    def start(self, worker: int) -> None:
        """Begins to make a worker. News of it will come, unless there is no room for it yet."""

    def begin(self, worker: int, payload: bytes) -> None:
        """Puts a worker that is made, and idle, to work."""

    def news(self, wait: float | None) -> list[News]:
        """Blocks until there are some; after `wait` seconds, none."""

    def close(self) -> None:
        """Ends all workers."""


@dataclass
class _Unit:
    number: int
    payload: bytes
    deaths: int = 0


class Dispatch:
    """The executor of a place: it makes as many workers as there are units for, up to `workers`.

    A unit goes to a worker only once that is made: data are loaded outside of its time limit, and on a cluster no unit
    waits for a worker that finds no room while others are idle.
    """

    def __init__(self, place: Place, workers: int, retries: int = 2) -> None:
        self._place, self._workers, self._retries = place, workers, retries
        self._names = itertools.count()
        self._making: set[int] = set()
        self._idle: list[int] = []
        self._busy: dict[int, _Unit] = {}
        self._waiting: deque[_Unit] = deque()
        self._ended: deque[Finished] = deque()
        self._lost = 0  # workers in a row that died while they were made
        self._broken: Trouble | None = None
        self._closed = False

    @property
    def capacity(self) -> int:
        return self._workers

    def submit(self, number: int, payload: Any) -> None:
        if self._closed:
            raise RuntimeError("this executor is closed")
        if any(unit.number == number for unit in (*self._busy.values(), *self._waiting)):
            raise ValueError(f"unit {number} is already in flight")
        try:
            self._waiting.append(_Unit(number, pickle.dumps(payload)))
        except Exception as error:
            raise TypeError(f"the payload of unit {number} cannot be pickled: {error}") from error
        self._advance()

    def finished(self, wait: float | None = None) -> Iterator[Finished]:
        until = float("inf") if wait is None else time.monotonic() + wait
        while not self._ended and (self._busy or self._waiting):
            self._refuse_if_broken()
            heard = self._place.news(None if wait is None else max(0.0, until - time.monotonic()))
            while heard:
                for news in heard:
                    self._hear(news)
                heard = self._place.news(0.0)
            self._advance()
            if time.monotonic() >= until:
                break
        while self._ended:  # one by one: what a caller does not fetch now, the next call yields
            yield self._ended.popleft()

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._place.close()
            self._waiting.clear()
            self._busy.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _advance(self) -> None:
        """Units to idle workers; where units are left over, more workers."""
        while self._waiting and self._idle:
            worker, unit = self._idle.pop(), self._waiting.popleft()
            self._busy[worker] = unit
            self._place.begin(worker, unit.payload)
        if self._broken is not None:
            return
        room = self._workers - len(self._busy) - len(self._making)
        for _ in range(min(room, len(self._waiting) - len(self._making))):
            worker = next(self._names)
            self._making.add(worker)
            self._place.start(worker)

    def _hear(self, news: News) -> None:
        if news.worker in self._making:
            self._making.discard(news.worker)
            self._hear_of_making(news)
            return
        unit = self._busy.pop(news.worker)
        if news.what in ("done", "raised"):
            self._idle.append(news.worker)
        if news.what == "died" and unit.deaths < self._retries:
            unit.deaths += 1
            self._waiting.appendleft(unit)
        else:
            self._ended.append(_end(unit, news))

    def _hear_of_making(self, news: News) -> None:
        if news.what == "made":
            self._lost = 0
            self._idle.append(news.worker)
            return
        self._lost += 1
        if news.what == "broken" or self._lost >= (self._retries + 1) * self._workers:
            self._broken = news.trouble

    def _refuse_if_broken(self) -> None:
        if self._broken is not None:
            raise GloError(f"no worker can be made: {self._broken.failure}") from (
                RuntimeError(self._broken.details) if self._broken.details else None
            )


def _end(unit: _Unit, news: News) -> Finished:
    if news.trouble is None:
        try:
            return Finished(unit.number, "done", pickle.loads(news.result))
        except Exception as error:
            trouble = Trouble.of(error)
            return Finished(
                unit.number, "raised", None, f"the result cannot be read: {trouble.failure}", trouble.details
            )
    failure = news.trouble.failure
    if news.what == "died" and unit.deaths:
        failure += f", the last of {unit.deaths + 1} that were tried"
    kind: Kind = news.what if news.what in ("timeout", "died") else "raised"
    return Finished(unit.number, kind, None, failure, news.trouble.details)


def cores() -> int:
    """How many this process may use.

    >>> cores() >= 1
    True
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

"""Which worker gets which unit, against a place where anything may happen at any time."""

from __future__ import annotations

import pickle
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import repeat
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glo_dsl import GloError
from glo_dsl.evolve.executors.dispatch import Dispatch, News, cores
from glo_dsl.evolve.executors.executor import Finished
from glo_dsl.evolve.executors.worker import Trouble


class Weather:
    """A place without workers: what news there are is drawn. It minds that it is used as a place may be.

    `fates` says how each thing that a worker is at ends for the worker: "well", "died" or "timeout".
    """

    def __init__(self, random: Random, most: int, fates: Iterator[str]) -> None:
        self.random, self.most, self.fates = random, most, fates
        self.used: set[int] = set()
        self.making: set[int] = set()
        self.idle: set[int] = set()
        self.busy: dict[int, object] = {}
        self.attempts: Counter[object] = Counter()
        self.news_of: defaultdict[object, list[str]] = defaultdict(list)
        self.closed = 0

    def start(self, worker: int) -> None:
        assert worker not in self.used and not self.closed
        self.used.add(worker)
        self.making.add(worker)
        assert len(self.making) + len(self.idle) + len(self.busy) <= self.most

    def begin(self, worker: int, payload: bytes) -> None:
        self.idle.remove(worker)
        unit = pickle.loads(payload)
        assert unit not in self.busy.values(), "two workers at one unit"
        self.busy[worker] = unit
        self.attempts[unit] += 1

    def news(self, wait: float | None) -> list[News]:
        at_something = sorted([*self.making, *self.busy])
        if wait == 0:
            at_something = [worker for worker in at_something if self.random.random() < 0.3]
        else:
            assert at_something, "news are waited for that cannot come"
        self.random.shuffle(at_something)
        return [self._news(worker) for worker in at_something[: self.random.randint(1, 4)]]

    def _news(self, worker: int) -> News:
        fate = next(self.fates)
        if worker in self.making:
            self.making.remove(worker)
            if fate != "well":
                return News(worker, "died", trouble=Trouble("the worker died", ""))
            self.idle.add(worker)
            return News(worker, "made")
        unit = self.busy.pop(worker)
        if fate == "well":
            self.idle.add(worker)
            news = News.answer(worker, self.random.choice([pickle.dumps(unit), Trouble("raised", "")]))
        else:
            news = News(worker, "died" if fate == "died" else "timeout", trouble=Trouble("gone", ""))
        self.news_of[unit].append(news.what)
        return news

    def close(self) -> None:
        self.closed += 1


def any_fate(random: Random) -> Iterator[str]:
    while True:
        yield random.choice(["well"] * 8 + ["died", "timeout"])


def all_ended(executor: Dispatch, units: int) -> list[Finished]:
    """All units in flight, as they ended."""
    ended: list[Finished] = []
    while some := list(executor.finished()):
        ended += some
    assert Counter(unit.number for unit in ended) == Counter(range(units))
    return ended


@given(st.randoms(use_true_random=False), st.integers(1, 4), st.integers(0, 3), st.integers(0, 25))
def test_each_unit_finishes_once_whatever_happens(random: Random, workers: int, retries: int, units: int) -> None:
    place = Weather(random, workers, any_fate(random))
    ended: list[Finished] = []
    submitted = 0
    with Dispatch(place, workers, retries) as executor:
        while len(ended) < units:
            while submitted < units and (submitted == len(ended) or random.random() < 0.7):
                executor.submit(submitted, submitted)
                submitted += 1
            try:
                some = list(executor.finished())
            except GloError:  # as many died in a row, while they were made, as is enough
                return
            assert some, "units are lost"
            ended += some
    assert Counter(unit.number for unit in ended) == Counter(range(units))
    for unit in ended:
        *before, last = place.news_of[unit.number]
        assert before == ["died"] * len(before) and last == unit.kind
        assert len(before) == retries if unit.kind == "died" else len(before) <= retries
        assert unit.result == (unit.number if unit.kind == "done" else None)
        assert unit.failure.endswith(f"of {retries + 1} that were tried") == (unit.kind == "died" and retries > 0)
    assert place.closed == 1


@given(st.randoms(use_true_random=False), st.integers(1, 4), st.integers(0, 2))
def test_workers_that_die_while_they_are_made_are_given_up(random: Random, workers: int, retries: int) -> None:
    place = Weather(random, workers, repeat("died"))
    executor = Dispatch(place, workers, retries)
    for number in range(workers):
        executor.submit(number, number)
    with pytest.raises(GloError, match="no worker can be made: the worker died"):
        all_ended(executor, workers)
    assert len(place.used) <= (retries + 2) * workers
    started = set(place.used)
    with pytest.raises(GloError):
        list(executor.finished())
    assert place.used == started, "it tries again"


def test_a_worker_that_is_made_shows_that_they_can_be() -> None:
    """Two may die in a row while they are made, of one worker with one retry; not one before and one after."""
    fates = ["died", "well", "died", "died", "well", "well"]
    place = Weather(Random(1), 1, iter(fates))
    with Dispatch(place, 1, retries=1) as executor:
        executor.submit(0, 0)
        all_ended(executor, 1)
    assert place.news_of[0][0] == "died" and len(place.used) == 4


def test_no_more_workers_are_made_than_there_are_units_for() -> None:
    place = Weather(Random(1), 8, repeat("well"))
    with Dispatch(place, 8) as executor:
        for number in range(3):
            executor.submit(number, number)
        all_ended(executor, 3)
        assert len(place.used) == 3
        executor.submit(4, 4)
        assert len(place.used) == 3, "an idle worker is there"


def test_units_go_in_the_order_they_came_in() -> None:
    place = Weather(Random(1), 1, repeat("well"))
    with Dispatch(place, 1) as executor:
        for number in range(9):
            executor.submit(number, number)
        all_ended(executor, 9)
    assert list(place.attempts) == list(range(9))


def test_cores_are_those_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {3, 5, 6}, raising=False)
    assert cores() == 3
    monkeypatch.delattr("os.sched_getaffinity")
    monkeypatch.setattr("os.cpu_count", lambda: None)
    assert cores() == 1

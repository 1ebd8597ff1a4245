"""What every executor keeps to: each unit that is submitted finishes exactly once, whatever it does."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from glo_dsl import GloError
from glo_dsl.evolve.executors.executor import Executor, Finished
from glo_dsl.evolve.executors.named import executor_named
from tests.evolve.executors.kinds import every, killable
from tests.evolve.executors.workload import Workload, dying, failing, slowly, with_torch

Make = Callable[..., Executor]

ENDS = {
    "value": ("done", ""), "nap": ("done", ""), "raise": ("raised", "ValueError: 7"),
    "raise what cannot travel": ("raised", "Stubborn"), "exit": ("raised", "SystemExit: 3"),
    "what cannot travel": ("raised", "the result, function, cannot be pickled"),
    "what cannot be read": ("raised", "the result cannot be read: ValueError: torn"),
}  # fmt: skip
"""How units end that leave their worker in health: kind, and the beginning of the failure."""


def results(executor: Executor, payloads: Mapping[int, object]) -> dict[int, Finished]:
    """All of them submitted, and how they ended. Fails if one ends twice, or one that was not submitted does."""
    for number, payload in payloads.items():
        executor.submit(number, payload)
    ended: list[Finished] = []
    while len(ended) < len(payloads):
        some = list(executor.finished(60.0))
        assert some, "units are lost"
        ended += some
    assert not list(executor.finished()), "a unit ends twice"
    assert Counter(unit.number for unit in ended) == Counter(list(payloads))
    return {unit.number: unit for unit in ended}


@every
class TestHealthyWorkers:
    def test_each_unit_ends_as_it_should(self, executor: Executor) -> None:
        kinds = list(ENDS) * 3
        ended = results(executor, {n: {"do": do, "value": 7} for n, do in enumerate(kinds)})
        for number, do in enumerate(kinds):
            kind, failure = ENDS[do]
            unit = ended[number]
            assert unit.kind == kind and unit.failure.startswith(failure) and bool(unit.failure) == bool(failure), unit
            assert unit.result == (7 if kind == "done" else None)

    @settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.lists(st.sampled_from(sorted(ENDS)), max_size=12), st.integers(-5, 10**12))
    def test_any_mixture_ends(self, executor: Executor, mixture: list[str], first: int) -> None:
        ended = results(executor, {first + n: {"do": do, "value": n} for n, do in enumerate(mixture)})
        for n, do in enumerate(mixture):
            assert ended[first + n].kind == ENDS[do][0]
            assert ended[first + n].result == (n if ENDS[do][0] == "done" else None)

    def test_failures_say_where(self, executor: Executor) -> None:
        (unit,) = results(executor, {1: {"do": "raise", "value": "no such file"}}).values()
        assert unit.failure == "ValueError: no such file"
        assert "workload.py" in unit.details and "Traceback" in unit.details

    @pytest.mark.parametrize("value", [None, 0, [1, {"a": [2.5, "x"]}], "é\0", float("inf"), b"\x80" * 300_000])
    def test_values_arrive_as_they_were(self, executor: Executor, value: object) -> None:
        (unit,) = results(executor, {5: {"do": "value", "value": value}}).values()
        assert unit == Finished(5, "done", value)

    def test_a_payload_that_cannot_be_pickled_is_refused_and_not_in_flight(self, executor: Executor) -> None:
        with pytest.raises(TypeError, match="the payload of unit 1 cannot be pickled"):
            executor.submit(1, {"do": lambda: 0})
        assert not list(executor.finished())
        assert results(executor, {1: {"do": "value", "value": 2}})[1].result == 2

    def test_a_number_is_in_flight_once(self, executor: Executor) -> None:
        executor.submit(1, {"do": "nap", "value": 1})
        with pytest.raises(ValueError, match="unit 1 is already in flight"):
            executor.submit(1, {"do": "value", "value": 2})
        assert [unit.result for unit in executor.finished()] == [1]
        assert results(executor, {1: {"do": "value", "value": 3}})[1].result == 3

    def test_nothing_is_waited_for_where_nothing_is_in_flight(self, executor: Executor) -> None:
        assert list(executor.finished()) == []
        assert list(executor.finished(5.0)) == []

    def test_a_wait_ends_and_what_is_late_comes_later(self, executor: Executor, tmp_path: Path) -> None:
        executor.submit(1, {"do": "until", "value": str(tmp_path / "go")})
        assert list(executor.finished(0.05)) == []
        assert list(executor.finished(0.0)) == []
        (tmp_path / "go").touch()
        assert [unit.number for unit in executor.finished()] == [1]

    def test_what_a_caller_leaves_behind_comes_with_the_next_call(self, executor: Executor) -> None:
        for number in range(6):
            executor.submit(number, {"do": "value", "value": number})
        taken = []
        while len(taken) < 6:
            taken.append(next(executor.finished()).number)
        assert sorted(taken) == list(range(6))

    def test_an_evaluator_is_made_once_for_a_worker(self, executor: Executor) -> None:
        ended = results(executor, {n: {"do": "who"} for n in range(8)})
        evaluators = Counter(unit.result[0] for unit in ended.values())
        attempts = [unit.result[2] for unit in ended.values()]
        assert len(evaluators) <= executor.capacity == 2
        assert max(attempts) >= 4


@every
class TestWorkers:
    def test_a_factory_that_fails_is_said_once(self, make: Make) -> None:
        executor = make(partial(failing, "no digits here"))
        for number in range(3):
            executor.submit(number, {"do": "value"})
        for _ in range(2):
            with pytest.raises(GloError, match=r"^no worker can be made: FileNotFoundError: no digits here$") as error:
                list(executor.finished())
            assert "workload.py" in str(error.value.__cause__)

    def test_close_gives_up_what_is_in_flight(self, make: Make) -> None:
        before = multiprocessing.active_children()
        executor = make(Workload)
        for number in range(5):
            executor.submit(number, {"do": "hang"})
        assert list(executor.finished(0.2)) == []
        executor.close()
        executor.close()
        with pytest.raises(RuntimeError, match="closed"):
            executor.submit(9, {"do": "value"})
        assert list(executor.finished()) == []
        assert set(multiprocessing.active_children()) <= set(before)

    def test_workers_compute_in_one_thread(self, make: Make) -> None:
        (unit,) = results(make(with_torch, 1), {1: {"do": "threads"}}).values()
        assert unit.result[:2] == (1, 0.0)


def test_results_do_not_depend_on_how_many_workers_there_are() -> None:
    found = []
    for workers in (1, 2, 5):
        with executor_named("in-process", workers, with_torch) as executor:
            found.append(results(executor, {n: {"do": "sum", "value": n} for n in range(10)}))
    assert found[0] == found[1] == found[2] and len({unit.result for unit in found[0].values()}) == 10


@killable
class TestKilling:
    def test_the_environment_is_there_before_anything_is_imported(self, executor: Executor) -> None:
        before = {name: value for name, value in os.environ.items() if name.endswith("NUM_THREADS")}
        (unit,) = results(executor, {1: {"do": "surroundings"}}).values()
        assert {unit.result[f"{library}_NUM_THREADS"] for library in ("OMP", "MKL", "OPENBLAS")} == {"1"}
        assert before == {name: value for name, value in os.environ.items() if name.endswith("NUM_THREADS")}

    def test_units_that_die_hang_or_leave_end_and_the_others_too(self, make: Make, tmp_path: Path) -> None:
        executor = make(Workload, time_limit=1.0, retries=1)
        marks = {n: str(tmp_path / str(n)) for n in range(6)}
        what = ["die", "value", "hang", "leave", "die at first", "raise"]
        ended = results(executor, {n: {"do": do, "value": n, "mark": marks[n]} for n, do in enumerate(what)})
        assert [ended[n].kind for n in range(6)] == ["died", "done", "timeout", "died", "done", "raised"]
        assert ended[0].failure.startswith("the worker died") and ended[0].failure.endswith("of 2 that were tried")
        assert ended[2].failure == "over the time limit of 1 s"
        assert ended[4].result == 4
        assert [len(os.listdir(mark)) for mark in marks.values()] == [2, 1, 1, 2, 2, 1]

    def test_making_the_evaluator_is_outside_of_the_time_limit(self, make: Make) -> None:
        executor = make(partial(slowly, 1.5), 1, time_limit=1.0)
        assert results(executor, {1: {"do": "value", "value": 2}})[1].result == 2

    def test_a_worker_that_is_killed_while_idle_is_replaced(self, make: Make) -> None:
        executor = make(Workload, 1)
        (first,) = results(executor, {1: {"do": "who"}}).values()
        os.kill(first.result[0], signal.SIGKILL)
        (second,) = results(executor, {2: {"do": "who"}}).values()
        assert second.kind == "done" and second.result[0] != first.result[0]

    def test_a_factory_that_dies_is_not_tried_for_ever(self, make: Make) -> None:
        executor = make(dying, 1, retries=0)
        executor.submit(1, {"do": "value"})
        with pytest.raises(GloError, match=r"^no worker can be made: the worker died"):
            list(executor.finished())

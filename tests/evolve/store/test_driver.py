"""One process drives a study; one that has lost it is told, and writes nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from glo_dsl.errors import GloError
from glo_dsl.evolve.store.process import Process, this_process
from glo_dsl.evolve.store.records import Records
from glo_dsl.evolve.store.rows import Evaluation
from glo_dsl.evolve.store.study import Study
from tests.evolve.store.conftest import Clock


def test_a_second_driver_is_told_who_drives(study: Study, tmp_path: Path, clock: Clock, elsewhere: Process) -> None:
    here = this_process()
    with Study.open(tmp_path / "study", clock, elsewhere) as second:
        with pytest.raises(GloError) as error:
            second.take()
        clock.now += 59
        assert error.value.message == f"{tmp_path / 'study'} is being searched by process {here.pid} on {here.host}"
        assert error.value.hint == "wait for it, or stop it; should it be dead, its hold ends in 60 s"
        with pytest.raises(GloError, match="process"):
            second.take()
        study.record("tell", 1)  # which lengthens the lease
        clock.now += 59
        with pytest.raises(GloError, match="process"):
            second.take()
        study.leave()
        second.take()
        assert study.driver().process == elsewhere and study.driver().token == 2


def test_this_process_is_told_that_it_is_itself(study: Study, tmp_path: Path, clock: Clock) -> None:
    with Study.open(tmp_path / "study", clock) as second, pytest.raises(GloError) as error:
        second.take()
    assert error.value.message.endswith("is being searched by this process")
    assert (error.value.hint or "").startswith("close the study that is open here; ")


def test_the_dead_are_not_waited_for(tmp_path: Path, clock: Clock, dead: Process, elsewhere: Process) -> None:
    with Study.create(tmp_path, {}, clock, dead) as first, Study.open(tmp_path, clock, elsewhere) as second:
        first.take()
        second.take()
        with pytest.raises(GloError, match="no longer"):
            first.heartbeat()
        with Study.open(tmp_path, clock) as third:  # nothing is to be seen of the second: its lease decides
            with pytest.raises(GloError, match=r"77 on far\.example\.org"):
                third.take()
            clock.now += 60
            third.take()


WRITES: dict[str, Callable[[Study], object]] = {
    "heartbeat": lambda study: study.heartbeat(),
    "record": lambda study: study.record("tell", 1),
    "begin": lambda study: study.begin(1, {}, [], [None]),
    "claim": lambda study: study.claim("late", 60),
    "expire": lambda study: study.expire(),
    "extend": lambda study: study.extend(1, 1, 600),
    "release": lambda study: study.release(1, 1),
    "finish": lambda study: study.finish(1, 1, [Evaluation(b"x", 0, 0, 0.5)]),
    "fail": lambda study: study.fail(1, 1, "late"),
    "note": lambda study: study.note("search", 1),
}


@pytest.mark.parametrize("write", WRITES)
def test_a_driver_that_lost_writes_nothing(
    write: str, study: Study, tmp_path: Path, clock: Clock, elsewhere: Process
) -> None:
    study.begin(0, {}, [], [None, None])
    assert study.claim("worker", 10) is not None
    clock.now += 60
    with Study.open(tmp_path / "study", clock, elsewhere) as second:
        second.take()
        assert [u.state for u in second.units(0)] == ["queued", "queued"]
        before = (second.units(0), second.events(), second.noted("search"), second.driver())
        with pytest.raises(GloError) as error:
            WRITES[write](study)
        assert error.value.message == (
            f"this process drives {tmp_path / 'study'} no longer: it was taken over by process 77 on far.example.org"
        )
        assert (second.units(0), second.events(), second.noted("search"), second.driver()) == before
        assert second.known([b"x"], [0], 0) == {}
        study.leave()  # takes nothing from the other
        assert second.driver() == before[3]
        with pytest.raises(GloError, match="is being searched by process 77"):
            study.take()


def test_who_is_lost_twice_hears_so(study: Study, tmp_path: Path, clock: Clock, elsewhere: Process) -> None:
    clock.now += 60
    with Study.open(tmp_path / "study", clock, elsewhere) as second:
        second.take()
    with pytest.raises(GloError, match="taken over by another process, which has left it"):
        study.heartbeat()
    study.take()
    study.heartbeat()


def test_a_lease_that_ended_unnoticed_is_still_held(study: Study, clock: Clock) -> None:
    clock.now += 1e6  # the computer slept, and nobody came
    study.record("tell", 1)
    assert study.driver().until == clock.now + 60


def test_units_of_a_driver_go_back_when_it_goes(tmp_path: Path, clock: Clock, dead: Process) -> None:
    """Those of workers, who are not fenced, stay with them."""
    with Study.create(tmp_path, {}, clock, dead) as first, Study.open(tmp_path, clock) as worker:
        first.take()
        first.begin(0, {}, [], [0, 1, 2])
        assert [s.claim("name", 600) is not None for s in (first, worker, first)] == [True] * 3
        with Study.open(tmp_path, clock) as second:
            second.take()
            assert [(u.state, u.attempt, u.failures) for u in second.units(0)] == [
                ("queued", 1, 0), ("leased", 1, 0), ("queued", 1, 0),
            ]  # fmt: skip
            assert second.claim("name", 600) is not None
        assert [u.state for u in worker.units(0)] == ["queued", "leased", "queued"]  # it was closed: gone as well
        assert worker.finish(2, 1, [])


def test_few_heartbeats_are_written(study: Study, tmp_path: Path, clock: Clock) -> None:
    """One for every third of a lease: the others cost nothing but a look."""
    ends = []
    with Records.open(tmp_path / "study") as records:
        for _ in range(7):
            clock.now += 9
            study.heartbeat()
            ends.append(records.driver().until - 1000)
    assert ends == [60, 60, 87, 87, 87, 114, 114]

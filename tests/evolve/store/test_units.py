"""What becomes of a unit, case by case; `test_units_in_any_order.py` has all the rest."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from glo_dsl.evolve.store.rows import Evaluation, Unit
from glo_dsl.evolve.store.study import Study
from tests.evolve.store.conftest import Clock

FOUND = [Evaluation(b"x", 0, 0, 0.5)]
CHANGES: list[Callable[[Study, Unit], bool]] = [
    lambda study, unit: study.release(unit.id, unit.attempt),
    lambda study, unit: study.fail(unit.id, unit.attempt, "late"),
    lambda study, unit: study.extend(unit.id, unit.attempt, 99),
]  # for those alone who have the unit


@pytest.fixture
def unit(study: Study) -> Unit:
    """The one unit, claimed for ten seconds."""
    study.begin(0, {}, [], ["work"])
    claimed = study.claim("first", 10)
    assert claimed is not None
    return claimed


def now(study: Study) -> Unit:
    (found,) = study.units(0)
    return found


def stored(study: Study) -> bool:
    return study.known([b"x"], [0], 0) == {(b"x", 0): FOUND[0]}


def test_finished_once_or_twice(study: Study, unit: Unit) -> None:
    for _ in range(2):  # whoever does not know whether it was stored repeats it
        assert study.finish(unit.id, unit.attempt, FOUND)
        assert now(study).state == "done" and stored(study)
    assert study.claim("second", 10) is None


def back(study: Study, unit: Unit, clock: Clock) -> None:
    study.release(unit.id, unit.attempt)


def expired(study: Study, unit: Unit, clock: Clock) -> None:
    clock.now += 10
    assert study.expire() == 1


def failed(study: Study, unit: Unit, clock: Clock) -> None:
    assert study.fail(unit.id, unit.attempt, "out of memory")


Queues = pytest.mark.parametrize(("queue", "failures"), [(back, 0), (expired, 1), (failed, 1)])


@Queues
def test_finished_before_anybody_else_is_at_it(
    queue: Callable[[Study, Unit, Clock], None], failures: int, study: Study, unit: Unit, clock: Clock
) -> None:
    queue(study, unit, clock)
    before = now(study)
    assert (before.state, before.failures, before.owner) == ("queued", failures, "")
    for write in CHANGES:
        assert not write(study, unit) and now(study) == before
    assert study.finish(unit.id, unit.attempt, FOUND)
    assert now(study).state == "done" and stored(study)


@Queues
@pytest.mark.parametrize("ended", [False, True])
def test_finished_too_late(
    queue: Callable[[Study, Unit, Clock], None], failures: int, ended: bool, study: Study, unit: Unit, clock: Clock
) -> None:
    """What it brings is kept; the unit is the other's."""
    queue(study, unit, clock)
    second = study.claim("second", 10)
    assert second is not None and (second.id, second.attempt) == (unit.id, 2)
    if ended:
        assert study.finish(second.id, second.attempt, [])
    before = now(study)
    assert not study.finish(unit.id, unit.attempt, FOUND)
    assert now(study) == before and stored(study)
    for write in CHANGES:
        assert not write(study, unit) and now(study) == before


def test_failed_for_good(study: Study, unit: Unit, clock: Clock) -> None:
    assert study.fail(unit.id, unit.attempt, "out of memory", most_failures=1)
    assert (now(study).state, now(study).reason, now(study).failures) == ("failed", "out of memory", 1)
    assert study.claim("second", 10) is None
    assert not study.finish(unit.id, unit.attempt, FOUND)
    assert now(study).state == "failed" and stored(study)


def test_three_failures_are_enough(study: Study, unit: Unit, clock: Clock) -> None:
    failed(study, unit, clock)
    for _ in range(2):
        assert now(study).state == "queued"
        assert study.claim("second", 10) is not None
        clock.now += 10
        study.expire()
    assert (now(study).state, now(study).attempt, now(study).failures) == ("failed", 3, 3)
    assert now(study).reason == "the lease of second has ended"


def test_a_lease_ends_when_it_ends(study: Study, unit: Unit, clock: Clock) -> None:
    clock.now += 9.5
    assert study.expire() == 0 and study.claim("second", 10) is None
    assert study.extend(unit.id, unit.attempt, 10)
    clock.now += 9.5
    assert study.claim("second", 10) is None
    clock.now += 0.5
    second = study.claim("second", 10)  # which looks for ends of leases itself
    assert second is not None and (second.owner, second.attempt, second.failures) == ("second", 2, 1)


def test_first_in_first_out(study: Study) -> None:
    study.begin(0, {}, [], ["a", "b"])
    study.begin(1, {}, [], ["c"])
    assert [u.payload for u in iter(lambda: study.claim("x", 10), None)] == ["a", "b", "c"]

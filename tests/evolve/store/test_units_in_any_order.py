"""Claims, finishes, failures, ends of leases and changes of the driver, in any order, against a model in Python."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, precondition, rule

from glo_dsl.errors import GloError
from glo_dsl.evolve.store.process import Process, this_process
from glo_dsl.evolve.store.records import Records
from glo_dsl.evolve.store.rows import Evaluation
from glo_dsl.evolve.store.study import Study
from tests.evolve.store.conftest import Clock

LEASE = 30
HERE = this_process()
PROCESSES = {
    "alive": HERE,
    "dead": Process(HERE.host, HERE.machine, HERE.pid, "1"),  # its number is another's now
    "far": Process("far", "another machine", 7, "1"),
    "worker": Process("far", "another machine", 8, "1"),  # never takes the study
}
WHO = st.sampled_from(["worker", "alive", "dead", "far"])
MOST = st.integers(1, 2)  # failures of a unit
DRIVERS = st.sampled_from(["alive", "dead", "far"])
EVALUATIONS = st.lists(
    st.tuples(st.sampled_from([b"x", b"y", b"z"]), st.integers(0, 2), st.sampled_from([None, 0.25, 0.5])), max_size=3
)


@dataclass
class Work:
    """What the model knows of a unit."""

    state: str = "queued"
    attempt: int = 0
    failures: int = 0
    until: float = 0.0
    driver: int = 0


@dataclass
class Model:
    now: float = 1000.0
    token: int = 0
    holder: str | None = None
    until: float = 0.0
    tokens: dict[str, int | None] = field(default_factory=dict)
    units: dict[int, Work] = field(default_factory=dict)
    evaluations: dict[tuple[bytes, int], float | None] = field(default_factory=dict)
    events: int = 0

    def allows(self, who: str) -> bool:
        """Whether a write of `who` goes through; if so, the lease of a driver is looked after."""
        token = self.tokens.get(who)
        if token is None:
            return True
        if token != self.token:
            return False
        if self.until - self.now < LEASE * 2 / 3:
            self.until = self.now + LEASE
        return True

    def held(self) -> bool:
        return self.holder is not None and self.holder != "dead" and self.now < self.until

    def went_wrong(self, unit: Work, most: int) -> None:
        unit.failures += 1
        unit.state = "failed" if unit.failures >= most else "queued"

    def expire(self, most: int) -> None:
        for unit in self.units.values():
            if unit.state == "leased" and unit.until <= self.now:
                self.went_wrong(unit, most)


class Machine(RuleBasedStateMachine):
    claims: Bundle[Any] = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        self.place = Path(tempfile.mkdtemp(prefix="glo-study-"))
        self.clock = Clock()
        self.model = Model()
        self.studies = {"alive": Study.create(self.place, {}, self.clock, HERE)}
        for who in ("dead", "far", "worker"):
            self.studies[who] = Study.open(self.place, self.clock, PROCESSES[who])
        self.records = Records.open(self.place)

    @initialize(who=DRIVERS, count=st.integers(1, 5))
    def start(self, who: str, count: int) -> None:
        self.take(who)
        self.begin(who, count)

    def teardown(self) -> None:
        self.records.check()
        for study in [self.records, *self.studies.values()]:
            study.close()
        shutil.rmtree(self.place)

    def refused(self, who: str) -> bool:
        """True if the model says that `who` has lost the study."""
        self.clock.now = self.model.now
        return not self.model.allows(who)

    @rule(seconds=st.integers(1, 20))
    def time_goes_by(self, seconds: int) -> None:
        self.model.now += seconds

    @rule(who=DRIVERS)
    def take(self, who: str) -> None:
        self.clock.now = self.model.now
        if self.model.held():
            with pytest.raises(GloError, match="is being searched by"):
                self.studies[who].take(LEASE)
            return
        self.studies[who].take(LEASE)
        self.model.token += 1
        self.model.tokens[who] = self.model.token
        self.model.holder, self.model.until = who, self.model.now + LEASE
        for unit in self.model.units.values():
            if unit.state == "leased" and unit.driver:
                unit.state = "queued"

    @rule(who=DRIVERS)
    def take_from_one_that_sleeps(self, who: str) -> None:
        self.time_goes_by(LEASE)
        self.take(who)

    @rule(who=DRIVERS)
    def leave(self, who: str) -> None:
        token = self.model.tokens.get(who)
        self.studies[who].leave()
        if token is not None and token == self.model.token:
            self.model.holder, self.model.until = None, 0.0
            for unit in self.model.units.values():
                if unit.state == "leased" and unit.driver == token:
                    unit.state = "queued"
        self.model.tokens[who] = None

    @rule(who=WHO)
    def open_again(self, who: str) -> None:
        if who != "worker":
            self.leave(who)
        self.studies[who].close()
        self.studies[who] = Study.open(self.place, self.clock, PROCESSES[who])

    @rule(who=WHO, count=st.integers(1, 3))
    def begin(self, who: str, count: int) -> None:
        drives = self.model.tokens.get(who) is not None
        if not drives or self.refused(who):
            with pytest.raises(GloError, match="no longer" if drives else "only who drives"):
                self.studies[who].begin(0, {}, [], [None] * count)
            return
        for number in self.studies[who].begin(0, {}, [], [None] * count):
            assert number not in self.model.units
            self.model.units[number] = Work()
        self.model.events += 1

    @precondition(lambda self: self.model.holder is not None)
    @rule(count=st.integers(1, 5))
    def more_to_do(self, count: int) -> None:
        self.begin(str(self.model.holder), count)

    @rule(who=WHO, seconds=st.integers(1, 40), most=MOST, target=claims)
    def claim(self, who: str, seconds: int, most: int) -> Any:
        got = self.claimed(who, seconds, most)
        return got if got else multiple()

    @rule(first=WHO, second=WHO, target=claims)
    def claim_what_another_was_too_slow_for(self, first: str, second: str) -> Any:
        one = self.claimed(first, 1, 2)
        self.time_goes_by(1)
        other = self.claimed(second, 40, 2)
        return multiple(*[claim for claim in (one, other) if claim])

    def claimed(self, who: str, seconds: int, most: int) -> tuple[int, int] | None:
        """What `who` got, if anything: the number of a unit and of the attempt."""
        if self.refused(who):
            with pytest.raises(GloError, match="no longer"):
                self.studies[who].claim(who, seconds, most)
            return None
        self.model.expire(most)
        got = self.studies[who].claim(who, seconds, most)
        queued = [number for number, unit in self.model.units.items() if unit.state == "queued"]
        if not queued:
            assert got is None
            return None
        unit = self.model.units[min(queued)]
        unit.state, unit.attempt, unit.until = "leased", unit.attempt + 1, self.model.now + seconds
        unit.driver = self.model.tokens.get(who) or 0
        assert got is not None and (got.id, got.attempt, got.owner) == (min(queued), unit.attempt, who)
        return got.id, got.attempt

    @rule(who=WHO, most=MOST)
    def expire(self, who: str, most: int) -> None:
        if self.refused(who):
            with pytest.raises(GloError, match="no longer"):
                self.studies[who].expire(most)
            return
        self.studies[who].expire(most)
        self.model.expire(most)

    @rule(who=WHO, claimed=claims, seconds=st.integers(1, 40))
    def extend(self, who: str, claimed: tuple[int, int], seconds: int) -> None:
        unit = self.change(who, claimed, lambda study: study.extend(*claimed, seconds))
        if unit:
            unit.until = self.model.now + seconds

    @rule(who=WHO, claimed=claims)
    def release(self, who: str, claimed: tuple[int, int]) -> None:
        unit = self.change(who, claimed, lambda study: study.release(*claimed))
        if unit:
            unit.state = "queued"

    @rule(who=WHO, claimed=claims, most=MOST)
    def fail(self, who: str, claimed: tuple[int, int], most: int) -> None:
        unit = self.change(who, claimed, lambda study: study.fail(*claimed, "went wrong", most))
        if unit:
            self.model.went_wrong(unit, most)

    def change(self, who: str, claimed: tuple[int, int], write: Any) -> Work | None:
        """The unit, if it is leased to the attempt that `who` shows, and so may be changed."""
        if self.refused(who):
            with pytest.raises(GloError, match="no longer"):
                write(self.studies[who])
            return None
        number, attempt = claimed
        unit = self.model.units[number]
        has_it = unit.attempt == attempt and unit.state == "leased"
        assert write(self.studies[who]) == has_it
        return unit if has_it else None

    @rule(who=WHO, claimed=claims, found=EVALUATIONS)
    def finish(self, who: str, claimed: tuple[int, int], found: list[tuple[bytes, int, float | None]]) -> None:
        evaluations = [Evaluation(c, seed, 0, fitness, reason="" if fitness else "none") for c, seed, fitness in found]
        if self.refused(who):
            with pytest.raises(GloError, match="no longer"):
                self.studies[who].finish(*claimed, evaluations)
            return
        for c, seed, fitness in found:
            self.model.evaluations.setdefault((c, seed), fitness)
        number, attempt = claimed
        unit = self.model.units[number]
        in_time = unit.attempt == attempt and unit.state != "failed"
        assert self.studies[who].finish(*claimed, evaluations) == in_time
        if in_time:
            unit.state = "done"

    @invariant()
    def the_file_is_as_the_model(self) -> None:
        units = {u.id: (u.state, u.attempt, u.failures) for u in self.records.units(0)}
        assert units == {n: (u.state, u.attempt, u.failures) for n, u in self.model.units.items()}
        known = self.records.known([b"x", b"y", b"z"], range(3), 0)
        assert {key: e.fitness for key, e in known.items()} == self.model.evaluations
        driver = self.records.driver()
        assert (driver.token, driver.until) == (self.model.token, self.model.until)
        assert driver.process == (PROCESSES[self.model.holder] if self.model.holder else None)
        assert len(self.records.events()) == self.model.events


TestUnits = Machine.TestCase
TestUnits.settings = settings(max_examples=max(60, settings.default.max_examples // 2), stateful_step_count=40)  # type: ignore[union-attr]

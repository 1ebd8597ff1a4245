"""What a search says of itself is what its study holds."""

from __future__ import annotations

import itertools
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from glo_dsl.evolve.checkpoint import NOTE
from glo_dsl.evolve.funnel import Verdict
from glo_dsl.evolve.progress import SEARCHING, STAGES, Leader, Progress, agreement
from glo_dsl.evolve.session import Where, begin, resume
from glo_dsl.evolve.store.records import Records
from glo_dsl.evolve.store.study import Study
from glo_dsl.evolve.trained import Trained
from tests.evolve.conftest import small

CONFIG = small(rungs=(0.2, 0.5, 1.0), keep=0.8, trainings=80, seed=2)


@dataclass
class Heard:
    """A study, and what its search said of itself."""

    directory: Path
    steps: list[Progress]

    @property
    def last(self) -> Progress:
        """What it said when the strategy had come to its end."""
        return [step for step in self.steps if step.stage == SEARCHING][-1]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with Records.open(self.directory) as records, records._database.snapshot() as db:
            return db.execute(query).fetchall()

    def units(self) -> list[tuple[int, Any]]:
        """Generations and payloads of the units of the strategy, and how many networks they are."""
        found = [(n, json.loads(text)) for n, text in self.rows("SELECT generation, payload FROM unit ORDER BY id")]
        return [(n, payload) for n, payload in found if payload["seeds"] == list(CONFIG.seeds("search"))]

    def measured(self) -> dict[str, dict[int, float]]:
        """Mean fitness of every training of the strategy by key and rung."""
        found: dict[str, dict[int, float]] = {}
        mean = "lower(hex(class)), rung, avg(coalesce(fitness, 0))"
        for key, rung, fitness in self.rows(f"SELECT {mean} FROM evaluation WHERE seed < 200000 GROUP BY 1, 2"):
            found.setdefault(key, {})[rung] = fitness
        return found


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> Heard:
    """All that a search said, on three rungs."""
    directory = tmp_path_factory.mktemp("study") / "heard"
    steps: list[Progress] = []
    begin(CONFIG, directory, Where(workers=1), steps.append)
    return Heard(directory, steps)


def test_stages_come_in_order_and_move(heard: Heard) -> None:
    stages = [stage for stage, _ in itertools.groupby(step.stage for step in heard.steps)]
    assert tuple(stages) == STAGES == heard.steps[0].stages
    for stage in STAGES:
        shares = [step.share for step in heard.steps if step.stage == stage]
        assert all(0 <= share <= 1 for share in shares) and len(shares) > 1 and max(shares) > shares[0]
    assert all(step.done <= step.total and step.units[0] <= step.units[1] for step in heard.steps)


def test_trainings_are_those_of_the_study_unit_by_unit(heard: Heard) -> None:
    units = [json.loads(text) for (text,) in heard.rows("SELECT payload FROM unit ORDER BY id")]
    networks = list(itertools.accumulate(len(u["jobs"]) * len(u["seeds"]) for u in units))
    said = [count for count, _ in itertools.groupby(step.trainings for step in heard.steps)]
    assert said == [0, *networks]  # one worker: in the order of the units, and none is left out
    assert all(step.fresh == step.trainings and step.replayed == (0, 0) for step in heard.steps)


def test_what_never_trained_is_what_no_unit_was_made_for(heard: Heard) -> None:
    trained = {job["text"] for _, payload in heard.units() for job in payload["jobs"]}
    (asked,) = heard.rows("SELECT count(*) FROM candidate WHERE origin LIKE '%origin%'")[0]
    counts = dict(heard.last.counts)
    assert counts["trained"] == len(trained) and 0 < len(trained) < asked < heard.last.proposals
    assert heard.last.proposals == sum(counts.values()) == len(trained) + heard.last.untrained
    dropped = ("no usable gradient", "gradient known", "passed over")
    assert heard.last.proposals - asked <= sum(counts[reason] for reason in dropped)


def test_the_front_is_the_best_of_every_size(heard: Heard) -> None:
    """Put together anew from the study."""
    measured, done = heard.measured(), 0
    keys: dict[bytes, list[str]] = {}  # of the trainings of a gradient class; its losses stand for each other
    trainings: dict[int, int] = {}
    classes = dict(heard.rows("SELECT text, class FROM candidate"))
    for generation, payload in heard.units():
        done += len(payload["jobs"]) * len(payload["seeds"])
        trainings[generation] = done
        for job in payload["jobs"]:
            keys.setdefault(classes[job["text"]], []).append(job["key"])
    found = []
    for generation, complexity, name in heard.rows(
        "SELECT generation, complexity, class FROM candidate WHERE verdict = '' AND origin LIKE '%origin%'"
    ):
        fitness = [measured[key][40] for key in keys[name] if 40 in measured[key]]
        if fitness:
            found.append((complexity, -max(fitness), trainings[generation]))
    front: list[tuple[int, float, int]] = []
    for complexity, loss, at in sorted(found):
        if not front or loss < front[-1][1]:
            front.append((complexity, loss, at))
    shown = heard.last.front
    assert [(one.size, -one.fitness, one.trainings) for one in shown] == front and len(front) > 1
    assert heard.last.best == shown[-1].fitness and all("y" in one.text or "x" in one.text for one in shown)


def test_the_correlation_of_rungs_is_that_of_the_survivors(heard: Heard) -> None:
    pairs = [(reached[8], reached[40]) for reached in heard.measured().values() if 40 in reached]
    found = heard.last.agreement
    assert found is not None and found.count == len(pairs) > 3
    assert found.correlation == pytest.approx(spearmanr(*zip(*pairs)).statistic)


def test_where_there_is_no_hole_constants_are_told() -> None:
    text = "loss f(p: real, y: real; k = 0.123456789, e = 2) = k * abs(p - y) ^ e"
    trained = Trained(text, None, Verdict(None), 0.1, 0.75, 7, 60)
    assert trained.shown == Leader(7, 0.75, "k = 0.1235, e = 2", 60)


@pytest.mark.parametrize("checkpoint", [True, False])
def test_a_study_that_is_gone_over_again_says_so(heard: Heard, tmp_path: Path, checkpoint: bool) -> None:
    """From its start where there is no checkpoint, as in a study of old."""
    again: list[Progress] = []
    shutil.copytree(heard.directory, tmp_path / "study")
    if not checkpoint:
        with Study.open(tmp_path / "study") as study:
            study.take()
            study.note(NOTE, None)
    resume(tmp_path / "study", Where(workers=1), again.append)
    assert all(step.fresh == 0 for step in again) and again[0].replaying
    assert (again[0].replayed[0] > 0) == checkpoint
    events = [step.replayed[0] for step in again]
    assert events == sorted(events) and {step.replayed[1] for step in again} == {again[0].replayed[1]}
    last, before = again[-1], heard.steps[-1]
    for name in ("trainings", "untrained", "counts", "front", "agreement", "generation", "best"):
        assert getattr(last, name) == getattr(before, name), name


@given(st.lists(st.tuples(st.integers(0, 6).map(float), st.floats(-5, 5)), min_size=3, max_size=40))
def test_rank_correlation(pairs: list[tuple[float, float]]) -> None:
    """scipy's, ties and all."""
    found = agreement(pairs)
    if len({a for a, _ in pairs}) == 1 or len({b for _, b in pairs}) == 1:
        assert found is None
    else:
        assert found is not None and found.count == len(pairs)
        assert found.correlation == pytest.approx(spearmanr(*zip(*pairs)).statistic, abs=1e-9)


def test_too_few_say_nothing() -> None:
    assert agreement([(1.0, 2.0), (2.0, 3.0)]) is None and agreement([]) is None

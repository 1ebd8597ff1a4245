"""Checkpoints: taken up they save the way through the book, and change nothing; what is none is passed over."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from glo_dsl import GloError
from glo_dsl.evolve import checkpoint
from glo_dsl.evolve.checkpoint import NOTE, Checkpoints
from glo_dsl.evolve.driver import Search
from glo_dsl.evolve.progress import Progress
from glo_dsl.evolve.session import begin, resume
from glo_dsl.evolve.store.records import Records
from glo_dsl.evolve.store.study import Study
from tests.evolve.conftest import HERE, small
from tests.evolve.test_session import results, story

CONFIGS = {
    "islands": small(),
    "islands with starts": small(strategy_options={"population": 12, "generations": 3}, trainings=400),
    "nsga2 under attack": small("nsga2", attack=0.1, trainings=200, strategy_options={
        "population": 8, "offspring": 20, "generations": 4, "objectives": ["fitness", "robustness"], "start": "none"}),
    "glo": small("glo", trainings=300, strategy_options={
        "population": 80, "elites": 3, "generations": 8, "samples": 4, "sample_generations": 3}),
    "taylor": small("taylor", strategy_options={"order": 2, "population": 6, "generations": 4}),
    "constants": small("constants", "loss f(z: real[C], t: class[C]; k = 2 in [0, 5]) = (1 - softmax(z)[t])^k * -log("
                       "softmax(z)[t])", "f", strategy_options={"population": 4, "generations": 3}),
    "constants uphill": small("constants", "loss f(z: real[C], t: class[C]; k = 2 in [0, 5]) = (1 - softmax(z)[t])^k *"
                              " -log(softmax(z)[t])", "f", strategy_options={"method": "gradient", "steps": 3}),
}  # fmt: skip


class Stopped(Exception):
    """As if the process had ended."""


def after(generations: int) -> Callable[[Progress], None]:
    def report(step: Progress) -> None:
        if step.generation is not None and step.generation.number == generations - 1 and step.units[1]:
            raise Stopped

    return report


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint after each generation."""
    monkeypatch.setattr(checkpoint, "EVERY", 0.0)
    monkeypatch.setattr(checkpoint, "SHARE", math.inf)


@pytest.mark.parametrize("name", CONFIGS)
def test_a_search_that_skips_comes_to_the_same(
    name: str, tmp_path: Path, always: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = CONFIGS[name]
    begin(config, tmp_path / "whole", HERE)
    with pytest.raises(Stopped):
        begin(config, tmp_path / "study", HERE, after(2))
    asked = counted(monkeypatch)
    resume(tmp_path / "study", HERE)
    assert story(tmp_path / "study") == story(tmp_path / "whole")
    assert results(tmp_path / "study") == results(tmp_path / "whole")
    kept = name != "constants uphill"  # which has no state
    assert (asked[0] >= 2) == kept
    asked.clear()
    resume(tmp_path / "study", HERE)  # from its end
    assert (asked == []) == kept and results(tmp_path / "study") == results(tmp_path / "whole")


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Will hold the numbers of the generations that a search goes through."""
    numbers: list[int] = []
    original = Search._generation

    def generation(self: Search, number: int, *rest: Any) -> Any:
        numbers.append(number)
        return original(self, number, *rest)

    monkeypatch.setattr(Search, "_generation", generation)
    return numbers


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search that was stopped, with a checkpoint."""
    directory = tmp_path_factory.mktemp("study") / "stopped"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "EVERY", 0.0)
        patch.setattr(checkpoint, "SHARE", math.inf)
        with pytest.raises(Stopped):
            begin(small(), directory, HERE, after(2))
    return directory


def changed(note: Any, *path: str, to: Any) -> Any:
    return {**note, path[0]: changed(note[path[0]], *path[1:], to=to)} if path else to


DAMAGED: dict[str, Callable[[Any], Any]] = {
    "of another version": lambda note: changed(note, "versions", "glo-dsl", to="0.0.1"),
    "of another library": lambda note: changed(note, "versions", "numpy", to="1.0"),
    "of old": lambda note: {"version": "0.1.0", "generation": 2, "state": note["state"]},
    "with what is no number": lambda note: changed(note, "generation", to="many"),
    "of another book": lambda note: changed(note, "state", "book", "digest", to="0" * 32),
    "beyond the book": lambda note: changed(note, "state", "book", "place", to=10**6),
    "without a strategy": lambda note: changed(note, "state", to={"book": note["state"]["book"]}),
    "with what is no tree": lambda note: changed(note, "state", "strategy", "elites", to=[["x +", 1, 0.5, []]]),
    "with what is no generator": lambda note: changed(note, "state", "strategy", "generator", to={"state": 1}),
    "a list": lambda note: [note],
    "without a state": lambda note: changed(note, "state", to=None),
    "nothing": lambda note: None,
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGED)
def test_what_is_no_checkpoint_is_passed_over(
    damage: str, stopped: Path, ended: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(stopped, tmp_path / "study")
    with Study.open(tmp_path / "study") as study:
        study.take()
        study.note(NOTE, DAMAGED[damage](study.noted(NOTE)))
    asked = counted(monkeypatch)
    resume(tmp_path / "study", HERE)
    assert asked[0] == 0
    assert story(tmp_path / "study") == story(ended) and results(tmp_path / "study") == results(ended)


def test_why_nothing_could_be_trained_is_kept(tmp_path: Path, always: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """NSGA-II asks about what has no gradient; islands would have nothing to ask."""
    space = "loss glo(z: real[C], t: class[C]) = let x = onehot(t), y = softmax(z) in sum(?f(x) + 0 * y)"
    options = {"population": 8, "offspring": 20, "generations": 4, "start": "none"}
    config, study, said = small("nsga2", space=space, strategy_options=options), tmp_path / "study", []
    for run in (lambda: begin(config, study, HERE), lambda: resume(study, HERE)):
        asked = counted(monkeypatch)
        with pytest.raises(GloError, match="no candidate could be trained: no gradient") as caught:
            run()
        said.append((caught.value.hint, len(asked)))
    assert said == [
        ("whatever fills the hole has to lead, by its gradient, from the predictions to the label", 4),
        (said[0][0], 0),
    ]


def test_what_was_stopped_has_one(stopped: Path, ended: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(stopped, tmp_path / "study")
    asked = counted(monkeypatch)
    resume(tmp_path / "study", HERE)
    assert asked[0] == 2 and results(tmp_path / "study") == results(ended)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_they_are_kept_when_it_is_time(tmp_path: Path) -> None:
    clock, taken = Clock(), list[int]()

    def state(generation: int, seconds: float) -> Callable[[], dict[str, Any] | None]:
        def found() -> dict[str, Any] | None:
            clock.now += seconds
            taken.append(generation)
            return {"of": generation}

        return found

    with Study.create(tmp_path / "study", {}) as study:
        study.take()
        kept = Checkpoints(study, clock)
        assert kept.last() is None
        clock.now = 1.0
        kept.offer(1, state(1, 0.5))  # too early
        clock.now = 3.0
        kept.offer(2, state(2, 0.5))
        assert taken == [2] and kept.last() == {"of": 2}
        clock.now = 28.0  # it took half a second, of which 50 have to pass
        kept.offer(3, state(3, 0.5))
        assert taken == [2]
        clock.now = 29.0
        kept.offer(4, state(4, 0.0))
        kept.offer(4, state(4, 0.0), last=True)  # is kept already
        kept.offer(5, state(5, 0.0), last=True)
        assert taken == [2, 4, 5] and Checkpoints(study, clock).last() == {"of": 5}
        kept.offer(6, lambda: None, last=True)
        assert kept.last() == {"of": 5}


def test_a_search_that_is_logged_goes_through_its_book(
    stopped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For its loggers, which may be new."""
    pytest.importorskip("tensorboard")
    shutil.copytree(stopped, tmp_path / "study")
    asked = counted(monkeypatch)
    resume(tmp_path / "study", HERE, logs=["tensorboard"])
    assert asked[0] == 0


def test_a_study_has_one(ended: Path) -> None:
    with Records.open(ended) as records:
        note: Any = records.noted(NOTE)
    assert note["generation"] == 3 and isinstance(note["state"]["strategy"], dict)

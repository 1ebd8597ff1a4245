"""Logging never stands in a search's way, loses nothing on the way, and repeats nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from glo_dsl.evolve.config import Config
from glo_dsl.evolve.progress import SEARCHING, Generation, Progress
from glo_dsl.evolve.session import Where, begin, resume
from glo_dsl.evolve.store.records import Records
from glo_dsl.evolve.writers import log as module
from glo_dsl.evolve.writers.log import Log
from glo_dsl.evolve.writers.notes import Notes
from glo_dsl.evolve.writers.writer import Opening, Writer
from tests.evolve.conftest import small
from tests.evolve.writers.test_figures import outcome

CONFIG = Config("loss f(p: real, y: real) = ?f(p, y)", "f")


class Memory:
    """A writer that keeps what it gets; `trouble` is asked first, at every call."""

    def __init__(self, kept: list[tuple[Any, ...]], run: str | None, trouble: Callable[[str], None]) -> None:
        self._kept, self._trouble = kept, trouble
        self.run = run or "run-1"
        self._keep("open", run)

    def _keep(self, what: str, *values: object) -> None:
        self._trouble(what)
        self._kept.append((what, *values))

    def parameters(self, settings: Mapping[str, str]) -> None:
        self._keep("parameters", settings["trainings"])

    def figures(self, at: int, figures: Mapping[str, float]) -> None:
        known = [figures[name] for name in ("best", "trainings_per_second") if name in figures]
        self._keep("figures", at, *known)

    def text(self, name: str, text: str) -> None:
        self._keep("text", name, text)

    def close(self, finished: bool) -> None:
        self._keep("close", finished)


def opening(kept: list[tuple[Any, ...]], trouble: Callable[[str], None] = lambda _: None) -> Opening:
    def opened(directory: Path, run: str | None) -> Writer:
        return Memory(kept, run, trouble)

    return opened


def generation(number: int) -> Progress:
    return Progress(SEARCHING, 10 * number, 100, best=number / 10, trainings=10 * number,
                    generation=Generation(number, 0.5))  # fmt: skip


HEAD = [("open", None), ("parameters", "6000"), ("text", "space.glo", CONFIG.space)]


def test_a_generation_is_logged_once(tmp_path: Path) -> None:
    kept: list[tuple[Any, ...]] = []
    with Log(["a"], tmp_path, CONFIG, {"a": opening(kept)}) as log:
        for number in (0, 0, 1, 1, 1, 3):
            log.show(generation(number))
        log.show(Progress(SEARCHING, 0, 1))
    assert kept == [*HEAD, ("figures", 0, 0.0), ("figures", 10, 0.1), ("figures", 30, 0.3), ("close", True)]


def test_what_is_gone_over_again_is_not_logged_again(tmp_path: Path) -> None:
    """Stopped after two generations, gone on with, and told again; a logger that comes late gets all."""
    kept: list[tuple[Any, ...]] = []
    late: list[tuple[Any, ...]] = []
    with pytest.raises(KeyboardInterrupt), Log(["a"], tmp_path, CONFIG, {"a": opening(kept)}) as log:
        log.show(generation(0))
        log.show(generation(1))
        raise KeyboardInterrupt
    for _ in range(2):
        with Log(["a", "b"], tmp_path, CONFIG, {"a": opening(kept), "b": opening(late)}) as log:
            for number in range(3):
                log.show(generation(number))
            log.end(outcome((0.8, 0.9), (0.9, 0.95)), {"best.glo": "loss"})
    first = [*HEAD, ("figures", 0, 0.0), ("figures", 10, 0.1), ("close", False)]
    assert kept == [*first, ("open", "run-1"), ("figures", 20, 0.2), ("figures", 160), ("text", "best.glo", "loss"),
                    ("close", True)]  # fmt: skip
    assert late == [*HEAD, *[("figures", 10 * n, n / 10) for n in range(3)], ("figures", 160),
                    ("text", "best.glo", "loss"), ("close", True)]  # fmt: skip


@pytest.mark.parametrize("what", ["open", "parameters", "figures", "text", "close"])
def test_one_that_fails_costs_one_warning(what: str, tmp_path: Path) -> None:
    kept: list[tuple[Any, ...]] = []
    other: list[tuple[Any, ...]] = []

    def trouble(call: str) -> None:
        if call == what:
            raise OSError("No space left\x1b[2J\non device")

    openings = {"a": opening(kept, trouble), "b": opening(other)}
    warned = pytest.warns(UserWarning, match="logging to a failed: No space left ")
    with warned as caught, Log(["a", "b"], tmp_path, CONFIG, openings) as log:
        for number in range(4):
            log.show(generation(number))
            for _ in range(500 if what in ("open", "parameters", "figures") else 0):
                if log._threads[0]._trouble:
                    break
                time.sleep(0.01)
        log.end(outcome((0.8, 0.9)), {"best.glo": "loss"})
    assert len(caught) == 1 and "\x1b" not in str(caught[0].message)
    assert len(other) == len(HEAD) + 4 + 3
    assert what == "open" or ("close" in [call for call, *_ in kept]) == (what != "close")
    assert sum(call == "figures" for call, *_ in kept) == (0 if what in ("open", "figures") else 5)


def test_one_that_comes_back_is_logged_to_again(tmp_path: Path) -> None:
    kept: list[tuple[Any, ...]] = []
    left = [2]

    def trouble(call: str) -> None:
        if call == "figures" and left[0]:
            left[0] -= 1
            raise ConnectionError

    warned = pytest.warns(UserWarning, match="logging to a failed: ConnectionError")
    with warned, Log(["a"], tmp_path, CONFIG, {"a": opening(kept, trouble)}) as log:
        for number in range(4):
            log.show(generation(number))
    assert [at for call, at, *_ in kept if call == "figures"] == [20, 30]


def test_one_that_hangs_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.1)
    release, kept = threading.Event(), list[tuple[Any, ...]]()

    def hang(_: str) -> None:
        release.wait(60)

    warned = pytest.warns(UserWarning, match="it did not take everything within 0 s")
    with warned, Log(["a"], tmp_path, CONFIG, {"a": opening(kept, hang)}) as log:
        log.show(generation(0))
    assert kept == []
    release.set()


def test_the_run_is_noted_before_anything_goes_wrong(tmp_path: Path) -> None:
    def trouble(call: str) -> None:
        if call != "open":
            raise ValueError("no")

    for number in range(2):
        with pytest.warns(UserWarning), Log(["a"], tmp_path, CONFIG, {"a": opening([], trouble)}) as log:
            log.show(generation(number))
        assert Notes(tmp_path, ["a"]).of("a").run == "run-1"


def test_speed_is_that_of_the_new_trainings_of_a_generation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not of its last unit; and none is known where all are out of the book."""
    kept, now = list[tuple[Any, ...]](), [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    log = Log(["a"], tmp_path, CONFIG, {"a": opening(kept)})
    for number, fresh in ((0, 0), (0, 16), (1, 20), (2, 20)):
        log.show(replace(generation(number), fresh=fresh))
        now[0] += 2
    log.__exit__(None, None, None)
    assert [each for each in kept if each[0] == "figures"] == [
        ("figures", 0, 0.0), ("figures", 10, 0.1, 5.0), ("figures", 20, 0.2)
    ]  # fmt: skip


def test_nothing_is_written_where_nobody_logs(tmp_path: Path) -> None:
    with Log([], tmp_path, CONFIG) as log:
        log.show(generation(0))
        log.end(outcome((0.8, 0.9)), {})
    assert not list(tmp_path.iterdir())


def test_a_search_that_is_logged_is_the_same_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupted in the middle, too; and each generation is there once, with what it had in the end."""
    kept: list[tuple[Any, ...]] = []
    monkeypatch.setitem(module.OPENINGS, "tensorboard", opening(kept))  # type: ignore[arg-type]
    here, config = Where(workers=1), small(trainings=80)
    begin(config, tmp_path / "plain", here)
    steps: list[Progress] = []

    def interrupt(step: Progress) -> None:
        steps.append(step)
        if step.generation and step.units[0]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        begin(config, tmp_path / "logged", here, interrupt, ["tensorboard"])
    resume(tmp_path / "logged", here, steps.append, ["tensorboard"])
    for name in ("summary.json", "front.glo", "best.glo"):
        assert (tmp_path / "plain" / name).read_text() == (tmp_path / "logged" / name).read_text()
    events = []
    for name in ("plain", "logged"):
        with Records.open(tmp_path / name) as records:
            events.append([(event.kind, event.payload) for event in records.events()])
    assert events[0] == events[1]
    ended = {step.generation.number: step.trainings for step in reversed(steps) if step.generation}
    logged = [at for call, at, *rest in kept if call == "figures" and rest]
    assert logged == [ended[number] for number in sorted(ended)] and len(logged) > 2
    assert [call for call, *_ in kept].count("open") == 2 and kept[-1] == ("close", True)

"""Whole searches: run through, interrupted, killed, resumed, on other workers; they all come to the same."""

from __future__ import annotations

import contextlib
import json
import math
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import glo_dsl as glo
from glo_dsl.evolve import checkpoint
from glo_dsl.evolve.config import Config, configured
from glo_dsl.evolve.cost import SLOPES
from glo_dsl.evolve.evaluator import Trainer
from glo_dsl.evolve.progress import Progress
from glo_dsl.evolve.report.gather import gathered
from glo_dsl.evolve.session import Where, begin, front_of, resume
from glo_dsl.evolve.store.records import Records
from glo_dsl.evolve.store.study import Study
from glo_dsl.lang.definitions import losses_of
from tests.evolve.conftest import BLOBS, GLO, LINE, small

HERE = Where(workers=1)


def story(directory: Path) -> list[tuple[str, object]]:
    with Records.open(directory) as records:
        return [(event.kind, event.payload) for event in records.events()]


def results(directory: Path) -> tuple[str, str]:
    return (directory / "summary.json").read_text(), (directory / "front.glo").read_text()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search that nothing disturbed."""
    directory = tmp_path_factory.mktemp("study") / "whole"
    begin(small(), directory, HERE)
    return directory


def test_a_search_ends_with_losses_that_read_back(whole: Path) -> None:
    best, front = glo.load(whole / "best.glo")["best"], glo.load(whole / "front.glo")
    summary = json.loads((whole / "summary.json").read_text())
    names = [row["name"] for row in summary["losses"]]
    assert not best.holes and names[0] == "cross_entropy" and names[1:] == list(front)
    assert all(len(row["test"]) == 4 for row in summary["losses"]) and summary["losses"][1]["mean"] > 0.7
    assert front_of(whole) == (whole / "front.glo").read_text()
    assert (whole / "best_triton.py").is_file()


def test_every_candidate_is_in_the_study(whole: Path) -> None:
    summary = json.loads((whole / "summary.json").read_text())
    with Records.open(whole) as records:
        searched = [c for c in records.candidates() if "complexity" in c["origin"]]
        bred = ("no usable gradient", "passed over")  # and not asked about
        assert len(searched) <= sum(n for reason, n in summary["proposals"].items() if reason not in bred)
        trained = [c for c in searched if c["verdict"] == ""]
        assert len(trained) == summary["proposals"]["trained"]
        assert all(losses_of(c["text"]) for c in searched)
        assert set(records.work()) == {"done"}


@pytest.mark.parametrize("where", [Where(workers=2), Where("processes", 2)], ids=["threads", "processes"])
def test_other_workers_have_the_same_history(whole: Path, tmp_path: Path, where: Where) -> None:
    begin(small(), tmp_path / "study", where)
    assert story(tmp_path / "study") == story(whole)
    assert results(tmp_path / "study") == results(whole)


@pytest.mark.parametrize("every", [0.0, math.inf], ids=["checkpoints", "no checkpoints"])
def test_an_interrupted_search_goes_on_where_it_was(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: float
) -> None:
    """Interrupted again and again, at one moment after the other."""
    monkeypatch.setattr(checkpoint, "EVERY", every)
    monkeypatch.setattr(checkpoint, "SHARE", math.inf)
    directory = tmp_path / "study"
    stop = _interrupted_every(3)
    for attempt in range(60):
        try:
            if attempt == 0:
                begin(small(), directory, HERE, stop)
            else:
                resume(directory, HERE, stop)
            break
        except KeyboardInterrupt:
            stop = _interrupted_every(3 + attempt)
    assert attempt > 2
    assert story(directory) == story(whole) and results(directory) == results(whole)


def _interrupted_every(count: int) -> Callable[[Progress], None]:
    seen = [0]

    def report(_: Progress) -> None:
        seen[0] += 1
        if seen[0] == count:
            raise KeyboardInterrupt

    return report


DRIVER = """
import sys
from pathlib import Path
from glo_dsl.errors import GloError
from glo_dsl.evolve import checkpoint
from glo_dsl.evolve.session import Where, begin, resume
from tests.evolve.conftest import small
directory = Path(sys.argv[1])
checkpoint.EVERY, checkpoint.SHARE = 0.0, 1e9  # after every generation
try:
    resume(directory, Where(sys.argv[2], 1))
except GloError as error:
    if "there is no" not in str(error):
        raise
    begin(small(), directory, Where(sys.argv[2], 1))
"""
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])}


def test_a_killed_search_loses_nothing_and_comes_to_the_same(whole: Path, tmp_path: Path) -> None:
    """kill -9 at moments that nobody chose; `GLO_KILLS` sets how many, for the long profile."""
    chance, kills, studies = random.Random(0), int(os.environ.get("GLO_KILLS", "3")), 0
    while kills > 0:
        directory = tmp_path / f"study{studies}"
        kills -= _driven_to_its_end(directory, kills, chance)
        assert story(directory) == story(whole) and results(directory) == results(whole)
        studies += 1


def _driven_to_its_end(directory: Path, kills: int, chance: random.Random) -> int:
    """How often the search was killed on its way: its driver, every fourth time a worker of it."""
    done = 0
    while True:
        worker = done % 4 == 3
        command = [sys.executable, "-c", DRIVER, str(directory), "processes" if worker else "in-process"]
        driver = subprocess.Popen(
            command, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        if done < kills:
            _wait_for_work(directory, driver)
            time.sleep(chance.random() * (4 if worker else 1))
            before = _evaluations(directory)
            with contextlib.suppress(ProcessLookupError):  # it has come to its end by itself
                os.kill(chance.choice(_children(driver.pid) or [driver.pid]) if worker else driver.pid, signal.SIGKILL)
            done += 1
        _, error = driver.communicate(timeout=300)
        assert before <= _evaluations(directory)  # what was stored once is there
        if driver.returncode == 0:
            return done
        assert driver.returncode == -signal.SIGKILL, error


def _children(process: int) -> list[int]:
    try:
        return [int(n) for n in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except OSError:
        return []


def _wait_for_work(directory: Path, driver: subprocess.Popen[bytes]) -> None:
    """Until the driver has taken the study; it may also have come to its end."""
    for _ in range(600):
        if driver.poll() is not None:
            return
        with contextlib.suppress(glo.GloError), Records.open(directory) as records:  # there may be no study yet
            if str(driver.pid) in str(records.driver()):
                return
        time.sleep(0.05)


def _evaluations(directory: Path) -> set[tuple[object, ...]]:
    with contextlib.suppress(glo.GloError), Records.open(directory) as records:
        return {(e["seed"], e["rung"], e["fitness"], c["text"]) for c in records.candidates() for e in c["evaluations"]}
    return set()


def test_a_finished_search_tells_it_again_without_training(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = results(whole)
    monkeypatch.setattr(Trainer, "evaluate", lambda *_: pytest.fail("trained again"))
    resume(whole, HERE)
    assert results(whole) == before


def test_the_page_of_a_finished_search_is_written_once(ended: Path, tmp_path: Path) -> None:
    """But again where it is missing, and over that of a search that was still running."""
    study, page = tmp_path / "study", tmp_path / "study" / "report.html"
    shutil.copytree(ended, study)
    page.write_text("as it was")
    resume(study, HERE)
    assert page.read_text() == "as it was"
    page.unlink()
    resume(study, HERE)
    whole = page.read_text()
    page.write_text("of a search that runs")
    with sqlite3.connect(next(study.glob("*.sqlite*"))) as database:
        assert database.execute("DELETE FROM meta WHERE key = 'reported'").rowcount == 1
    assert resume(study, HERE).unreported == "" and page.read_text() == whole


def test_another_history_is_refused(tmp_path: Path) -> None:
    config = small(trainings=10)
    begin(config, tmp_path / "a", HERE)
    with Study.open(tmp_path / "a") as study:
        study._database._connection.execute("UPDATE meta SET value = json_set(value, '$.seed', 5) WHERE key = 'config'")
    with pytest.raises(glo.GloError, match="another history"):
        resume(tmp_path / "a", HERE)


@pytest.mark.parametrize(
    ("strategy", "options"),
    [
        ("glo", {"population": 80, "generations": 6, "samples": 4, "sample_generations": 1}),
        ("taylor", {"population": 6, "generations": 2, "order": 2, "invariant": "exact"}),
    ],
)
def test_the_presets_of_the_papers_run_to_their_end(strategy: str, options: dict[str, object], tmp_path: Path) -> None:
    outcome = begin(small(strategy, strategy_options=options, trainings=1000), tmp_path / "study", HERE)
    assert outcome.entries and outcome.baseline.result.mean > 0.7
    assert dict(outcome.counts)["trained"] > 0


def test_a_front_is_shown_with_what_it_comes_from(tmp_path: Path) -> None:
    """NSGA-II on known losses: the report has small ones beside fit ones, and tells what was remembered."""
    options = {"population": 6, "offspring": 8, "generations": 3, "start": "zoo"}
    config = small("nsga2", strategy_options=options, finalists=2, tune_generations=0, trainings=200)
    outcome = begin(config, tmp_path / "study", HERE)
    fit, small_one = sorted(entry.complexity for entry in outcome.entries)[::-1]
    assert small_one <= 4 < fit
    rows = json.loads((tmp_path / "study" / "summary.json").read_text())["losses"]
    assert rows[0]["seeds"] == [] and all(row["seeds"][0].startswith("zoo: ") for row in rows[1:])
    assert "comes from zoo: " in (tmp_path / "study" / "front.glo").read_text()


def robust() -> Config:
    options = {
        "population": 6,
        "offspring": 8,
        "generations": 3,
        "start": "zoo",
        "objectives": ["fitness", "robustness"],
    }
    return small("nsga2", strategy_options=options, attack=0.5, finalists=2, tune_generations=0, trainings=200)


def test_robustness_is_an_objective(tmp_path: Path) -> None:
    """It is measured, told and reported, the same for any workers and for who was interrupted."""
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    outcome = begin(robust(), whole, HERE)
    for entry in (outcome.baseline, *outcome.entries):
        clean, attacked = entry.result.accuracies, entry.result.attacked
        assert len(attacked) == len(clean) and sum(attacked) < sum(clean)
    with Records.open(whole) as records:
        told = [event.payload for event in records.events(["tell"])]
        finalists = gathered(records).outcome
    fitness, robustness = ([f for t in told for f in t[name] if f is not None] for name in ("fitness", "robustness"))
    assert len(fitness) == len(robustness) > 10 and sum(robustness) < sum(fitness)
    assert finalists is not None and finalists.best.result == outcome.entries[0].result
    assert "under attack; cross_entropy: 0." in (whole / "front.glo").read_text()
    assert '<th scope="col" class="n">under attack</th>' in (whole / "report.html").read_text()
    with contextlib.suppress(KeyboardInterrupt):
        begin(robust(), stopped, Where(workers=2), _interrupted_every(4))
    assert resume(stopped, HERE).entries == outcome.entries and story(stopped) == story(whole)
    with sqlite3.connect(next(stopped.glob("*.sqlite*"))) as database:
        assert database.execute("""UPDATE evaluation SET metrics = '{"attacked":true}'""").rowcount > 6
    with pytest.raises(glo.GloError, match="True, which is no metric"):
        resume(stopped, HERE)


def test_robustness_needs_an_attack(tmp_path: Path) -> None:
    options = {"objectives": ["fitness", "robustness"], "start": "none"}
    with pytest.raises(glo.GloError, match="robustness is measured under an attack, and there is none") as caught:
        begin(small("nsga2", strategy_options=options), tmp_path / "study", HERE)
    assert caught.value.hint == "say how strong it is, in units of the inputs, such as --set attack=0.1"
    with pytest.raises(glo.GloError, match="attack is -1"):
        small(attack=-1)


def test_constants_are_tuned(tmp_path: Path) -> None:
    text = "loss f(z: real[C], t: class[C]; k = 0.5, e = 1) = -k * log_softmax(z)[t] + e * sum(softmax(z)^2)"
    config = small("constants", text, "f", strategy_options={"population": 4, "generations": 2}, trainings=100)
    outcome = begin(config, tmp_path / "study", HERE)
    best = glo.load(tmp_path / "study" / "best.glo")["best"]
    assert set(best.defaults) == {"k", "e"} and outcome.entries[0].result.mean > 0.5


TWO = "loss f(z: real[C], t: class[C]; k = 0.5, e = 1) = -k * log_softmax(z)[t] + e * sum(softmax(z)^2)"


def by_gradient() -> Config:
    options = {"method": "both", "steps": 3, "population": 4, "generations": 1}
    settings = {"tune_method": "gradient", "tune_generations": 4, "fresh_seeds": 5, "rate_seeds": 1}
    return small("constants", TWO, "f", strategy_options=options, trainings=500, **settings)


def test_constants_by_gradient_have_one_history(tmp_path: Path) -> None:
    """On any workers, and interrupted again and again."""
    whole, other, stopped = (tmp_path / name for name in ("whole", "other", "stopped"))
    outcome = begin(by_gradient(), whole, HERE)
    assert outcome.trainings == 3 * 2 * SLOPES + 4 * 2
    with Records.open(whole) as records:
        assert gathered(records).generations[-1].trainings == outcome.trainings
    begin(by_gradient(), other, Where(workers=2))
    assert story(other) == story(whole) and results(other) == results(whole)
    with contextlib.suppress(KeyboardInterrupt):
        begin(by_gradient(), stopped, HERE, _interrupted_every(2))
    for attempt in range(20):
        with contextlib.suppress(KeyboardInterrupt):
            resume(stopped, HERE, _interrupted_every(3 + attempt))
            break
    assert attempt > 0
    assert story(stopped) == story(whole) and results(stopped) == results(whole)
    with sqlite3.connect(next(stopped.glob("*.sqlite*"))) as database:
        changed = database.execute(
            "UPDATE evaluation SET metrics = '{\"slopes\":[\"x\"]}' WHERE metrics LIKE '%slopes%'"
        )
        assert changed.rowcount > 6
    with pytest.raises(glo.GloError, match="which are no slopes"):
        resume(stopped, HERE)


def test_what_cannot_be_differentiated_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise glo.GloError("Net cannot be differentiated twice")

    monkeypatch.setattr("glo_dsl.evolve.evaluator.slopes", refuse)
    config = small("constants", TWO, "f", strategy_options={"method": "gradient"}, trainings=500)
    with pytest.raises(glo.GloError, match=r"no candidate could be trained: .*Net cannot be differentiated twice"):
        begin(config, tmp_path / "study", HERE)


def test_regression(tmp_path: Path) -> None:
    text = "loss glo(p: real, y: real) = ?f(p - y)"
    outcome = begin(small(space=text, task=LINE), tmp_path / "study", HERE)
    assert outcome.baseline.loss.name == "squared_error" and outcome.baseline.result.mean > 0.9
    assert outcome.entries[0].result.mean > 0.5


@pytest.mark.parametrize(
    ("text", "task", "message"),
    [
        ("loss f(p: real, y: real) = ?f(p, y)", BLOBS, "must take logits"),
        ("loss f(z: real[C], t: class[C]) = ?f(z[t])", LINE, "must take two numbers"),
        ("loss f(z: real[C], t: class[C]) = z[t]", BLOBS, "has no hole"),
        (GLO.replace("glo", "f"), "nothing", "unknown task nothing"),
    ],
)
def test_mistakes_write_nothing(text: str, task: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(glo.GloError, match=message):
        begin(configured(text, "f", {"task": task}), tmp_path / "study", HERE)
    assert not (tmp_path / "study").exists()


def test_one_that_raises_does_not_spoil_its_neighbours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Trainer.evaluate

    def evaluate(self: Trainer, payload: dict[str, list[dict[str, str]]]) -> dict[str, object]:
        if any("sqrt" in job["text"] for job in payload["jobs"]):
            raise ValueError("no square roots here")
        return whole(self, payload)

    monkeypatch.setattr(Trainer, "evaluate", evaluate)
    outcome = begin(small(), tmp_path / "study", HERE)
    counts = dict(outcome.counts)
    assert counts["failed"] > 0 and counts["trained"] > 0
    with Records.open(tmp_path / "study") as records:
        reasons = {u.reason for n in range(20) for u in records.units(n) if u.state == "failed"}
    assert any("no square roots here" in reason for reason in reasons)


def test_seeds_of_different_purposes_never_meet() -> None:
    for seed in (0, 1, 7):
        config = Config(GLO, "glo", seed=seed)
        used = [s for p in ("search", "leader", "tune", "rate", "confirm", "fresh") for s in config.seeds(p)]  # type: ignore[arg-type]
        assert len(used) == len(set(used))

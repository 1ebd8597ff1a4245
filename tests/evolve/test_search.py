from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

import glo_dsl as glo
from glo_dsl.evolve.genetic import Settings
from glo_dsl.evolve.search import Outcome, Plan, Progress, Search, search
from glo_dsl.evolve.task import Task

GLO = "loss glo(z: real[C], t: class[C]) = let y = softmax(z), x = onehot(t) in -mean(?f(x, y))"
SMALL = Plan(
    settings=Settings(population=16, parents=8, newcomers=4), generations=2, leaders=3, leader_seeds=2, finalists=1,
    tune_generations=2, tune_seeds=2, rate_seeds=2, fresh_seeds=4,
)  # fmt: skip


def run(task: Task, out: Path, plan: Plan = SMALL) -> Outcome:
    return search(glo.loads(GLO)["glo"], task, plan, out)


def test_a_search_ends_with_a_loss_that_reads_back_and_trains(blobs: Task, tmp_path: Path) -> None:
    outcome = run(blobs, tmp_path)
    best = glo.load(tmp_path / "best.glo")["best"]
    assert not best.holes
    assert [r.name for r in outcome.results] == ["cross_entropy", "evolved", "tuned"]
    assert all(r.grid.interior and len(r.accuracies) == 4 for r in outcome.results)
    assert next(r for r in outcome.results if r.name == outcome.best_name).mean > 0.7
    assert sum(outcome.counts.values()) == 3 * 16


def test_every_evaluated_candidate_is_on_disk(blobs: Task, tmp_path: Path) -> None:
    outcome = run(blobs, tmp_path)
    lines = (tmp_path / "candidates.jsonl").read_text().splitlines()
    assert len(lines) == outcome.counts["trained"]
    assert all(0 <= json.loads(line)["accuracy"] <= 1 for line in lines)


def test_the_same_seed_finds_the_same_loss(blobs: Task, tmp_path: Path) -> None:
    first, second = run(blobs, tmp_path / "a"), run(blobs, tmp_path / "b")
    assert first == second


def test_a_kill_loses_nothing_that_was_finished(blobs: Task) -> None:
    log = io.StringIO()

    def interrupt(progress: Progress) -> None:
        if progress.stage == "evolving" and progress.done == 2:
            raise KeyboardInterrupt

    running = Search(glo.loads(GLO)["glo"], blobs, SMALL, log, interrupt)
    with pytest.raises(KeyboardInterrupt):
        running.run()
    assert len(log.getvalue().splitlines()) == running.funnel.counts["trained"]


def test_seeds_of_different_purposes_never_meet() -> None:
    groups = ("search", "leaders", "tune", "rates", "fresh")
    for seed in (0, 1, 7):
        used = [s for group in groups for s in Plan(seed=seed).seeds(group)]
        assert len(used) == len(set(used))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("loss f(p: real, y: real) = ?f(p, y)", "must take logits"),
        ("loss f(z: real[C], t: class[C]) = z[t]", "has no hole"),
    ],
)
def test_what_is_no_space_is_refused(blobs: Task, text: str, message: str) -> None:
    with pytest.raises(glo.GloError, match=message):
        Search(glo.loads(text)["f"], blobs, SMALL, io.StringIO())

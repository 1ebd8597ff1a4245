"""How fast a search trains, how much it need not train, and what that costs. See README.md in this folder."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from measuring import machine

import glo_dsl as glo
from glo_dsl.evolve.config import configured
from glo_dsl.evolve.cost import networks_of
from glo_dsl.evolve.driver import Search
from glo_dsl.evolve.evaluator import loss_of
from glo_dsl.evolve.executors.executor import Finished
from glo_dsl.evolve.funnel import Funnel
from glo_dsl.evolve.kernels import build_candidates
from glo_dsl.evolve.ledger import Ledger
from glo_dsl.evolve.session import Where
from glo_dsl.evolve.store.rows import Unit
from glo_dsl.evolve.store.study import Study
from glo_dsl.evolve.tasks.named import task_named
from glo_dsl.evolve.tasks.task import Task
from glo_dsl.evolve.train.feed import batches
from glo_dsl.evolve.train.stack import drawn
from glo_dsl.evolve.train.unit import Job, train

SPACE = Path(__file__).parents[1] / "examples" / "glo.glo"
WRONG_WAY = "pushes away from the label"
SAMPLE = 40


def stacked(task: Task, jobs: int, seeds: int) -> dict[str, float]:
    """Trainings per second of one unit on one thread, against a loop over modules."""
    (built,) = build_candidates([glo.zoo["cross_entropy"]])
    work = [Job(built, task.recipe.rate)] * jobs
    train(task.shortened(3), work, range(seeds), task.validation)
    wall, cpu = time.perf_counter(), time.process_time()
    scores = train(task, work, range(seeds), task.validation)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    alone, alone_cpu, reached = looped(task, 4)
    assert abs(scores[0][-1].metric[0] - reached) < 1e-6, "the loop and the stack train to different accuracies"
    count = jobs * seeds
    return {
        "stacked per second": count / wall, "stacked per CPU second": count / cpu,
        "loop per second": 4 / alone, "loop per CPU second": 4 / alone_cpu,
        "ratio per CPU second": count / cpu * alone_cpu / 4,
    }  # fmt: skip


def looped(task: Task, count: int) -> tuple[float, float, float]:
    """Wall and CPU seconds of training networks one after the other as anybody would, and what the first reached."""
    reached = 0.0
    wall, cpu = time.perf_counter(), time.process_time()
    for seed in range(count):
        (network,) = drawn(task.model, [seed])
        optimizer = torch.optim.SGD(network.parameters(), task.recipe.rate)
        for chosen in batches(task, seed):
            optimizer.zero_grad()
            F.cross_entropy(network(task.train[0][chosen]), task.train[1][chosen]).backward()
            optimizer.step()
        with torch.no_grad():
            found = (network(task.validation[0]).argmax(-1) == task.validation[1]).double().mean().item()
        reached = found if seed == 0 else reached
    return time.perf_counter() - wall, time.process_time() - cpu, reached


def searched(
    task: str, strategy: str, trainings: int, executor_name: str, directory: Path
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A search without its report: how its time is spent, and its candidates."""
    config = configured(SPACE.read_text(), "glo", {"task": task, "strategy": strategy, "trainings": trainings})
    totals: Counter[str] = Counter()

    def told(unit: Unit, finished: Finished) -> None:
        assert finished.result is not None, finished.failure
        totals["built"] += finished.result["built"]
        totals["busy"] += finished.result["seconds"]
        totals["trainings"] += networks_of(unit)

    where = Where(executor_name)
    wall, cpu = time.perf_counter(), os.times()
    with Study.create(directory, config.as_json()) as study, where.begin(config) as executor:
        study.take()
        search = Search(config, task_named(task), Ledger(study, executor, told))
        search.propose()
        candidates = study.candidates()
    spent = time.perf_counter() - wall
    after = os.times()
    used = sum(after[:4]) - sum(cpu[:4])
    counts = dict(search.fates)
    figures = {
        "seconds": spent, "proposals": sum(counts.values()), "trainings": totals["trainings"],
        "never trained": 1 - counts["trained"] / sum(counts.values()), "counts": counts,
        "trainings per second": totals["trainings"] / spent, "trainings per CPU second": totals["trainings"] / used,
        "share of the workers' time in compilation": totals["built"] / totals["busy"],
    }  # fmt: skip
    return figures, candidates


def falsely_rejected(task: Task, candidates: list[dict[str, Any]]) -> dict[str, float]:
    """Trains a sample of what the funnel turned away for its direction: how many of them reach 0.9."""
    funnel = Funnel(task.outputs)
    unit = funnel.peek(glo.zoo["cross_entropy"]).scale
    losses = [loss_of(c["text"]) for c in candidates if c["verdict"] == WRONG_WAY][:SAMPLE]
    jobs = []
    for built in build_candidates(losses):
        _, gradient = funnel.value_and_gradient(built.loss)
        scale = float((gradient[:32] ** 2).mean() ** 0.5)
        jobs += [Job(built, task.recipe.rate * unit / scale * factor) for factor in (0.1, 0.7, 1.4)]
    scores = train(task, jobs, [0], task.validation)
    best = [max(s[-1].fitness for s in scores[n : n + 3]) for n in range(0, len(scores), 3)]
    return {"sample": len(best), "reached 0.9": sum(b >= 0.9 for b in best), "best": max(best, default=0.0)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trainings", type=int, default=3000, help="of islands; GLO gets a third")
    parser.add_argument("--task", default="digits")
    parser.add_argument("--executor", default="in-process")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    task = task_named(options.task)
    found: dict[str, Any] = {"machine": machine(), "task": options.task}
    found["training"] = stacked(task, 20, 2)
    with tempfile.TemporaryDirectory() as folder:
        found["search"], _ = searched(
            options.task, "islands", options.trainings, options.executor, Path(folder) / "islands"
        )
        found["search of GLO"], candidates = searched(
            options.task, "glo", options.trainings // 3, options.executor, Path(folder) / "glo"
        )
    found["rejected"] = falsely_rejected(task, candidates)
    print(json.dumps(found, indent=1))
    if options.out:
        options.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

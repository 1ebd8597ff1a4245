"""Constants of losses by CMA-ES, by gradient, and by one after the other: which gets further for the same trainings?

python benchmarks/constants.py --out benchmarks/results/constants.json    # ten minutes on one core that is free

Each method tunes each loss on each task with the same number of trainings, a training with its derivatives counted as
`SLOPES`, and does so again with other networks and other chance. What it came to after half of them and after all is
trained on seeds of its own and judged on validation and test data; nothing is chosen by these. Learning rates follow
the scale of the gradient, as in a search.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch
from measuring import machine

import glo_dsl as glo
from glo_dsl.evolve.cost import SLOPES
from glo_dsl.evolve.funnel import Funnel
from glo_dsl.evolve.kernels import build_candidates
from glo_dsl.evolve.space import space_of, with_coefficients
from glo_dsl.evolve.strategies.taylor import polynomial
from glo_dsl.evolve.strategies.tuners import METHODS, Tuning, tuner_of
from glo_dsl.evolve.tasks.named import task_named
from glo_dsl.evolve.tasks.task import Part, Task
from glo_dsl.evolve.train.slopes import slopes
from glo_dsl.evolve.train.unit import Job, train
from glo_dsl.evolve.uphill import hill_of
from glo_dsl.evolve.work import Proposal, Told
from glo_dsl.lang.elaborate import parse_expression
from glo_dsl.lang.loss import Loss

SPACE = Path(__file__).parents[1] / "examples" / "glo.glo"
FOUND = "x * log(y) + sqrt(y)"
RATE = {"digits": 0.5, "digits-noisy": 1.0}
"""What the task's rate is multiplied by: at all of it on digits, networks fail with taylor3 as it begins."""


def losses() -> dict[str, Loss]:
    """What is tuned, from where."""
    space = space_of(glo.load(SPACE)["glo"])
    tree, params = with_coefficients(parse_expression(FOUND, {t.name: t for t in space.terms}))
    return {
        "gce": glo.zoo["gce"], "focal": glo.zoo["focal"],
        "taylor3": polynomial(3, [0.0, 0.0, 0.0, 0.0, 0.0, 3.0, -1.0, 0.0]), "found": space.fill(tree, params),
    }  # fmt: skip


class Judge:
    """Trains what is proposed for one task, at rates that follow the scale of the gradient."""

    def __init__(self, task: Task, factor: float) -> None:
        self.task, self.funnel = task, Funnel(task.outputs)
        self._unit = task.recipe.rate * factor * self.funnel.peek(glo.zoo["cross_entropy"]).scale

    def told(self, proposals: Sequence[Proposal], seeds: Sequence[int]) -> list[Told]:
        """What a search would tell of them."""
        verdicts = [self.funnel.peek(p.loss) for p in proposals]
        usable = [(p.loss, self._unit / v.scale) for p, v in zip(proposals, verdicts) if v.reason is None]
        one = self._climbed if proposals[0].hill else self._trained
        known = iter(one(usable, seeds))
        return [next(known) if v.reason is None else Told(None, v.reason) for v in verdicts]

    def _trained(self, usable: Sequence[tuple[Loss, float]], seeds: Sequence[int]) -> Iterator[Told]:
        built = build_candidates([loss for loss, _ in usable])
        jobs = [Job(candidate, rate) for candidate, (_, rate) in zip(built, usable)]
        yield from (Told(s[-1].fitness) for s in train(self.task, jobs, seeds, self.task.validation))

    def _climbed(self, usable: Sequence[tuple[Loss, float]], seeds: Sequence[int]) -> Iterator[Told]:
        for loss, rate in usable:
            found = [s for s in slopes(self.task, loss, rate, seeds, self.task.validation) if s.usable]
            rows = [(s.smooth, s.by_rate, *s.by_constants) for s in found]
            hill = hill_of(rows, len(seeds), self.funnel.slopes_of_scale(loss))
            yield Told(sum(s.metric for s in found) / len(seeds), "", hill)

    def reached(self, loss: Loss, part: Part, seeds: Sequence[int]) -> tuple[float, ...]:
        """The metric of networks that chose nothing; 0 of those that have diverged."""
        (built,) = build_candidates([loss])
        rate = self._unit / self.funnel.peek(loss).scale
        ((*_, score),) = train(self.task, [Job(built, rate)], seeds, part)
        return tuple(0.0 if m != m else m for m in score.metric)


def tuned(judge: Judge, loss: Loss, method: str, vectors: int, again: int, networks: int) -> dict[str, Any]:
    """What a method comes to after half and all of `vectors` trainings of `networks` each."""
    population = 4 + int(3 * math.log(len(loss.params)))
    share = {"cma": 0.0, "gradient": 1.0, "both": 0.5}[method]
    tuning = Tuning(
        method, generations=round((1 - share) * vectors / population), steps=round(share * vectors / SLOPES)
    )  # type: ignore[arg-type]
    tuner, seeds = tuner_of(loss, tuning, again), range(1000 * again, 1000 * again + networks)
    spent, half = 0, loss
    cpu = time.process_time()
    while asked := tuner.ask():
        spent += len(asked) * (SLOPES if asked[0].hill else 1)
        tuner.tell(judge.told(asked, seeds))
        half = tuner.mean if spent <= vectors / 2 else half
    return {"spent": spent, "cpu seconds": time.process_time() - cpu, "half": half, "all": tuner.mean}


def compared(judge: Judge, loss: Loss, options: argparse.Namespace) -> dict[str, Any]:
    """All methods on one loss and one task: fitness of what they came to, with standard errors over the repetitions."""
    fresh = range(500_000, 500_000 + options.fresh)
    parts = {"validation": judge.task.validation, "test": judge.task.test}

    def judged(found: Loss) -> dict[str, float]:
        return {name: fmean(judge.reached(found, part, fresh)) for name, part in parts.items()}

    result: dict[str, Any] = {"start": judged(loss)}
    for method in METHODS:
        runs = [tuned(judge, loss, method, options.vectors, 1 + n, options.networks) for n in range(options.repeats)]
        figures: dict[str, Any] = {"cpu seconds": fmean(run["cpu seconds"] for run in runs)}
        figures["spent"] = [run["spent"] for run in runs]
        for when in ("half", "all"):
            each = [judged(run[when]) for run in runs]
            figures[when] = {
                part: {"mean": fmean(e[part] for e in each), "error": stdev(e[part] for e in each) / len(each) ** 0.5}
                for part in parts
            }  # fmt: skip
        figures["constants"] = [run["all"].defaults for run in runs]
        result[method] = figures
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", action="append", choices=list(RATE), help="as often as wished; both by default")
    parser.add_argument("--loss", action="append", choices=list(losses()), help="as often as wished; all by default")
    parser.add_argument("--vectors", type=int, default=72, help="trainings of every network of a run")
    parser.add_argument("--networks", type=int, default=3, help="of each loss in a run")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--fresh", type=int, default=20, help="networks that judge a result")
    parser.add_argument("--out", type=Path, help="write the figures there; those of other tasks and losses stay")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    for task in options.task or RATE:
        judge = Judge(task_named(task), RATE[task])
        for name, loss in losses().items():
            if name in (options.loss or losses()):
                _keep(f"{task} {name}", compared(judge, loss, options), options)


def _keep(case: str, figures: dict[str, Any], options: argparse.Namespace) -> None:
    print(case, json.dumps(figures), flush=True)
    if options.out:
        found = json.loads(options.out.read_text(encoding="utf-8")) if options.out.exists() else {}
        found |= {"machine": machine(), case: figures}
        found["settings"] = {n: getattr(options, n) for n in ("vectors", "networks", "repeats", "fresh")}
        options.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""The main job: a space and a task to a loss, its constants, and a comparison that can be believed."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

import numpy as np
import torch

from glo_dsl.errors import GloError
from glo_dsl.evolve.compare import Grid, Result, held_out_accuracies, tune_rate
from glo_dsl.evolve.funnel import Funnel, Verdict
from glo_dsl.evolve.genetic import Individual, Settings, evolve
from glo_dsl.evolve.kernels import Candidate, build_candidates
from glo_dsl.evolve.space import Space, space_of, with_coefficients
from glo_dsl.evolve.task import Task
from glo_dsl.evolve.trainer import train
from glo_dsl.evolve.tune import tune
from glo_dsl.evolve.variation import Vocabulary
from glo_dsl.ir.expr import Expr
from glo_dsl.lang.definitions import losses_of
from glo_dsl.lang.loss import Loss, Param
from glo_dsl.lang.show import show
from glo_dsl.passes.simplify import simplify

BASELINE = "# The baseline: softmax cross-entropy.\nloss cross_entropy(z: real[C], t: class[C]) = -log(softmax(z)[t])\n"


@dataclass(frozen=True)
class Plan:
    """How much is tried. Every random choice follows from `seed`.

    The groups of training seeds do not overlap: those that choose a loss, those that choose its learning rate, and
    the fresh ones that it is reported on.
    """

    seed: int = 0
    settings: Settings = field(default_factory=Settings)
    generations: int = 20
    search_seeds: int = 2
    rate_factors: tuple[float, ...] = (0.7, 1.4)
    leaders: int = 10
    leader_seeds: int = 10
    finalists: int = 3
    tune_generations: int = 12
    tune_sigma: float = 0.3
    tune_seeds: int = 6
    rate_seeds: int = 10
    fresh_seeds: int = 100

    def seeds(self, group: str) -> range:
        """The training seeds of one purpose."""
        sizes = {
            "search": self.search_seeds, "leaders": self.leader_seeds, "tune": self.tune_seeds,
            "rates": self.rate_seeds, "fresh": self.fresh_seeds,
        }  # fmt: skip
        first = 100_000 * (1 + list(sizes).index(group)) + 1000 * self.seed
        return range(first, first + sizes[group])


@dataclass(frozen=True)
class Progress:
    """What the search is doing: `done` of `total` steps of a stage, and its best validation accuracy so far."""

    stage: str
    done: int
    total: int
    best: float = 0.0
    counts: tuple[tuple[str, int], ...] = ()


Report = Callable[[Progress], None]


@dataclass(frozen=True)
class Outcome:
    """What a search found. `results` are the baseline, the evolved loss, the tuned one; `best` is the text of the
    winner on validation data; `trainings` counts trained networks."""

    best: str
    best_name: str
    results: tuple[Result, ...]
    trainings: int
    counts: dict[str, int]


@dataclass(frozen=True)
class _Entry:
    """A loss at its best learning rate, on its way into the final table."""

    candidate: Candidate
    grid: Grid
    genotype: Expr | None = None
    params: tuple[Param, ...] = ()

    @property
    def validation(self) -> float:
        return max(self.grid.accuracy)


class Search:
    """One run; see `run`."""

    def __init__(self, loss: Loss, task: Task, plan: Plan, log: IO[str], report: Report = lambda _: None) -> None:
        check_space(loss)
        self.space: Space = space_of(loss)
        self.task, self.plan, self.report, self._log = task, plan, report, log
        self.funnel = Funnel(task.classes)
        self.generator = np.random.default_rng(plan.seed)
        self.trainings = 0
        (self.baseline,) = build_candidates([losses_of(BASELINE)["cross_entropy"]])
        self._unit = Funnel(task.classes).judge(self.baseline.loss).scale

    def run(self) -> Outcome:
        """Baseline rate, evolution, a second look at the finalists, constants, comparison."""
        self.report(Progress("tuning the baseline's learning rate", 0, 1))
        base = self._rate_grid(self.baseline, 1.0)
        self.base_rate = base.best
        finalists = [self._entry("evolved", genotype, ()) for genotype in self._evolve()]
        evolved = max(finalists, key=lambda entry: entry.validation)
        tuned = max((self._tuned(entry) for entry in finalists), key=lambda entry: entry.validation)
        results = self._compare([_Entry(self.baseline, base), evolved, tuned])
        best = max((evolved, tuned), key=lambda entry: entry.validation)
        assert best.genotype is not None
        remark = f"Found by glo search on task {self.task.name}; train it with SGD at a rate near {best.grid.best:.3g}."
        text = self.space.text(best.genotype, best.params, remark)
        return Outcome(text, best.candidate.loss.name, results, self.trainings, dict(self.funnel.counts))

    def _entry(self, name: str, genotype: Expr, params: tuple[Param, ...]) -> _Entry:
        """A loss with its own learning rate."""
        (candidate,) = build_candidates([replace(self.space.fill(genotype, params), name=name)])
        grid = self._rate_grid(candidate, self._rate_for(self.funnel.peek(candidate.loss)))
        return _Entry(candidate, grid, genotype, params)

    def _tuned(self, entry: _Entry) -> _Entry:
        assert entry.genotype is not None
        return self._entry("tuned", *self._tune(entry.genotype, entry.grid.best))

    def _train(self, candidates: Sequence[Candidate], rates: torch.Tensor, group: str) -> torch.Tensor:
        seeds = self.plan.seeds(group)
        self.trainings += len(candidates) * len(seeds) * rates.shape[1]
        return train(self.task, candidates, rates, seeds, self.task.validation)

    def _rate_grid(self, candidate: Candidate, start: float) -> Grid:
        grid = tune_rate(self.task, candidate, self.plan.seeds("rates"), start)
        self.trainings += len(grid.rates) * self.plan.rate_seeds
        return grid

    def _rate_for(self, verdict: Verdict) -> float:
        """The learning rate at which the first steps are as long as cross-entropy's at its best."""
        return self.base_rate * self._unit / verdict.scale

    def _evolve(self) -> list[Expr]:
        plan = self.plan
        words = Vocabulary(self.space.terms)

        def told(number: int, found: list[Individual]) -> None:
            best = found[0].fitness if found else 0.0
            self.report(Progress("evolving", number + 1, plan.generations + 1, best, tuple(self.funnel.counts.items())))

        found = evolve(words, self._evaluate, self.generator, plan.settings, plan.generations, report=told)
        return self._second_look([i.genotype for i in found])

    def _evaluate(self, genotypes: Sequence[Expr]) -> list[float]:
        """Fitness: mean validation accuracy over the search seeds, at the better of the tried rates."""
        losses = [self.space.fill(g) for g in genotypes]
        verdicts = [self.funnel.judge(loss) for loss in losses]
        chosen = [n for n, verdict in enumerate(verdicts) if verdict.reason is None]
        fitness = self._measured([losses[n] for n in chosen], [verdicts[n] for n in chosen], "search")
        for n, value in zip(chosen, fitness):
            self._remember(genotypes[n], value)
        found = dict(zip(chosen, fitness))
        return [found.get(n, 0.0) for n in range(len(genotypes))]

    def _measured(self, losses: Sequence[Loss], verdicts: Sequence[Verdict], group: str) -> list[float]:
        rates = torch.tensor([[self._rate_for(v) * f for f in self.plan.rate_factors] for v in verdicts])
        if not losses:
            return []
        accuracy = self._train(build_candidates(losses), rates, group)
        return [float(a) for a in accuracy.mean(1).amax(-1)]

    def _remember(self, genotype: Expr, fitness: float) -> None:
        """Every finished evaluation is on disk before the next one starts."""
        self._log.write(json.dumps({"f": show(genotype), "accuracy": round(fitness, 6)}) + "\n")
        self._log.flush()

    def _second_look(self, ranked: Sequence[Expr]) -> list[Expr]:
        """The best of the leaders on other seeds: the best of many on two seeds is mostly the luckiest.

        Raises:
            GloError: nothing trained at all.
        """
        if not ranked:
            raise GloError("no candidate could be trained", hint="give the search more generations")
        leaders = ranked[: self.plan.leaders]
        self.report(Progress("second look at the leaders", 0, 1))
        losses = [self.space.fill(g) for g in leaders]
        fitness = self._measured(losses, [self.funnel.peek(loss) for loss in losses], "leaders")
        order = sorted(range(len(leaders)), key=lambda n: -fitness[n])
        return [simplify([leaders[n]])[0] for n in order[: self.plan.finalists]]

    def _tune(self, genotype: Expr, rate: float) -> tuple[Expr, tuple[Param, ...]]:
        """The genotype with a tuned coefficient on every node."""
        plan = self.plan
        expr, params = with_coefficients(genotype)
        loss = self.space.fill(expr, params)
        (built,) = build_candidates([loss])
        unit = self.funnel.peek(built.loss).scale

        def objective(vectors: Sequence[Sequence[float]]) -> list[float]:
            given = [_with_defaults(loss, params, v) for v in vectors]
            verdicts = [self.funnel.peek(g) for g in given]
            usable = [n for n, verdict in enumerate(verdicts) if verdict.reason is None]
            candidates = [replace(built, params=_values(given[n])) for n in usable]
            rates = torch.tensor([[rate * unit / verdicts[n].scale] for n in usable]).reshape(-1, 1)
            accuracy = self._train(candidates, rates, "tune").mean(1)[:, 0].tolist()
            measured = dict(zip(usable, accuracy))
            return [measured.get(n, float("nan")) for n in range(len(vectors))]

        def told(number: int, best: float) -> None:
            self.report(Progress("tuning constants", number + 1, plan.tune_generations, best))

        start = [p.default for p in params]
        vector = tune(start, objective, self.generator, plan.tune_sigma, plan.tune_generations, report=told)
        rounded = [float(f"{v:.4g}") for v in vector]
        return expr, tuple(replace(p, default=v) for p, v in zip(params, rounded))

    def _compare(self, entries: Sequence[_Entry]) -> tuple[Result, ...]:
        results = []
        for n, entry in enumerate(entries):
            self.report(Progress("fresh seeds on test data", n, len(entries)))
            accuracies = held_out_accuracies(self.task, entry.candidate, entry.grid.best, self.plan.seeds("fresh"))
            self.trainings += self.plan.fresh_seeds
            results.append(Result(entry.candidate.loss.name, entry.grid, accuracies))
        return tuple(results)


def _with_defaults(loss: Loss, params: Sequence[Param], values: Sequence[float]) -> Loss:
    given = dict(zip((p.name for p in params), values))
    return replace(loss, params=tuple(replace(p, default=given.get(p.name, p.default)) for p in loss.params))


def _values(loss: Loss) -> tuple[float, ...]:
    return tuple(p.default for p in loss.params)


def check_space(loss: Loss) -> None:
    """Refuses a space that a classification task cannot feed.

    Raises:
        GloError: its inputs are not one real[C] and one class[C].
    """
    if sorted(str(v.type) for v in loss.inputs) != ["class[C]", "real[C]"]:
        raise GloError(
            f"{loss.name} must take logits real[C] and a label class[C] to be searched on a classification task",
            loss.span, source=loss.source,
        )  # fmt: skip
    if loss.per is not None:
        hint = "candidates are trained on the mean over the batch; leave per out"
        raise GloError(f"{loss.name} has a divisor of its own", loss.span, hint, loss.source)


def search(loss: Loss, task: Task, plan: Plan, out: Path, report: Report = lambda _: None) -> Outcome:
    """Runs a search and writes `best.glo` and `candidates.jsonl` (one line for each evaluated candidate) to `out`.

    Raises:
        GloError: `loss` is no search space for this task, or nothing in it trains.
    """
    out.mkdir(parents=True, exist_ok=True)
    with (out / "candidates.jsonl").open("w", encoding="utf-8") as log:
        outcome = Search(loss, task, plan, log, report).run()
    (out / "best.glo").write_text(outcome.best, encoding="utf-8")
    return outcome

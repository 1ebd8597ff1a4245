"""What a search reports: winners trained again, each at its own best rate, on seeds and data that chose nothing.

The best of many trainings is mostly the luckiest. So the leaders of a search are looked at again on other seeds; those
that remain get their own learning rate, and constants; and only then, once, the test data are read, on fresh seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from glo_dsl.errors import GloError
from glo_dsl.evolve.compare import Grid, Result
from glo_dsl.evolve.funnel import Verdict
from glo_dsl.evolve.ledger import Measured, Schedule
from glo_dsl.evolve.rates import grid_of
from glo_dsl.evolve.space import with_coefficients
from glo_dsl.evolve.strategies.cmaes import CmaEs, Sampling
from glo_dsl.ir.expr import Expr, size
from glo_dsl.lang.loss import Loss
from glo_dsl.passes.simplify import simplify

if TYPE_CHECKING:
    from glo_dsl.evolve.driver import Search


@dataclass(frozen=True)
class Finalist:
    """A loss on its way to the report: its gradient class, a learning rate that it did well at, and the known losses
    that it comes from."""

    loss: Loss
    verdict: Verdict
    rate: float
    complexity: int
    genotype: Expr | None = None
    seeds: tuple[str, ...] = ()


@dataclass(frozen=True)
class Entry:
    """A row of the report: a loss, its rates, what it reached on the test data with each fresh seed; and the known
    losses that it comes from: what has none was found, what has some was found on the way from there."""

    loss: Loss
    complexity: int
    result: Result
    genotype: Expr | None = None
    seeds: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What a search found.

    Attributes:
        baseline: the task's usual loss, at its own best rate. entries: the finalists, the best on validation data
            first; test data have ordered nothing.
        trainings: networks that the strategy trained. in_all: with those of the report.
        counts: what became of the proposals.
    """

    baseline: Entry
    entries: tuple[Entry, ...]
    trainings: int
    in_all: int
    counts: tuple[tuple[str, int], ...]


def verified(search: Search, leaders: Sequence[Finalist]) -> Outcome:
    """The report on a search whose strategy has come to its end."""
    trainings = search.ledger.trainings
    search.say("second look at the leaders")
    finalists = _second_look(search, leaders)
    search.say("learning rates of the finalists")
    baseline = Finalist(search.baseline, search.peek(search.baseline), search.task.recipe.rate, 0)
    with_rates = [(f, _grid(search, f)) for f in (baseline, *finalists)]
    if search.config.tune_generations:
        search.say("constants of the finalists")
        tuned = [t for f, grid in with_rates[1:] if (t := _tuned(search, f, grid.best)) is not None]
        with_rates += [(f, _grid(search, f)) for f in tuned]
    search.say("validation once more, on many seeds")
    confirmed = _confirmed(search, with_rates[1:])
    places = sorted(range(len(confirmed)), key=lambda n: (-confirmed[n], with_rates[1 + n][0].complexity, n))
    order = [with_rates[0], *(with_rates[1 + n] for n in places)]
    search.say("fresh seeds on test data")
    first, *rest = [Entry(f.loss, f.complexity, _fresh(search, f, grid), f.genotype, f.seeds) for f, grid in order]
    return Outcome(first, tuple(rest), trainings, search.ledger.trainings, search.tally)


def _second_look(search: Search, leaders: Sequence[Finalist]) -> list[Finalist]:
    """The first on other seeds."""
    schedule = Schedule(search.config.seeds("leader"), search.steps[-1:])
    requests = [search.request(f.loss, f.verdict, f.rate) for f in leaders]
    fitness = [m.fitness or 0.0 for m in search.ledger.evaluate("leaders", requests, schedule)]
    order = search.order(leaders, fitness)
    return [replace(leaders[n], loss=replace(leaders[n].loss, name=f"found{k}"))
            for k, n in enumerate(order[: search.config.finalists])]  # fmt: skip


def _grid(search: Search, finalist: Finalist) -> Grid:
    def judge(rates: Sequence[float]) -> list[float]:
        requests = [search.request(finalist.loss, finalist.verdict, rate) for rate in rates]
        schedule = Schedule(search.config.seeds("rate"), search.steps[-1:])
        return [m.fitness or 0.0 for m in search.ledger.evaluate("rates", requests, schedule)]

    return grid_of(judge, finalist.rate)


def _confirmed(search: Search, entries: Sequence[tuple[Finalist, Grid]]) -> list[float]:
    """Validation fitness at the rates that were chosen: the best of a grid flatters, and one network in twenty that
    diverges is not seen by ten."""
    schedule = Schedule(search.config.seeds("confirm"), search.steps[-1:])
    requests = [search.request(f.loss, f.verdict, grid.best) for f, grid in entries]
    return [m.fitness or 0.0 for m in search.ledger.evaluate("confirm", requests, schedule)]


def _fresh(search: Search, finalist: Finalist, grid: Grid) -> Result:
    schedule = Schedule(search.config.seeds("fresh"), search.steps[-1:], "test")
    request = search.request(finalist.loss, finalist.verdict, grid.best, "test")
    (measured,) = search.ledger.evaluate("test", [request], schedule)
    if measured.reason:
        raise GloError(f"{finalist.loss.name} could not be trained on fresh seeds: {measured.reason}")
    return Result(finalist.loss.name, grid, tuple(0.0 if m != m else m for m in measured.metric))


def _tuned(search: Search, finalist: Finalist, rate: float) -> Finalist | None:
    """The finalist with constants by CMA-ES, a coefficient on every node if it has none of its own; None where nothing
    is to be tuned, or nothing tuned can be trained."""
    loss, genotype = finalist.loss, finalist.genotype
    if genotype is not None and search.space is not None and loss.params == search.space.loss.params:
        (simple,) = simplify([genotype])
        genotype, params = with_coefficients(simple)  # as GLO has it
        loss = replace(search.space.fill(genotype, params), name=loss.name)
    names = [p.name for p in loss.params]
    if not names:
        return None
    unit, config = search.peek(loss).scale, search.config
    cma = CmaEs(
        [p.default for p in loss.params], np.random.default_rng([config.seed, len(names)]), Sampling(config.tune_sigma)
    )
    schedule = Schedule(config.seeds("tune"), search.steps[-1:])
    for _ in range(config.tune_generations):
        vectors = cma.ask()
        if not vectors:
            break
        given = [_with_defaults(loss, vector) for vector in vectors]
        verdicts = search.judged(given)
        usable = [n for n, v in enumerate(verdicts) if v.reason is None]
        requests = [search.request(given[n], verdicts[n], rate * unit / verdicts[n].scale) for n in usable]
        note = {"verdicts": [v.written for v in verdicts]}
        found = dict(zip(usable, search.ledger.evaluate("constants", requests, schedule, note=note)))
        cma.tell([_fitness(found.get(n)) for n in range(len(vectors))])
    best = _with_defaults(loss, [float(f"{v:.4g}") for v in cma.mean])
    verdict = search.peek(best)
    if verdict.reason is not None:
        return None
    name = f"{finalist.loss.name}_tuned"
    return Finalist(
        replace(best, name=name), verdict, rate * unit / verdict.scale, size(best.expr), genotype, finalist.seeds
    )


def _fitness(measured: Measured | None) -> float | None:
    return None if measured is None else measured.fitness


def _with_defaults(loss: Loss, values: Sequence[float]) -> Loss:
    return replace(loss, params=tuple(replace(p, default=float(v)) for p, v in zip(loss.params, values)))

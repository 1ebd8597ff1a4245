"""What a search reports: winners trained again, each at its own best rate, on seeds and data that chose nothing.

The best of many trainings is mostly the luckiest. So the leaders of a search are looked at again on other seeds; those
that remain get their own learning rate, and constants; and only then, once, the test data are read, on fresh seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from glo_dsl.errors import GloError
from glo_dsl.evolve.compare import Grid, Result
from glo_dsl.evolve.progress import CONFIRMING, CONSTANTS, FRESH, LEADERS, RATES
from glo_dsl.evolve.rates import grid_of
from glo_dsl.evolve.request import Schedule
from glo_dsl.evolve.tuning import Finalist, tuned_of
from glo_dsl.ir.expr import Expr
from glo_dsl.lang.loss import Loss

if TYPE_CHECKING:
    from glo_dsl.evolve.driver import Search


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
        unreported: why no page about the search was written, or "".
    """

    baseline: Entry
    entries: tuple[Entry, ...]
    trainings: int
    in_all: int
    counts: tuple[tuple[str, int], ...]
    unreported: str = ""


def verified(search: Search, leaders: Sequence[Finalist]) -> Outcome:
    """The report on a search whose strategy has come to its end."""
    trainings = search.ledger.trainings
    search.say(LEADERS)
    finalists = _second_look(search, leaders)
    baseline = Finalist(search.baseline, search.peek(search.baseline), search.task.recipe.rate, 0)
    with_rates = _with_rates(search, (baseline, *finalists), _Steps(search, RATES, 1 + len(finalists)))
    if generations := search.config.tune_generations:
        steps = _Steps(search, CONSTANTS, (1 + generations) * len(finalists))
        tuned = [tuned_of(search, finalist, grid.best, steps.done) for finalist, grid in with_rates[1:]]
        with_rates += _with_rates(search, [t for t in tuned if t is not None], steps)
    search.say(CONFIRMING)
    confirmed = _confirmed(search, with_rates[1:])
    places = sorted(range(len(confirmed)), key=lambda n: (-confirmed[n], with_rates[1 + n][0].complexity, n))
    order = [with_rates[0], *(with_rates[1 + n] for n in places)]
    steps, entries = _Steps(search, FRESH, len(order)), []
    for f, grid in order:
        entries.append(Entry(f.loss, f.complexity, _fresh(search, f, grid), f.genotype, f.seeds))
        steps.done()
    return Outcome(entries[0], tuple(entries[1:]), trainings, search.ledger.trainings, search.fates)


class _Steps:
    """Reports a stage step by step."""

    def __init__(self, search: Search, stage: str, total: int) -> None:
        self._search, self._stage, self._total, self._done = search, stage, total, 0
        search.say(stage, 0, total)

    def done(self) -> None:
        self._done += 1
        self._search.say(self._stage, self._done, self._total)


def _with_rates(search: Search, finalists: Sequence[Finalist], steps: _Steps) -> list[tuple[Finalist, Grid]]:
    found = []
    for finalist in finalists:
        found.append((finalist, _grid(search, finalist)))
        steps.done()
    return found


def _second_look(search: Search, leaders: Sequence[Finalist]) -> list[Finalist]:
    """The first on other seeds."""
    schedule = Schedule(search.config.seeds("leader"), search.steps[-1:], attack=search.config.attack)
    requests = [search.request(f.loss, f.verdict, f.rate) for f in leaders]
    order = search.order(leaders, search.ledger.evaluate("leaders", requests, schedule))
    return [replace(leaders[n], loss=replace(leaders[n].loss, name=f"found{k}"))
            for k, n in enumerate(order[: search.config.finalists])]  # fmt: skip


def _grid(search: Search, finalist: Finalist) -> Grid:
    def judge(rates: Sequence[float]) -> list[float]:
        requests = [search.request(finalist.loss, finalist.verdict, rate) for rate in rates]
        schedule = Schedule(search.config.seeds("rate"), search.steps[-1:])
        return [m.worth for m in search.ledger.evaluate("rates", requests, schedule)]

    return grid_of(judge, finalist.rate)


def _confirmed(search: Search, entries: Sequence[tuple[Finalist, Grid]]) -> list[float]:
    """Validation fitness at the rates that were chosen: the best of a grid flatters, and one network in twenty that
    diverges is not seen by ten."""
    schedule = Schedule(search.config.seeds("confirm"), search.steps[-1:])
    requests = [search.request(f.loss, f.verdict, grid.best) for f, grid in entries]
    return [m.worth for m in search.ledger.evaluate("confirm", requests, schedule)]


def _fresh(search: Search, finalist: Finalist, grid: Grid) -> Result:
    schedule = Schedule(search.config.seeds("fresh"), search.steps[-1:], "test", attack=search.config.attack)
    request = search.request(finalist.loss, finalist.verdict, grid.best, "test")
    (measured,) = search.ledger.evaluate("test", [request], schedule)
    if measured.reason:
        raise GloError(f"{finalist.loss.name} could not be trained on fresh seeds: {measured.reason}")
    fitness = tuple(0.0 if m != m else m for m in measured.metric)
    attacked = tuple(0.0 if m != m else m for m in measured.attacked)
    return Result(finalist.loss.name, grid, fitness, sum(m != m for m in measured.metric), attacked)

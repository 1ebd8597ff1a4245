"""The constants of a finalist, tuned at the learning rate that it is best at."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from glo_dsl.evolve.config import Config
from glo_dsl.evolve.cost import SLOPES
from glo_dsl.evolve.funnel import Verdict
from glo_dsl.evolve.request import Measured, Schedule
from glo_dsl.evolve.space import with_coefficients
from glo_dsl.evolve.strategies.tuners import Tuning, tuner_of
from glo_dsl.evolve.work import Proposal, Told
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


def tuned_of(search: Search, finalist: Finalist, rate: float, done: Callable[[], None]) -> Finalist | None:
    """The finalist with tuned constants, a coefficient on every node if it has none of its own; None where nothing is
    to be tuned, or nothing tuned can be trained. `done` is called after every generation."""
    loss, genotype = finalist.loss, finalist.genotype
    if genotype is not None and search.space is not None and loss.params == search.space.loss.params:
        (simple,) = simplify([genotype])
        genotype, params = with_coefficients(simple)  # as GLO has it
        loss = replace(search.space.fill(genotype, params), name=loss.name)
    if not loss.params:
        return None
    unit = search.peek(loss).scale
    tuner = tuner_of(loss, tuning_of(search.config, len(loss.params)), [search.config.seed, len(loss.params)])
    while proposals := tuner.ask():
        tuner.tell(_judged(search, proposals, rate * unit))
        done()
    best = replace(tuner.mean, params=tuple(replace(p, default=float(f"{p.default:.4g}")) for p in tuner.mean.params))
    verdict = search.peek(best)
    if verdict.reason is not None:
        return None
    name = f"{finalist.loss.name}_tuned"
    rate = rate * unit / verdict.scale
    return Finalist(replace(best, name=name), verdict, rate, size(best.expr), genotype, finalist.seeds)


def tuning_of(config: Config, constants: int) -> Tuning:
    """What the configuration allows for: by any method as many trainings as CMA-ES takes."""
    vectors = config.tune_generations * (4 + int(3 * math.log(constants)))
    share = {"cma": 0.0, "gradient": 1.0, "both": 0.5}[config.tune_method]
    steps = math.ceil(share * vectors / SLOPES)
    generations = round((1 - share) * config.tune_generations)
    return Tuning(config.tune_method, config.tune_sigma, 0, generations, steps)


def _judged(search: Search, proposals: Sequence[Proposal], rate: float) -> list[Told]:
    """What became of proposals at rates that are `rate` divided by the scale of each."""
    hill = any(p.hill for p in proposals)
    schedule = Schedule(search.config.seeds("tune"), search.steps[-1:], slopes=hill)
    verdicts = search.judged([p.loss for p in proposals])
    usable = [n for n, v in enumerate(verdicts) if v.reason is None]
    requests = [
        search.request(proposals[n].loss, verdicts[n], rate / verdicts[n].scale, hill=hill) for n in usable
    ]  # fmt: skip
    note = {"verdicts": [v.written for v in verdicts]}
    found = dict(zip(usable, search.ledger.evaluate("constants", requests, schedule, note=note)))
    return [_told(search, p, v, found.get(n)) for n, (p, v) in enumerate(zip(proposals, verdicts))]


def _told(search: Search, proposal: Proposal, verdict: Verdict, measured: Measured | None) -> Told:
    if measured is None or measured.fitness is None:
        return Told(None, verdict.reason or (measured.reason if measured else ""))
    hill = search.hill(proposal.loss, measured, scaled=True) if proposal.hill else None
    return Told(measured.fitness, "", hill)

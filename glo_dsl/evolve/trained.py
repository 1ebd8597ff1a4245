"""What a search knows of the losses that it has trained."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from glo_dsl.evolve.funnel import Verdict
from glo_dsl.evolve.progress import Leader
from glo_dsl.evolve.work import Proposal
from glo_dsl.ir.expr import Expr, size
from glo_dsl.lang.loss import Loss
from glo_dsl.lang.show import show


@dataclass(frozen=True)
class Trained:
    """A proposal that was trained: its loss, gradient class, the rate it did best at and how; how many networks had
    been trained by then; `seeds` are the known losses that it comes from."""

    loss: Loss
    verdict: Verdict
    rate: float
    fitness: float
    complexity: int
    genotype: Expr | None
    trainings: int = 0
    seeds: tuple[str, ...] = ()

    @property
    def rank(self) -> tuple[float, int]:
        return -self.fitness, self.complexity

    @property
    def shown(self) -> Leader:
        """In a few words."""
        constants = ", ".join(f"{p.name} = {p.default:.4g}" for p in self.loss.params)
        text = constants if self.genotype is None else show(self.genotype)
        return Leader(self.complexity, self.fitness, text, self.trainings)


def complexity_of(proposal: Proposal) -> int:
    """In nodes."""
    given = proposal.notes.get("complexity")
    return given if isinstance(given, int) else size(proposal.loss.expr)


def seeds_of(proposal: Proposal) -> tuple[str, ...]:
    """The known losses that it comes from."""
    given = proposal.notes.get("seeds")
    return tuple(given) if isinstance(given, list) else ()


def front(trained: Iterable[Trained]) -> list[Trained]:
    """The best of every size that is better than all smaller ones, smallest first."""
    found: list[Trained] = []
    for entry in sorted(trained, key=lambda t: (t.complexity, -t.fitness)):
        if not found or entry.fitness > found[-1].fitness:
            found.append(entry)
    return found

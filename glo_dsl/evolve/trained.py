"""What a search knows of the losses that it has trained: kept as text, for most are never looked at again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from glo_dsl.evolve.evaluator import loss_of, remember
from glo_dsl.evolve.funnel import Verdict
from glo_dsl.evolve.progress import Leader
from glo_dsl.evolve.store.plain_json import decode, encode
from glo_dsl.evolve.work import Proposal
from glo_dsl.ir.expr import size
from glo_dsl.lang.loss import Loss
from glo_dsl.lang.restate import restated
from glo_dsl.lang.show import show


@dataclass(frozen=True)
class Trained:
    """A proposal that was trained.

    Attributes:
        text: its loss. filling: what fills the hole there, where the proposal says.
        verdict: that of the funnel. rate: the one it did best at. complexity: in nodes.
        trainings: networks that had been trained by then. seeds: the known losses that it comes from.
    """

    text: str
    filling: str | None
    verdict: Verdict
    rate: float
    fitness: float
    complexity: int
    trainings: int = 0
    seeds: tuple[str, ...] = ()

    @classmethod
    def of(cls, proposal: Proposal, verdict: Verdict, rate: float, fitness: float, trainings: int) -> Trained:
        """That of a proposal."""
        text, given = restated(proposal.loss), proposal.notes.get("seeds")
        remember(text, proposal.loss)
        return cls(
            text, None if proposal.genotype is None else show(proposal.genotype), verdict, rate, fitness,
            complexity_of(proposal), trainings, tuple(given) if isinstance(given, list) else (),
        )  # fmt: skip

    @cached_property
    def written(self) -> str:
        """As JSON text, which is made once: there are many, and they are written again and again."""
        return encode([
            self.text, self.filling, self.verdict.written, self.rate, self.fitness, self.complexity, self.trainings,
            self.seeds,
        ])  # fmt: skip

    @classmethod
    def read(cls, written: str) -> Trained:
        """What was written so.

        Raises:
            GloError, TypeError, ValueError: it is something else.
        """
        text, filling, verdict, rate, fitness, complexity, trainings, seeds = decode(written)
        return cls(text, filling, Verdict.read(verdict), rate, fitness, complexity, trainings, tuple(seeds))

    @property
    def loss(self) -> Loss:
        return loss_of(self.text)

    @property
    def rank(self) -> tuple[float, int]:
        return -self.fitness, self.complexity

    @property
    def shown(self) -> Leader:
        """In a few words."""
        text = self.filling
        if text is None:
            text = ", ".join(f"{p.name} = {p.default:.4g}" for p in self.loss.params)
        return Leader(self.complexity, self.fitness, text, self.trainings)


def complexity_of(proposal: Proposal) -> int:
    """In nodes."""
    given = proposal.notes.get("complexity")
    return given if isinstance(given, int) else size(proposal.loss.expr)


def front(trained: Iterable[Trained]) -> list[Trained]:
    """The best of every size that is better than all smaller ones, smallest first."""
    found: list[Trained] = []
    for entry in sorted(trained, key=lambda t: (t.complexity, -t.fitness)):
        if not found or entry.fitness > found[-1].fitness:
            found.append(entry)
    return found

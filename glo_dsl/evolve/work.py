"""What the parts of a search hand to each other: proposals, what became of them, and strategies that make them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from glo_dsl.ir.expr import Expr
from glo_dsl.lang.loss import Loss


@dataclass(frozen=True)
class Proposal:
    """A loss that a strategy asks about.

    Attributes:
        loss: complete; its constants are the defaults of its parameters.
        origin: how it was made, such as "random", "crossover" or "sample".
        parents: numbers of the proposals of this study that it was made from; a strategy counts what it asks from 0.
        notes: what the strategy wants on record, as JSON has it.
        genotype: what fills the hole of the space, where there is one.
        hill: whether the strategy wants to know which way is up; then of all proposals of a generation.
    """

    loss: Loss
    origin: str
    parents: tuple[int, ...] = ()
    notes: Mapping[str, object] = field(default_factory=dict)
    genotype: Expr | None = None
    hill: bool = False


@dataclass(frozen=True)
class Hill:
    """How a smooth stand-in for fitness lies at the constants of a loss: its value, and its derivative by each."""

    value: float
    slope: tuple[float, ...]


@dataclass(frozen=True)
class Told:
    """What became of a proposal.

    Attributes:
        fitness: larger is better; None for a proposal that was rejected, or whose training failed.
        reason: why there is no fitness, in a few words.
        hill: where it was wanted and could be found.
    """

    fitness: float | None
    reason: str = ""
    hill: Hill | None = None


class Strategy(Protocol):
    """Proposes generations of losses and learns from what became of them.

    Its state is what its seed and the sequence of `tell`s make it, and nothing else: to resume a search, a new one is
    asked and told again what the log of the study has. So all chance comes from a generator of its own, no global one
    is touched, no file is read or written, and the order of sets or hashes decides nothing.
    """

    def ask(self) -> Sequence[Proposal]:
        """The next generation; empty when the strategy has come to its end. Asked again before `tell`: the same."""

    def tell(self, outcomes: Sequence[Told]) -> None:
        """What became of the generation asked for last, in its order."""

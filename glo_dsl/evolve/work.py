"""What the parts of a search hand to each other: proposals, what became of them, and strategies that make them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

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
        robustness: the fitness on inputs that are changed, where the search has it measured.
    """

    fitness: float | None
    reason: str = ""
    hill: Hill | None = None
    robustness: float | None = None


@dataclass(frozen=True)
class Judged:
    """A loss with what is known of it. Attributes: as those of `Proposal` and `Told`; complexity is in nodes."""

    loss: Loss
    complexity: int
    fitness: float
    robustness: float | None = None


T = TypeVar("T")


def with_outcomes(asked: Sequence[T], outcomes: Sequence[Told]) -> list[tuple[T, Told]]:
    """What was asked about, each with what became of it.

    Raises:
        ValueError: not one outcome for each, or nothing was asked.
    """
    if not asked or len(outcomes) != len(asked):
        raise ValueError(f"{len(asked)} proposals wait for an outcome, got {len(outcomes)}")
    return list(zip(asked, outcomes))


class Strategy(Protocol):
    """Proposes generations of losses and learns from what became of them. Strategies inherit what they do not need.

    Its state is what its seed and the sequence of `tell`s make it, and nothing else: to resume a search, a new one is
    asked and told again what the log of the study has, or takes on the state that an earlier one had. So all chance
    comes from a generator of its own, no global one is touched, no file is read or written, and the order of sets or
    hashes decides nothing.
    """

    def ask(self) -> Sequence[Proposal]:
        """The next generation; empty when the strategy has come to its end. Asked again before `tell`: the same."""

    def tell(self, outcomes: Sequence[Told]) -> None:
        """What became of the generation asked for last, in its order."""

    def state(self) -> dict[str, Any] | None:
        """What `restore` makes a new strategy of the same settings the same by, as JSON has it. It is asked for after
        a `tell`, before the next `ask`. None where there is no shorter way than to ask and tell again."""
        return None

    def restore(self, state: dict[str, Any]) -> None:
        """Becomes what a strategy was that had this state.

        Raises:
            ArithmeticError, AttributeError, GloError, LookupError, TypeError, ValueError: it is none; the strategy is
                of no use then.
        """
        raise ValueError("this strategy has no state")

    @property
    def answer(self) -> Loss | None:
        """A loss that it has come to, such as a mean, to be looked at beside the best of those that it asked about."""
        return None

    @property
    def front(self) -> Sequence[Expr]:
        """What fills the hole in those that it holds to be the best by several objectives."""
        return ()

    @property
    def dropped(self) -> Counter[str]:
        """Expressions that it made and did not ask about, by reason."""
        return Counter()

    @property
    def attacks(self) -> bool:
        """Whether it cannot do without `Told.robustness`."""
        return False

    def order(self, judged: Sequence[Judged]) -> Sequence[int]:
        """The places of losses, those first that are to be reported: the fittest, and of equals the smaller."""
        return sorted(range(len(judged)), key=lambda n: (-judged[n].fitness, judged[n].complexity, n))

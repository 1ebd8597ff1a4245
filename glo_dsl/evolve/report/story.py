"""What a report tells of a search, as plain values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from glo_dsl.evolve.compare import Result
from glo_dsl.evolve.config import Config

State = Literal["ended", "running", "interrupted"]


@dataclass(frozen=True)
class About:
    """What the study says of the task. `metric` and `outputs` are "" and 0 in a study of an older glo-dsl."""

    metric: str = ""
    outputs: int = 0
    baseline: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    """A proposal and what became of it.

    Attributes:
        number: in the order of asking, from 0.
        fate: "trained", or why not.
        fitness: what the strategy was told; None for nothing.
        scores: mean validation fitness of its gradient class after so many steps.
    """

    number: int
    generation: int
    text: str
    origin: str
    parents: tuple[int, ...]
    complexity: int
    fate: str
    fitness: float | None
    scores: Mapping[int, float]


@dataclass(frozen=True)
class Generation:
    """Proposals that were asked about together. `trainings`: networks trained when it was over. `dropped`: expressions
    that the strategy bred for it and did not ask about, by reason."""

    number: int
    trainings: int
    asked: tuple[Asked, ...]
    dropped: Mapping[str, int] = field(default_factory=dict)

    @property
    def fates(self) -> Counter[str]:
        """What became of all of them."""
        return Counter(a.fate for a in self.asked) + Counter(self.dropped)


@dataclass(frozen=True)
class Loss:
    """A loss of the final table.

    Attributes:
        text: in the words of the space. restated: in those of the IR, which is what was trained.
        result: its grid and its test fitness. p: of Welch's test against the baseline; None for the baseline itself,
            and where there is no spread to test by.
    """

    name: str
    text: str
    restated: str
    complexity: int
    result: Result
    p: float | None = None


@dataclass(frozen=True)
class Outcome:
    """The final table: the finalists, the best on validation data first."""

    baseline: Loss
    finalists: tuple[Loss, ...]
    trainings: int
    in_all: int

    @property
    def best(self) -> Loss:
        return self.finalists[0]


@dataclass(frozen=True)
class Story:
    """All of a search. `steps`: after how many a candidate is judged, rising."""

    config: Config
    about: About
    state: State
    stage: str
    steps: tuple[int, ...]
    generations: tuple[Generation, ...]
    outcome: Outcome | None

    @property
    def asked(self) -> list[Asked]:
        """All proposals; the place of each is its number."""
        return [asked for generation in self.generations for asked in generation.asked]

    @property
    def last(self) -> int:
        """Steps of a whole training; 0 where nothing was trained."""
        return self.steps[-1] if self.steps else 0

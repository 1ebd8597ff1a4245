"""What a study holds, row by row."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

State = Literal["queued", "leased", "done", "failed"]


@dataclass(frozen=True, slots=True)
class Event:
    """One step of a search. `n` counts from 1 without a gap, in the order in which events were written."""

    n: int
    kind: str
    payload: Any


@dataclass(frozen=True, slots=True)
class Candidate:
    """A proposal, as the funnel has judged it.

    Attributes:
        text: its definition in `.glo`.
        origin: how it was made, as JSON has it.
        gradient_class: what it shares with all losses that train alike; None for one that was rejected before.
        verdict: why it is not trained; "" if it is.
    """

    text: str
    origin: Any
    gradient_class: bytes | None
    complexity: int
    verdict: str = ""


@dataclass(frozen=True, slots=True)
class Unit:
    """A piece of work for one worker.

    Attributes:
        attempt: how often it was claimed. Whoever claims it shows this number when it finishes.
        failures: how often it went wrong.
        lease_until: when it may be given to another, in seconds since 1970.
    """

    id: int
    generation: int
    payload: Any
    state: State
    owner: str
    lease_until: float
    attempt: int
    failures: int
    reason: str


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What one training gave: a fact about (class, seed, rung), whoever finds it and whenever.

    So what only this machine met, such as a lack of memory or of time, is no evaluation: the unit has failed.

    Attributes:
        gradient_class: names all trainings that come to the same. A search writes the key of the unit's job, which is
            the class of a candidate together with step size and data.
        rung: a search writes the number of steps.
        fitness: larger is better; None if there is none to be had, with a `reason`.
        metrics: more numbers, as JSON has it.
        seconds: what it took; 0 where nobody measured.

    Raises:
        ValueError: the fitness is not finite, or is None without a reason; a seed or rung is beyond 64 bits.

    >>> Evaluation(b"class", 0, 0, fitness=float("nan"))
    Traceback (most recent call last):
    ValueError: the fitness nan of seed 0, rung 0 is not finite: write None and a reason
    """

    gradient_class: bytes
    seed: int
    rung: int
    fitness: float | None
    metrics: Mapping[str, object] = field(default_factory=dict)
    reason: str = ""
    seconds: float = 0.0

    def __post_init__(self) -> None:
        here = f"of seed {self.seed}, rung {self.rung}"
        if self.fitness is not None and not math.isfinite(self.fitness):
            raise ValueError(f"the fitness {self.fitness} {here} is not finite: write None and a reason")
        if self.fitness is None and not self.reason:
            raise ValueError(f"the evaluation {here} has neither a fitness nor a reason")
        if not (-(2**63) <= self.seed < 2**63 and -(2**63) <= self.rung < 2**63):
            raise ValueError(f"the numbers {here} do not fit 64 bits")
        if not math.isfinite(self.seconds):
            raise ValueError(f"the seconds {here} are {self.seconds}")

"""A training that a search wants, and what is known of it in the end."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from glo_dsl.evolve.evaluator import PartName
from glo_dsl.lang.loss import Loss


@dataclass(frozen=True)
class Request:
    """A training that is wanted.

    Attributes:
        key: names all trainings that come to the same: see `key_of`.
        loss: what is trained. rate: the learning rate.
    """

    key: bytes
    loss: Loss
    rate: float


@dataclass(frozen=True)
class Schedule:
    """How requests are trained: networks of these seeds, judged on a part after so many steps, of which a share goes on
    after each but the last. With `slopes`, derivatives of one rung by the parameters of each loss are asked for too;
    with an `attack` of some size, how they do on inputs that are changed by so much."""

    seeds: tuple[int, ...]
    steps: tuple[int, ...]
    part: PartName = "validation"
    keep: float = 0.5
    slopes: bool = False
    attack: float = field(default=0.0, repr=False)


@dataclass(frozen=True)
class Measured:
    """What is known of a request: the metric of every seed, NaN where the network has diverged, after so many steps; or
    why there is none. `first`: the fitness at the first rung, for one that has gone on after it. `slopes`: those of
    every seed as `Trainer` has them, where they were asked for and exist. `attacked`: the metric on inputs that are
    changed, where that was asked for."""

    steps: int
    metric: tuple[float, ...]
    reason: str = ""
    first: float | None = None
    slopes: tuple[tuple[float, ...], ...] = ()
    attacked: tuple[float, ...] = ()

    @property
    def fitness(self) -> float | None:
        """The mean, in which a network that has diverged counts as one that has learnt nothing."""
        return None if self.reason else _mean(self.metric)

    @property
    def robustness(self) -> float | None:
        """The same of `attacked`; None where it was not asked for."""
        return None if self.reason or not self.attacked else _mean(self.attacked)

    @property
    def worth(self) -> float:
        """The fitness, and less than any where there is none: the metric of a task may be below 0."""
        return -math.inf if self.fitness is None else self.fitness

    @property
    def rank(self) -> tuple[int, float]:
        """The further, the better; then the fitter."""
        return self.steps, self.worth


def _mean(metric: Sequence[float]) -> float:
    return sum(0.0 if m != m else m for m in metric) / len(metric)


def key_of(gradient_class: bytes, step_size: float, part: str) -> bytes:
    """What two trainings have in common that come to the same: gradients up to a factor, the learning rate times that
    factor, and the data that they are judged on. Seeds and steps are named beside it."""
    text = gradient_class + f"|{step_size:.6g}|{part}".encode()
    return hashlib.blake2b(text, digest_size=16).digest()


def key_of_slopes(text: str, rate: float, part: str) -> bytes:
    """The same for trainings with derivatives, which losses of one gradient do not share: their parameters differ."""
    return hashlib.blake2b(f"slopes|{part}|{rate!r}|{text}".encode(), digest_size=16).digest()


def digest_of(requests: Sequence[Request], schedule: Schedule) -> str:
    """Names what is asked for."""
    digest = hashlib.blake2b(repr(schedule).encode(), digest_size=8)
    if schedule.attack:  # what is asked without one has the name that it had before there were any
        digest.update(f"attack {schedule.attack!r}".encode())
    for request in requests:
        digest.update(request.key + f"{request.rate!r}".encode())
    return digest.hexdigest()

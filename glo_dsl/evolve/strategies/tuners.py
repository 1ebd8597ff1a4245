"""The constants of one loss by CMA-ES, by the gradient of what trainings come to, or by one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np

from glo_dsl.errors import GloError
from glo_dsl.evolve.strategies.ascent import Ascent
from glo_dsl.evolve.strategies.cmaes import Sampling
from glo_dsl.evolve.strategies.constants import Constants, Coordinate, placed
from glo_dsl.evolve.work import Proposal, Strategy, Told
from glo_dsl.ir.types import Interval
from glo_dsl.lang.loss import Loss

Method = Literal["cma", "gradient", "both"]
METHODS = ("cma", "gradient", "both")

NARROWED = 1 / 3
"""The first step of CMA-ES after a gradient has been followed, as a share of what it is without."""

INSIDE = 1e-3
"""How far from an open end of its domain a constant stays, in its units or as a share of the domain."""


class Tuner(Strategy, Protocol):
    """A strategy that has an answer at any time."""

    @property
    def mean(self) -> Loss:
        """The loss with the constants that it has come to."""


@dataclass(frozen=True)
class Tuning:
    """How constants are tuned, from the defaults of the parameters.

    Attributes:
        method: "cma", "gradient", or "both": CMA-ES with small steps from where the gradient has led.
        sigma: the first step of either, in units of the constants: their absolute values, or 1 for a 0.
        population: of CMA-ES; 0 for what is usual. generations: of CMA-ES. steps: along the gradient.
    """

    method: Method = "cma"
    sigma: float = 0.3
    population: int = 0
    generations: int = 30
    steps: int = 15


def tuner_of(loss: Loss, tuning: Tuning, seed: int | Sequence[int]) -> Tuner:
    """The strategy for the parameters of a loss; `seed` is what NumPy's generators take.

    Raises:
        GloError: the loss has no parameters, or has a hole, or there is no such method.
        ValueError: a number makes no sense.
    """
    if not loss.params or loss.holes:
        raise GloError(f"{loss.name} has no constants to tune", loss.span, "write them as parameters", loss.source)
    if tuning.method not in METHODS:
        raise GloError(f"no method {tuning.method}", hint=f"there are {', '.join(METHODS)}")
    sampling = Sampling(tuning.sigma, tuning.population or None)
    generator = np.random.default_rng(seed)
    if tuning.method == "cma":
        return Constants(loss, coordinates_of(loss), generator, sampling, tuning.generations)
    climb = Climb(loss, tuning.sigma, tuning.steps)
    if tuning.method == "gradient":
        return climb
    return ClimbThenSample(climb, Sampling(tuning.sigma * NARROWED, sampling.population), generator, tuning.generations)


def coordinates_of(loss: Loss) -> list[Coordinate]:
    """Its parameters in units of their absolute values."""
    units = [abs(p.default) or 1.0 for p in loss.params]
    return [Coordinate(p.name, p.default / unit, unit) for p, unit in zip(loss.params, units)]


class Climb(Tuner):
    """A strategy: one loss at a time, each further up the gradient; see `Ascent`."""

    def __init__(self, loss: Loss, length: float, steps: int) -> None:
        """
        Raises:
            ValueError: a number makes no sense.
        """
        self._loss, self._coordinates, self._steps = loss, coordinates_of(loss), steps
        ends = [_ends(p.var.domain, c.unit) for p, c in zip(loss.params, self._coordinates)]
        start = [c.start for c in self._coordinates]
        self._ascent = Ascent(start, [low for low, _ in ends], [high for _, high in ends], length)
        self.step = 0

    @property
    def mean(self) -> Loss:
        """The loss of the highest value: all are judged on the same networks, so it is no matter of luck which."""
        return placed(self._loss, self._coordinates, self._ascent.best)

    @property
    def reached(self) -> list[Coordinate]:
        """Where that is, in the units of the start."""
        return [replace(c, start=value) for c, value in zip(self._coordinates, self._ascent.best)]

    def ask(self) -> Sequence[Proposal]:
        """The next loss, with the wish for its derivatives; see `work.Strategy`."""
        vector = self._ascent.ask() if self.step < self._steps else []
        notes = {"step": self.step, "length": self._ascent.length}
        return [Proposal(placed(self._loss, self._coordinates, vector), "gradient", (), notes, hill=True)] * bool(
            vector
        )

    def tell(self, outcomes: Sequence[Told]) -> None:
        """What became of it."""
        (told,) = outcomes
        units = [c.unit for c in self._coordinates]
        hill = told.hill
        if hill is None:
            self._ascent.tell(None, None)
        else:
            self._ascent.tell(hill.value, [s * unit for s, unit in zip(hill.slope, units)])
        self.step += 1


class ClimbThenSample(Tuner):
    """A strategy: `Climb`, then CMA-ES from where it has come to."""

    def __init__(self, climb: Climb, sampling: Sampling, generator: np.random.Generator, generations: int) -> None:
        self._climb, self._sampling, self._generator, self._generations = climb, sampling, generator, generations
        self._constants: Constants | None = None

    @property
    def mean(self) -> Loss:
        """The mean of the distribution, once there is one."""
        return (self._constants or self._climb).mean

    def ask(self) -> Sequence[Proposal]:
        """See `work.Strategy`."""
        if self._constants is None and (asked := self._climb.ask()):
            return asked
        if self._constants is None:
            self._constants = Constants(
                self._climb.mean, self._climb.reached, self._generator, self._sampling, self._generations
            )
        return self._constants.ask()

    def tell(self, outcomes: Sequence[Told]) -> None:
        """What became of them."""
        (self._constants or self._climb).tell(outcomes)


def _ends(domain: Interval, unit: float) -> tuple[float, float]:
    """Between which coordinates a constant stays within its domain."""
    room = min(INSIDE * unit, INSIDE * (domain.hi - domain.lo))
    return (domain.lo + room * domain.open_lo) / unit, (domain.hi - room * domain.open_hi) / unit

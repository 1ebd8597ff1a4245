"""TaylorGLO: a polynomial in label and prediction around two centres, its constants by CMA-ES.

Gonzalez & Miikkulainen 2021, arXiv:2002.00059, and the authors' code; docs/search-strategies.md says which is which.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from glo_dsl.evolve.strategies.cmaes import Sampling
from glo_dsl.evolve.strategies.constants import Constants, Coordinate, Refuse
from glo_dsl.evolve.strategies.null_epoch import LearningRule, trainable
from glo_dsl.evolve.work import Proposal, Strategy, Told
from glo_dsl.lang.definitions import losses_of
from glo_dsl.lang.loss import Loss
from glo_dsl.lang.show import number

ORDERS = range(2, 10)


@dataclass(frozen=True)
class Settings:
    """How TaylorGLO searches.

    Attributes:
        order: of the polynomial, 2 to 9.
        population: of CMA-ES; the authors have 20, and 28 for MNIST.
        sigma: its first step size. It starts from 0 in every coefficient and centre.
        generations: after which it ends.
        invariant: what must hold at the null epoch for a loss to be trained at all: "paper", "exact" or "off".
        answer: "mean", of the distribution at the end, or "best", the loss of the highest fitness.
    """

    order: int = 3
    population: int = 20
    sigma: float = 1.2
    generations: int = 100
    invariant: Literal["paper", "exact", "off"] = "off"
    answer: Literal["mean", "best"] = "mean"


class Taylor(Strategy):
    """The strategy. Its proposals are `polynomial(order)` with other constants.

    >>> search = Taylor(Settings(order=2, population=4), seed=0, classes=10)
    >>> [proposal.loss.name for proposal in search.ask()]
    ['taylor2', 'taylor2', 'taylor2', 'taylor2']
    """

    def __init__(self, settings: Settings, seed: int, classes: int) -> None:
        """`classes`: of the task, for the invariant.

        Raises:
            ValueError: a setting that is none.
        """
        if settings.invariant not in ("paper", "exact", "off"):
            raise ValueError(f'invariant is "paper", "exact" or "off", got {settings.invariant!r}')
        loss = polynomial(settings.order)
        coordinates = [Coordinate(p.name, 0.0) for p in (*loss.params[2:], *loss.params[:2])]
        sampling = Sampling(settings.sigma, settings.population, active=False)
        self.settings = settings
        self.constants = Constants(
            loss, coordinates, np.random.default_rng(seed), sampling, settings.generations,
            _refuse(loss, classes, settings.invariant),
        )  # fmt: skip

    @property
    def answer(self) -> Loss | None:
        """What the search found so far, with its constants in its text; None before any fitness."""
        best = self.constants.best
        if best is None:
            return None
        found = best.loss if self.settings.answer == "best" else self.constants.mean
        return polynomial(self.settings.order, list(found.defaults.values()))

    def ask(self) -> Sequence[Proposal]:
        return self.constants.ask()

    def tell(self, outcomes: Sequence[Told]) -> None:
        self.constants.tell(outcomes)

    def state(self) -> dict[str, Any]:
        return self.constants.state()

    def restore(self, state: dict[str, Any]) -> None:
        self.constants.restore(state)


def terms(order: int) -> list[tuple[int, int]]:
    """The powers of label and prediction in the polynomial, in the order of its coefficients.

    Terms without the prediction are left out: they change no gradient. So there are order (order + 1) / 2.

    >>> terms(3)
    [(0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (2, 1)]
    """
    return [(x, y) for x in range(order) for y in range(1, order - x + 1)]


def polynomial(order: int, theta: Sequence[float] | None = None) -> Loss:
    """The loss `taylorK` with the constants `theta` of the paper, 0 by default: label centre th0, prediction centre
    th1, then one coefficient for each of `terms`.

    Raises:
        ValueError: the order is not 2 to 9, or not so many constants.

    >>> print(polynomial(2))
    loss taylor2(z: real[C], t: class[C]; th0 = 0, th1 = 0, th2 = 0, th3 = 0, th4 = 0) =
      let x = onehot(t) - th0, y = softmax(z) - th1 in
      -mean(th2 * y + th3 * y ^ 2 + th4 * x * y)
    """
    if order not in ORDERS:
        raise ValueError(f"a Taylor loss has order {ORDERS[0]} to {ORDERS[-1]}, got {order}")
    powers = terms(order)
    values = [0.0] * (2 + len(powers)) if theta is None else list(theta)
    if len(values) != 2 + len(powers):
        raise ValueError(f"a Taylor loss of order {order} has {2 + len(powers)} constants, got {len(values)}")
    params = ", ".join(f"th{n} = {number(value)}" for n, value in enumerate(values))
    body = " + ".join(f"th{n} * {_term(*power)}" for n, power in enumerate(powers, 2))
    text = (
        f"loss taylor{order}(z: real[C], t: class[C]; {params}) =\n"
        f"  let x = onehot(t) - th0, y = softmax(z) - th1 in\n"
        f"  -mean({body})\n"
    )
    return losses_of(text)[f"taylor{order}"]


def paper_form(vector: Sequence[float]) -> list[float]:
    """The constants as the paper has them, centres first, from those of the authors' code, which has them last.

    >>> paper_form([2, 3, 4, 0, 1])
    [0, 1, 2, 3, 4]
    """
    return [*vector[-2:], *vector[:-2]]


def code_form(theta: Sequence[float]) -> list[float]:
    """The other way round.

    >>> code_form(paper_form([2, 3, 4, 0, 1]))
    [2, 3, 4, 0, 1]
    """
    return [*theta[2:], *theta[:2]]


def _term(x: int, y: int) -> str:
    powers = ((name, n) for name, n in (("x", x), ("y", y)) if n)
    return " * ".join(name if n == 1 else f"{name} ^ {n}" for name, n in powers)


def _refuse(loss: Loss, classes: int, invariant: Literal["paper", "exact", "off"]) -> Refuse:
    if invariant == "off":
        return lambda losses: [""] * len(losses)
    rule = LearningRule(loss)

    def reasons(losses: Sequence[Loss]) -> list[str]:
        held = trainable(rule, losses, classes, invariant)
        return ["" if h else f"violates the {invariant} invariant" for h in held]

    return reasons

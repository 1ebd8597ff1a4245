"""What a training is likely to give, by the trainings of losses whose gradients are near: to train what is worth it.

Losses that push alike train alike, whatever they look like. So the slope of a loss along a few directions at a few
probes says nearly all about it, and costs a ten-thousandth of a training.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glo_dsl.evolve.predictions import logits_name
from glo_dsl.evolve.space import Space
from glo_dsl.evolve.strategies.filled import Filled
from glo_dsl.evolve.strategies.states import read_vectors, written_vectors
from glo_dsl.ir.evaluate import Array, evaluate
from glo_dsl.ir.expr import Expr, Var
from glo_dsl.lang.loss import Loss

Slopes = NDArray[np.float64]

ROWS, STEP = 32, 1e-4
NEIGHBOURS = 3


class Foresight:
    """Slopes of losses on fixed probes, and what became of those that were trained.

    `classes` of the task; 0 where predictions are single values.
    """

    def __init__(self, classes: int) -> None:
        generator = np.random.default_rng(20190527)
        width = max(classes, 1)
        spread = np.repeat([0.1, 1.0, 2.0, 4.0], ROWS // 4)[:, None]
        probes = spread * generator.standard_normal((ROWS, width))
        self._target = np.arange(ROWS)[:, None] % classes if classes else spread * generator.standard_normal((ROWS, 1))
        if classes:
            right = np.arange(width)[None, :] == self._target
            directions = [right.astype(np.float64), ~right * generator.standard_normal((ROWS, width)), right - probes]
        else:
            directions = [np.sign(self._target - probes)]
        ends = [probes + sign * STEP * d for d in directions for sign in (1, -1)]
        self._classes, self._points = width, np.concatenate(ends)
        self._targets = np.concatenate([self._target] * len(ends))
        self._slopes: list[Slopes] = []
        self._fitness: list[float] = []
        self._filled: Filled | None = None

    def slopes(self, loss: Loss) -> Slopes | None:
        """The slopes of a loss, of length 1; None if they are not finite, all 0, or rise towards the target where
        predictions are nearly uniform."""
        (values,) = evaluate([loss.expr], self._inputs(loss), self._classes)
        return self._of(values)

    def slopes_in(self, space: Space, genotype: Expr) -> Slopes | None:
        """The same of the loss that a genotype makes of a space."""
        if genotype.type.axes != space.hole.type.axes:
            return self.slopes(space.fill(genotype))
        if self._filled is None or self._filled.space is not space:
            self._filled = Filled(space, self._inputs(space.loss), self._classes)
        return self._of(self._filled.values(genotype))

    def _inputs(self, loss: Loss) -> dict[Var, Array]:
        name = logits_name(loss)
        inputs = {v: self._points if v.name == name else self._targets for v in loss.inputs}
        return {**inputs, **{p.var: np.full((1, 1), p.default) for p in loss.params}}

    def _of(self, values: Array) -> Slopes | None:
        sides = np.broadcast_to(values, (len(self._points), 1)).astype(np.float64).reshape(-1, 2, ROWS)
        with np.errstate(all="ignore"):
            found = (sides[:, 0] - sides[:, 1]) / (2 * STEP)
            length = float(np.linalg.norm(found))
        if not np.isfinite(length) or length < 1e-9 or found[0, : ROWS // 4].mean() >= 0:
            return None
        return np.asarray(found / length).ravel()

    def learn(self, slopes: Slopes, fitness: float) -> None:
        """What a training has given."""
        self._slopes.append(slopes)
        self._fitness.append(fitness)

    def state(self) -> dict[str, Any]:
        """What was learnt, as JSON has it."""
        return {"slopes": written_vectors(self._slopes), "fitness": list(self._fitness)}

    def restore(self, state: dict[str, Any]) -> None:
        """Knows what one knew that had this state."""
        self._fitness = [float(fitness) for fitness in state["fitness"]]
        self._slopes = read_vectors(state["slopes"], len(self._fitness))

    def expected(self, asked: Sequence[Slopes]) -> list[float]:
        """The fitness to expect of each: the mean of the nearest trained ones, nearer ones weighing more; 0 of all as
        long as nothing was trained.

        >>> near = Foresight(classes=10)
        >>> near.learn(np.array([1.0, 0.0]), 0.5); near.learn(np.array([0.0, 1.0]), 1.0)
        >>> [round(value, 2) for value in near.expected([np.array([1.0, 0.0]), np.array([0.6, 0.8])])]
        [0.5, 0.83]
        """
        if not self._slopes or not asked:
            return [0.0] * len(asked)
        known, fitness = np.array(self._slopes), np.array(self._fitness)
        distance = np.maximum(2 - 2 * np.array(asked) @ known.T, 1e-9)  # between vectors of length 1, squared
        nearest = np.argsort(distance, axis=1, kind="stable")[:, :NEIGHBOURS]
        weights = 1 / np.take_along_axis(distance, nearest, 1)
        return [float(v) for v in (weights * fitness[nearest]).sum(1) / weights.sum(1)]

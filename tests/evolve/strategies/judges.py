"""Outcomes without training: how near the gradient of a loss on probe logits comes to that of a known one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

import glo_dsl as glo
from glo_dsl.evolve.work import Proposal, Strategy, Told
from glo_dsl.ir.evaluate import evaluate
from glo_dsl.ir.expr import Expr
from glo_dsl.lang.loss import Loss
from glo_dsl.passes.diff import gradients

BAIKAL = "loss baikal(z: real[C], t: class[C]) =\n  let y = softmax(z), x = onehot(t) in\n  -mean(log(y) - x / y)\n"


class Judge:
    """Fitness in (0, 1]: 1 over 1 and the distance of the gradients, both of length 1; None where not finite."""

    def __init__(self, classes: int = 4, text: str = BAIKAL) -> None:
        generator = np.random.default_rng(7)
        self._logits, self._label = 0.7 * generator.standard_normal((24, classes)), np.arange(24)[:, None] % classes
        self._gradients: dict[Expr, Expr] = {}
        (goal,) = glo.loads(text).values()
        direction = self._direction(goal)
        assert direction is not None
        self._goal = direction

    def __call__(self, loss: Loss) -> Told:
        direction = self._direction(loss)
        if direction is None:
            return Told(None, "not finite")
        return Told(float(1 / (1 + np.linalg.norm(direction - self._goal))))

    def _direction(self, loss: Loss) -> NDArray[np.float64] | None:
        logits = next(v for v in loss.inputs if v.type.per_class)
        if loss.expr not in self._gradients:  # constants change no derivative
            self._gradients[loss.expr] = gradients(loss.expr, [logits])[logits]
        params = {p.var: np.full((1, 1), p.default) for p in loss.params}
        inputs = {v: self._logits if v.type.per_class else self._label for v in loss.inputs}
        roots = (loss.expr, self._gradients[loss.expr])
        value, gradient = evaluate(roots, {**inputs, **params}, self._logits.shape[1])
        if not (np.isfinite(value).all() and np.isfinite(gradient).all()) or np.abs(gradient).max() < 1e-12:
            return None
        scaled = np.broadcast_to(gradient / np.abs(gradient).max(), self._logits.shape)
        return np.asarray(scaled / np.linalg.norm(scaled), dtype=np.float64)


def hashed(loss: Loss) -> Told:
    """A fitness that follows from the loss and says nothing about it; some fail, some are below 0."""
    number = loss.expr.digest[0] + sum(hash(p.default) % 251 for p in loss.params)
    return Told(None, "failed") if number % 5 == 0 else Told(number % 256 / 255 - 0.1)


def run(
    strategy: Strategy, judge: Callable[[Loss], Told], generations: int = 10**6
) -> list[tuple[Sequence[Proposal], list[Told]]]:
    """What was asked and told, until the end or for so many generations."""
    log: list[tuple[Sequence[Proposal], list[Told]]] = []
    while len(log) < generations and (asked := strategy.ask()):
        log.append((asked, [judge(p.loss) for p in asked]))
        strategy.tell(log[-1][1])
    return log


def same(one: Sequence[Proposal], other: Sequence[Proposal]) -> bool:
    """Whether two generations are equal to the last bit: losses, constants, parents and notes."""
    return [_facts(p) for p in one] == [_facts(p) for p in other]


def _facts(p: Proposal) -> tuple[object, ...]:
    return p.loss.expr, p.loss.params, p.loss.name, p.loss.text, p.origin, p.parents, dict(p.notes)

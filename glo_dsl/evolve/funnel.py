"""What need not be trained: candidates without a usable gradient, and those whose gradient is already known.

Two losses with proportional gradients on the logits train alike once the learning rate is scaled, whatever their
texts look like: labels are one-hot, so x^2 = x and x (1 - x) = 0 on the domain, which no symbolic rule set knows.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glo_dsl.evolve.predictions import derived, logits_name
from glo_dsl.ir.evaluate import evaluate
from glo_dsl.ir.expr import Var, apply
from glo_dsl.lang.loss import Loss
from glo_dsl.passes.diff import gradients

DIGITS = 1e6
"""Gradients are compared to one part in this many of the largest entry."""

NOT_FINITE, NO_GRADIENT, WRONG_WAY, KNOWN = "not finite", "no gradient", "pushes away from the label", "gradient known"


@dataclass(frozen=True)
class Verdict:
    """`reason` for not training a candidate, or None; `key` names its gradient class, `scale` and `largest` its size.

    `scale` is the root mean square of the gradient near uniform predictions: the learning rate is divided by it.
    `largest` is its largest entry, by which the gradients of a class differ.
    """

    reason: str | None
    key: bytes = b""
    scale: float = 1.0
    largest: float = 1.0

    @property
    def written(self) -> list[Any]:
        """As JSON has it."""
        return [self.reason, self.key.hex(), self.scale, self.largest]

    @classmethod
    def read(cls, written: Sequence[Any]) -> Verdict:
        """The verdict that was written so."""
        reason, key, scale, largest = written
        return cls(reason, bytes.fromhex(key), scale, largest)


@dataclass
class Funnel:
    """Decides by the gradient on fixed probe predictions, in float64, and counts what it decides.

    `classes` of the task; 0 where predictions are single values.
    """

    classes: int
    counts: Counter[str] = field(default_factory=Counter)
    _known: set[bytes] = field(default_factory=set)

    def __post_init__(self) -> None:
        generator = np.random.default_rng(20190527)
        self._logits: NDArray[np.float64] = generator.standard_normal((64, 1))
        self._target: NDArray[Any] = generator.standard_normal((64, 1))
        if not self.classes:
            return
        generator = np.random.default_rng(20190527)
        spread = np.repeat([0.0, 0.1, 1.0, 4.0], 16)[:, None]  # rows 0-31: (nearly) uniform predictions
        self._logits = spread * generator.standard_normal((64, self.classes))
        self._target = np.arange(64)[:, None] % self.classes

    def judge(self, loss: Loss) -> Verdict:
        """Whether to train `loss` (parameters at their defaults); counted, and its gradient known from then on."""
        verdict = self.peek(loss)
        if verdict.reason is None and verdict.key in self._known:
            verdict = replace(verdict, reason=KNOWN)
        if verdict.key:
            self._known.add(verdict.key)
        self.counts[verdict.reason or "trained"] += 1
        return verdict

    def peek(self, loss: Loss) -> Verdict:
        """The verdict on the loss alone, whatever has been seen before; nothing is counted."""
        value, gradient = self.value_and_gradient(loss)
        if not (np.isfinite(value).all() and np.isfinite(gradient).all()):
            return Verdict(NOT_FINITE)
        largest = float(np.abs(gradient).max())
        if largest < 1e-12:
            return Verdict(NO_GRADIENT)
        if self._pull(gradient) >= 0:
            return Verdict(WRONG_WAY)
        key = hashlib.blake2b(np.round(gradient / largest * DIGITS).astype(np.int64).tobytes(), digest_size=16).digest()
        scale = float(np.sqrt(np.mean(gradient[:32] ** 2)))
        return Verdict(None, key, scale, largest)

    def _pull(self, gradient: NDArray[np.float64]) -> float:
        """Where a step down the gradient takes a prediction: below 0 is towards the target."""
        if not self.classes:
            return float((gradient * (self._target - self._logits)).mean())
        return float(np.take_along_axis(gradient[:16], self._target[:16], 1).mean())

    def value_and_gradient(self, loss: Loss) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The loss of the probe, [64, 1], and its gradient by the logits, [64, classes]."""
        found = derived(loss)
        roots = [found.value, *found.gradients.values()]
        value, gradient = evaluate(roots, self._probe(loss), max(self.classes, 1))
        return value.astype(np.float64), np.broadcast_to(gradient, self._logits.shape).astype(np.float64)

    def slopes_of_scale(self, loss: Loss) -> tuple[float, ...]:
        """The derivative of the logarithm of `Verdict.scale` by each parameter, where they are at their defaults.

        A step along it that is taken back by the learning rate trains the same: only what is across it is a new loss.
        """
        (gradient,) = derived(loss).gradients.values()
        square = apply("mul", gradient, gradient)
        size = apply("sum", square) if self.classes else square
        slopes = gradients(size, [p.var for p in loss.params])
        total, *found = evaluate([size, *slopes.values()], self._probe(loss), max(self.classes, 1))
        near: list[np.float64] = [np.broadcast_to(f, (64, 1))[:32].astype(np.float64).sum() for f in (total, *found)]
        with np.errstate(all="ignore"):
            return tuple(float(slope / near[0] / 2) for slope in near[1:])

    def _probe(self, loss: Loss) -> dict[Var, NDArray[Any]]:
        name = logits_name(loss)
        inputs = {v: self._logits if v.name == name else self._target for v in loss.inputs}
        return {**inputs, **{p.var: np.full((1, 1), p.default) for p in loss.params}}

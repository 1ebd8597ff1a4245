"""Uphill along a gradient within bounds, with steps whose length is earned."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

GROWS, SHRINKS = 2.0, 0.35
"""What the longest step is multiplied by after one that led up as far as it might go, and after one that did not."""

SHORTEST = 1e-3
"""A length of steps at which nothing more is to be found: constants are written with few digits."""


class Ascent:
    """Maximises a value whose gradient is known, by asking for one vector and being told.

    BFGS with steps of bounded length (Nocedal & Wright 2006, ch. 4 and 6): where the value did not rise, the next step
    begins again at the best vector so far and is shorter, but what its gradient says of the curvature is kept. NaN
    never gets into a vector: what is not finite counts as no answer.

    >>> search = Ascent([0.0, 0.0], [-9.0, -9.0], [9.0, 1.5], length=0.5)
    >>> while vector := search.ask():
    ...     x, y = vector
    ...     search.tell(-((x - 1) ** 2) - 5 * (y - 2) ** 2, [-2 * (x - 1), -10 * (y - 2)])
    >>> [round(value, 3) for value in search.best]
    [1.0, 1.5]
    """

    def __init__(self, start: Sequence[float], low: Sequence[float], high: Sequence[float], length: float) -> None:
        """`start`, `low` and `high` are of n >= 1 numbers; `length` is that of the first step, at most.

        Raises:
            ValueError: no or not finite numbers in `start`, ends that leave no room, a length not above 0.
        """
        self._low, self._high = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
        begin = np.asarray(start, dtype=np.float64)
        if not begin.size or not np.isfinite(begin).all():
            raise ValueError(f"an ascent starts from one or more finite numbers, got {list(start)}")
        if not (self._low <= self._high).all() or not 0 < length < np.inf:
            raise ValueError(f"an ascent has room and a length above 0, got {list(low)}, {list(high)}, {length}")
        self._asked: Vector | None = np.clip(begin, self._low, self._high)
        self._best = self._asked
        self._value, self._slope = -np.inf, np.zeros(begin.size)
        self._inverse: Vector | None = None
        self.length = length

    @property
    def best(self) -> list[float]:
        """The vector of the highest value; the start before there is any."""
        return [float(v) for v in self._best]

    @property
    def finished(self) -> bool:
        return self._asked is None

    def ask(self) -> list[float]:
        """The vector to be judged next; [] at the end. Asked again before `tell`: the same."""
        return [] if self._asked is None else [float(v) for v in self._asked]

    def tell(self, value: float | None, gradient: Sequence[float] | None) -> None:
        """The value of the vector asked for last and its gradient; None for one that could not be judged.

        Raises:
            ValueError: nothing was asked for, or the gradient has another length.
        """
        if self._asked is None:
            raise ValueError("no vector waits for a value")
        here = self._asked
        known = value is not None and gradient is not None and np.isfinite([value, *gradient]).all()
        if not known:
            self.length *= SHRINKS
        else:
            slope = np.asarray(gradient, dtype=np.float64)
            if slope.shape != here.shape:
                raise ValueError(f"a gradient of {here.size} numbers is wanted, got {slope.size}")
            self._learn(here, float(value or 0.0), slope)
        self._asked = self._next() if np.isfinite(self._value) and self.length > SHORTEST else None

    def _learn(self, here: Vector, value: float, slope: Vector) -> None:
        moved = here - self._best
        if np.isfinite(self._value):
            self._bend(moved, self._slope - slope)
        far = float(np.linalg.norm(moved))
        if value > self._value:
            grown = GROWS if far > 0.9 * self.length else 1.0
            self.length *= grown
            self._best, self._value, self._slope = here, value, slope
        else:
            self.length = SHRINKS * min(far, self.length)

    def _bend(self, moved: Vector, turned: Vector) -> None:
        """The update of BFGS of the inverse of minus the second derivatives; left out where the value bends upwards."""
        along = float(moved @ turned)
        if along <= 1e-8 * float(np.linalg.norm(moved) * np.linalg.norm(turned)):
            return
        if self._inverse is None:  # the longer of the usual first guesses: gradients are large where trainings fail
            self._inverse = np.eye(moved.size) * float(moved @ moved) / along
        keep = np.eye(moved.size) - np.outer(moved, turned) / along
        self._inverse = keep @ self._inverse @ keep.T + np.outer(moved, moved) / along

    def _next(self) -> Vector | None:
        """The next vector; None where there is no way up within the bounds."""
        stuck = ((self._best <= self._low) & (self._slope < 0)) | ((self._best >= self._high) & (self._slope > 0))
        slope = np.where(stuck, 0.0, self._slope)
        size = float(np.linalg.norm(slope))
        if not size > 0:
            return None
        step = slope * (self.length / size)
        if self._inverse is not None:
            step = np.where(stuck, 0.0, self._inverse @ slope)
            step *= min(1.0, self.length / max(float(np.linalg.norm(step)), 1e-300))
        found: Vector = np.clip(self._best + step, self._low, self._high)
        return None if np.array_equal(found, self._best) else found

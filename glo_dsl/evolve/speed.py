"""How fast a number grows."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

WINDOW = 30.0
"""Seconds that are looked back."""

LEAST = 1.0
"""Seconds before which nothing is said."""


class Speed:
    """The growth of a number over the last seconds.

    >>> seconds = iter([0, 10, 20, 20])
    >>> speed = Speed(clock=lambda: next(seconds))
    >>> for number in (0, 50, 400):
    ...     speed.reached(number)
    >>> speed.per_second()
    20.0
    """

    def __init__(self, window: float = WINDOW, clock: Callable[[], float] = time.monotonic) -> None:
        self._window, self._clock = window, clock
        self._seen: deque[tuple[float, float]] = deque()

    def restart(self, number: float) -> None:
        """Forgets what was, and begins with `number`."""
        self._seen.clear()
        self.reached(number)

    def reached(self, number: float) -> None:
        """The number is that now."""
        now = self._clock()
        self._seen.append((now, number))
        while len(self._seen) > 2 and self._seen[1][0] <= now - self._window:  # the first stays where the window begins
            self._seen.popleft()

    def per_second(self) -> float | None:
        """None as long as nothing can be said; it falls while nothing grows."""
        if len(self._seen) < 2:
            return None
        (began, first), (_, last) = self._seen[0], self._seen[-1]
        seconds = self._clock() - began
        return (last - first) / seconds if seconds >= LEAST else None

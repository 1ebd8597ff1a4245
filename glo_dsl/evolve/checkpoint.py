"""Where a search stood a moment ago, noted beside its book, so that it need not go through all of it again.

A checkpoint decides nothing. It is taken at its word only by the glo-dsl that wrote it, with the same libraries, and
only where the book begins with the very events that it was made of; without one, a search goes through its book from
the start and comes to the same.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import glo_dsl
from glo_dsl.errors import GloError
from glo_dsl.evolve.store.study import Study

State = dict[str, Any]

NOTE = "checkpoint"

EVERY = 2.0
"""Seconds between two, at least."""

SHARE = 0.02
"""Of its time that a search may spend on them."""

USELESS = (ArithmeticError, AttributeError, GloError, LookupError, TypeError, ValueError)
"""What taking on a state may raise, where it is that of something else."""


def versions() -> dict[str, str]:
    """Of everything that the history of a search depends on."""
    libraries = {name: version(name) for name in ("torch", "numpy", "cma")}
    return {"glo-dsl": glo_dsl.__version__, **libraries, "Python": platform.python_version()}


class Checkpoints:
    """Those of one study, the last of which is kept. `clock` gives seconds.

    Used by the driver, while nothing is asked that was not told."""

    def __init__(self, study: Study, clock: Callable[[], float] = time.monotonic) -> None:
        self._study, self._clock = study, clock
        self._due = clock() + EVERY
        self._generation = 0

    def last(self) -> State | None:
        """The last one, or None where there is none of these versions.

        Raises:
            *USELESS: it is none.
        """
        found = self._study.noted(NOTE)
        if not isinstance(found, dict) or found.get("versions") != versions():
            return None
        self._generation = int(found["generation"])
        return dict(found["state"])

    def offer(self, generation: int, state: Callable[[], State | None], last: bool = False) -> None:
        """Keeps the state after so many generations, if it is time for it, or if it is the `last` and not kept yet."""
        begun = self._clock()
        if generation <= self._generation or (begun < self._due and not last):
            return
        found = state()
        if found is not None:
            self._study.note(NOTE, {"versions": versions(), "generation": generation, "state": found})
        self._generation = generation
        ended = self._clock()
        self._due = ended + max(EVERY, (ended - begun) / SHARE)

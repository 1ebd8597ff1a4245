"""Where a search stood a moment ago, noted beside its book, so that it need not go through all of it again.

A checkpoint decides nothing. It is taken at its word only by the glo-dsl that wrote it, and only where the book begins
with the very events that it was made of; without one, a search goes through its book from the start and comes to the
same.
"""

from __future__ import annotations

import time
from collections.abc import Callable
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


class Checkpoints:
    """Those of one study, the last of which is kept. `clock` gives seconds.

    Used by the driver, while nothing is asked that was not told."""

    def __init__(self, study: Study, clock: Callable[[], float] = time.monotonic) -> None:
        self._study, self._clock = study, clock
        self._due = clock() + EVERY
        self._generation = 0

    def last(self) -> State | None:
        """The last one, or None where there is none of this version."""
        found = self._study.noted(NOTE)
        if not isinstance(found, dict) or found.get("version") != glo_dsl.__version__:
            return None
        self._generation = found.get("generation", 0)
        state = found.get("state")
        return state if isinstance(state, dict) else None

    def offer(self, generation: int, state: Callable[[], State | None], last: bool = False) -> None:
        """Keeps the state after so many generations, if it is time for it, or if it is the `last` and not kept yet."""
        begun = self._clock()
        if generation <= self._generation or (begun < self._due and not last):
            return
        found = state()
        if found is not None:
            note = {"version": glo_dsl.__version__, "generation": generation, "state": found}
            self._study.note(NOTE, note)
        self._generation = generation
        ended = self._clock()
        self._due = ended + max(EVERY, (ended - begun) / SHARE)

"""The figures of a search while it runs. They decide nothing: what a strategy is told goes another way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from statistics import median
from typing import Any

from glo_dsl.evolve.progress import Agreement, Generation, agreement
from glo_dsl.evolve.request import Measured, Request
from glo_dsl.evolve.strategies.states import read_vectors, written_vectors
from glo_dsl.evolve.work import Told


class Tally:
    """Counts what becomes of proposals, generation by generation.

    `counts`: by reason. `untrained`: those for which no network was trained.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.untrained = 0
        self.generation: Generation | None = None
        self._pairs: dict[bytes, tuple[float, float]] = {}
        self._agreement: tuple[int, Agreement | None] = 0, None

    def trained(
        self, proposals: int, owners: Sequence[int], requests: Sequence[Request], found: Sequence[Measured],
        begun: Collection[bytes], last: int,
    ) -> None:  # fmt: skip
        """What was measured for a generation of so many proposals.

        Args:
            owners: the place of the proposal of each request.
            begun: keys of the requests that somebody was put to work for.
            last: steps of the last rung.
        """
        left, busy = set(begun), set()
        for place, request, measured in zip(owners, requests, found):
            if request.key in left:
                left.discard(request.key)
                busy.add(place)
            if measured.first is not None and measured.fitness is not None and measured.steps == last:
                self._pairs[request.key] = measured.first, measured.fitness
        self.untrained += proposals - len(busy)

    def told(self, number: int, told: Sequence[Told]) -> None:
        """How a generation ended."""
        known = [t.fitness for t in told if t.fitness is not None]
        self.generation = Generation(number, median(known) if known else None)

    def state(self) -> dict[str, Any]:
        """What `restore` makes a new one the same by, as JSON has it."""
        told = self.generation
        return {
            "counts": [*self.counts.items()], "untrained": self.untrained,
            "generation": None if told is None else [told.number, told.median],
            "keys": [key.hex() for key in self._pairs], "pairs": written_vectors(self._pairs.values()),
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """Becomes what one was that had this state.

        Raises:
            LookupError, TypeError, ValueError: it is none.
        """
        self.counts.update(dict(state["counts"]))
        self.untrained = int(state["untrained"])
        self.generation = None if state["generation"] is None else Generation(*state["generation"])
        pairs = read_vectors(state["pairs"], len(state["keys"]))
        self._pairs = {bytes.fromhex(key): (float(a), float(b)) for key, (a, b) in zip(state["keys"], pairs)}

    @property
    def agreement(self) -> Agreement | None:
        """Between rungs. A training that is in the book under one key is counted once."""
        if len(self._pairs) != self._agreement[0]:
            self._agreement = len(self._pairs), agreement(self._pairs.values())
        return self._agreement[1]

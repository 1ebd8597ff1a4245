"""The search for a counterexample: drawn by Hypothesis, then at random in bulk, then climbing from the worst rows."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, find, settings, target
from hypothesis.errors import NoSuchExample
from numpy.typing import NDArray

from glo_dsl.verify.batch import Batch
from glo_dsl.verify.space import Space, batches, random_batch, varied

Array = NDArray[Any]

BULK = 16
"""Random rows for each draw of Hypothesis: they cost a hundredth of it."""

TOGETHER = 20
"""Random rows that have in common what a kernel takes once for all rows."""

CLIMBS, BEST, CHILDREN = 10, 16, 8
"""Rounds of climbing at most, and no more than draws; rows that each starts from, and variations of each of them."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to search.

    Attributes:
        examples: draws of Hypothesis per property; all else follows from it.
        seed: None for the same draws in every run, else what all draws follow from.
    """

    examples: int = 25
    seed: int | None = None

    def rng(self) -> np.random.Generator:
        return np.random.default_rng(0 if self.seed is None else self.seed)

    def settings(self) -> settings:
        """Those of Hypothesis, whatever profile its user has loaded. What it finds is made simpler by `shrunk`."""
        return settings(
            max_examples=self.examples, derandomize=self.seed is None, database=None, deadline=None,
            phases=(Phase.generate, Phase.target), suppress_health_check=list(HealthCheck), report_multiple_bugs=False,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a property says of each row of a batch: whether it fails, whether it could be judged, how near it failed."""

    fails: Array
    judged: Array
    badness: Array


Property = Callable[[Batch], Outcome]


@dataclass(slots=True)
class Search:
    """What a search found.

    Attributes:
        found: a batch with at least one row that fails, or None.
        tried, judged: rows drawn, and those of them that could be judged; without those found by climbing.
    """

    found: Batch | None = None
    tried: int = 0
    judged: int = 0

    def see(self, batch: Batch, outcome: Outcome, counts: bool = True) -> bool:
        """Whether one of the rows fails; those that were not chosen for what is known of them count."""
        self.tried += len(batch) * counts
        self.judged += int(outcome.judged.sum()) * counts
        failed = bool(outcome.fails.any())
        if failed:
            self.found = batch
        return failed


def falsify(space: Space, judge: Property, effort: Effort, rows: int = 1) -> Search:
    """Looks for a batch of which a row fails: of at most `rows` rows that a kernel can take at once.

    Deterministic, unless a seed says otherwise.
    """
    search = Search()
    _drawn(space, judge, effort, rows, search)
    if search.found is None:
        _random(space, judge, effort, rows > 1, search)
    return search


def _drawn(space: Space, judge: Property, effort: Effort, rows: int, search: Search) -> None:
    def fails(batch: Batch) -> bool:
        outcome = judge(batch)
        worst = float(outcome.badness.max())
        if math.isfinite(worst):
            target(worst)
        return search.see(batch, outcome)

    source = None if effort.seed is None else random.Random(effort.seed)
    try:
        search.found = find(batches(space, rows), fails, settings=effort.settings(), random=source)
    except NoSuchExample:
        search.found = None


def _random(space: Space, judge: Property, effort: Effort, together: bool, search: Search) -> None:
    """Rows of several numbers of classes; of the first number, the rows that come nearest to failing are varied."""
    rng = effort.rng()
    counts = space.class_counts
    for classes in counts:
        rows = max(8, BULK * effort.examples // len(counts))
        batch = random_batch(space, rng, rows, classes, 1 + rows // TOGETHER if together else 0)
        outcome = judge(batch)
        climbs = not together and classes == counts[0]
        if search.see(batch, outcome):
            return
        if climbs and _climb(space, judge, batch, outcome, rng, min(CLIMBS, effort.examples), search):
            return


def _climb(
    space: Space, judge: Property, batch: Batch, outcome: Outcome, rng: np.random.Generator, rounds: int,
    search: Search,
) -> bool:  # fmt: skip
    badness, before, idle = outcome.badness, -np.inf, 0
    for _ in range(rounds):
        idle = 0 if badness.max() > before else idle + 1
        if idle == 2:
            return False
        before = badness.max()
        best = np.argsort(-badness, kind="stable")[:BEST]
        batch, badness = batch.take(best), badness[best]
        children = varied(space, batch.take(np.repeat(np.arange(len(batch)), CHILDREN)), rng)
        found = judge(children)
        if search.see(children, found, counts=False):
            return True
        batch, badness = Batch.joined([batch, children]), np.concatenate([badness, found.badness])
    return False

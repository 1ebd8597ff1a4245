"""What is known of requests."""

from __future__ import annotations

from itertools import pairwise
from math import nan

from glo_dsl.evolve.request import Measured, Schedule, digest_of


def test_what_could_not_be_trained_is_worth_less_than_the_worst_that_was() -> None:
    """The metric of a regression may be far below 0; a network that has diverged has learnt nothing."""
    order = [Measured(0, (), "timeout"), Measured(9, (-7.0, -9.0)), Measured(9, (-7.0, nan)), Measured(9, (0.5, nan))]
    assert all(a.worth < b.worth for a, b in pairwise(order))
    assert order[0].fitness is None and order[2].fitness == -3.5


def test_robustness_counts_networks_as_fitness_does() -> None:
    assert Measured(9, (0.5, nan), attacked=(0.25, nan)).robustness == 0.125
    assert Measured(9, (0.5,)).robustness is None and Measured(0, (), "timeout", attacked=(0.5,)).robustness is None


def test_what_is_asked_is_named_by_all_of_it() -> None:
    """Studies have these names in their books: they do not change."""
    schedules = [
        Schedule((1, 2), (10, 40)), Schedule((1, 3), (10, 40)), Schedule((1, 2), (40,)),
        Schedule((1, 2), (10, 40), "test"), Schedule((1, 2), (10, 40), keep=0.25),
        Schedule((1, 2), (10, 40), slopes=True), Schedule((1, 2), (10, 40), attack=0.1),
        Schedule((1, 2), (10, 40), attack=0.2),
    ]  # fmt: skip
    names = [digest_of((), schedule) for schedule in schedules]
    assert len(set(names)) == len(names) and names[0] == "92e2e3098d106700"

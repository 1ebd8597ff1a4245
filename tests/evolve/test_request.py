"""What is known of requests."""

from __future__ import annotations

from itertools import pairwise
from math import nan

from glo_dsl.evolve.request import Measured


def test_what_could_not_be_trained_is_worth_less_than_the_worst_that_was() -> None:
    """The metric of a regression may be far below 0; a network that has diverged has learnt nothing."""
    order = [Measured(0, (), "timeout"), Measured(9, (-7.0, -9.0)), Measured(9, (-7.0, nan)), Measured(9, (0.5, nan))]
    assert all(a.worth < b.worth for a, b in pairwise(order))
    assert order[0].fitness is None and order[2].fitness == -3.5

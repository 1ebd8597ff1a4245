from __future__ import annotations

import math

import pytest

from glo_dsl.evolve.uphill import LOUDEST, hill_of


def test_it_is_the_mean_across_what_the_rate_takes_back() -> None:
    hill = hill_of([(0.25, 1.0, 4.0, 2.0), (0.75, 1.0, 3.0, 1.0)], 2, (2.0, 0.0))
    assert hill is not None and hill.value == 0.5 and hill.slope == (1.5, 1.5)


def test_one_network_is_not_louder_than_the_others() -> None:
    hill = hill_of([(0.0, 0.0, 1.0), (0.0, 0.0, 1.0), (0.0, 0.0, -1e30)], 3, (0.0,))
    assert hill is not None and hill.slope == pytest.approx(((2 - LOUDEST) / 3,))


@pytest.mark.parametrize(
    ("slopes", "networks", "of_scale"),
    [([], 2, (0.0,)), ([(0.0, 1.0, 1.0)], 3, (0.0,)), ([(0.0, 1.0, 1.0)], 1, (math.nan,))],
    ids=["all diverged", "most diverged", "no scale"],
)
def test_there_may_be_none(slopes: list[tuple[float, ...]], networks: int, of_scale: tuple[float, ...]) -> None:
    assert hill_of(slopes, networks, of_scale) is None


def test_half_of_the_networks_are_enough() -> None:
    assert hill_of([(0.0, 0.0, 1.0)], 2, (0.0,)) is not None

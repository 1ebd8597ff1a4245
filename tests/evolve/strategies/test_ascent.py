from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from glo_dsl.evolve.strategies.ascent import Ascent, Vector

NUMBER = st.floats(-3, 3)


def climbed(search: Ascent, hill: Vector, top: Vector, most: int = 200) -> list[list[float]]:
    """The vectors that were asked for on the way up a quadratic hill."""
    asked: list[list[float]] = []
    while (vector := search.ask()) and len(asked) < most:
        asked.append(vector)
        off = np.asarray(vector) - top
        search.tell(-float(off @ hill @ off) / 2, list(-hill @ off))
    return asked


@settings(max_examples=60)
@given(st.lists(st.tuples(NUMBER, NUMBER), min_size=1, max_size=5), st.integers(0, 99), st.floats(0.05, 2))
def test_it_finds_the_top_of_a_hill(points: list[tuple[float, float]], seed: int, length: float) -> None:
    start, top = (np.array(p) for p in zip(*points))
    half = np.random.default_rng(seed).normal(size=(len(top), len(top)))
    wide = np.full(len(top), 100.0)
    search = Ascent(list(start), list(-wide), list(wide), length)
    climbed(search, half @ half.T + np.eye(len(top)), top)
    assert search.finished and search.best == pytest.approx(list(top), abs=0.02)


def test_it_learns_how_a_ridge_bends() -> None:
    """Steps along the gradient alone would take thousands."""
    search = Ascent([3.0, 3.0], [-9, -9], [9, 9], 0.5)
    climbed(search, np.array([[1.0, 0.0], [0.0, 300.0]]), np.array([-3.0, 0.0]), most=60)
    assert search.best == pytest.approx([-3, 0], abs=0.05)


@settings(max_examples=60)
@given(st.lists(st.tuples(NUMBER, NUMBER, st.floats(0, 2)), min_size=1, max_size=4), st.floats(0.05, 2))
def test_it_stays_within_bounds_and_finds_what_is_highest_there(
    points: list[tuple[float, float, float]], length: float
) -> None:
    start, top, room = (np.array(p) for p in zip(*points))
    low, high = start - room, start + 1.5 * room
    search = Ascent(list(start), list(low), list(high), length)
    for vector in climbed(search, np.eye(len(top)), top):
        assert (low <= vector).all() and (vector <= high).all()
    assert search.best == pytest.approx(list(np.clip(top, low, high)), abs=0.02)


def test_where_nothing_is_known_it_steps_back() -> None:
    search = Ascent([0.0], [-9.0], [9.0], 0.5)
    search.tell(0.0, [1.0])
    assert search.ask() == search.ask() == [0.5]
    search.tell(float("nan"), [1.0])
    nearer = search.ask()[0]
    assert 0 < nearer < 0.5
    search.tell(1.0, [float("inf")])
    assert 0 < search.ask()[0] < nearer
    search.tell(None, None)
    assert search.best == [0.0] and all(np.isfinite(search.ask()))


def test_what_is_worse_is_not_the_best_and_the_next_step_is_shorter() -> None:
    search = Ascent([0.0], [-9.0], [9.0], 0.5)
    search.tell(0.0, [1.0])
    search.tell(-1.0, [-9.0])
    assert search.best == [0.0] and 0 < search.ask()[0] < 0.2


@pytest.mark.parametrize(("value", "gradient"), [(None, None), (float("nan"), [1.0]), (1.0, [0.0])])
def test_it_ends_where_it_begins_if_that_has_no_slope(value: float | None, gradient: list[float] | None) -> None:
    search = Ascent([2.0], [0.0], [9.0], 0.5)
    search.tell(value, gradient)
    assert search.finished and search.ask() == [] and search.best == [2.0]
    with pytest.raises(ValueError, match="no vector waits"):
        search.tell(1.0, [1.0])


@pytest.mark.parametrize(
    ("start", "low", "high", "length"),
    [([], [], [], 1.0), ([np.nan], [0], [1], 1.0), ([0.0], [1], [0], 1.0), ([0.0], [0], [1], 0.0)],
)
def test_mistakes(start: list[float], low: list[float], high: list[float], length: float) -> None:
    with pytest.raises(ValueError, match="an ascent"):
        Ascent(start, low, high, length)


def test_a_gradient_has_one_number_for_each_coordinate() -> None:
    with pytest.raises(ValueError, match="a gradient of 2 numbers is wanted, got 1"):
        Ascent([0.0, 0.0], [-1, -1], [1, 1], 1.0).tell(0.0, [1.0])

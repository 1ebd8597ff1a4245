"""Grids and statistics."""

from __future__ import annotations

import pytest
from scipy.stats import sem

from glo_dsl.evolve.compare import Grid, Result, welch


def test_an_edge_is_not_interior() -> None:
    assert not Grid((1.0, 2.0, 3.0), (0.9, 0.5, 0.4)).interior
    assert not Grid((1.0, 2.0, 3.0), (0.1, 0.5, 0.9)).interior
    assert not Grid((1.0, 2.0, 3.0), (0.9, 0.9, 0.4)).interior
    assert Grid((1.0, 2.0, 3.0), (0.1, 0.9, 0.4)).interior
    assert Grid((1.0, 2.0, 3.0, 4.0, 5.0), (0.1, 0.9, 0.9, 0.9, 0.4)).best == 3.0


def test_the_best_rate_is_not_at_the_edge_of_a_cliff() -> None:
    assert Grid((1.0, 2.0, 3.0, 4.0, 5.0), (0.93, 0.95, 0.96, 0.961, 0.0)).best == 3.0
    assert Grid((1.0, 2.0, 3.0), (0.1, 0.9, 0.4)).best == 2.0
    assert Grid((1.0, 2.0), (0.5, 0.9)).best == 2.0
    assert Grid((1.0, 2.0, 3.0), (0.9, float("-inf"), 0.8)).best == 1.0


def test_statistics() -> None:
    grid = Grid((1.0,), (1.0,))
    first, second = Result("a", grid, (0.9, 0.92, 0.91, 0.93)), Result("b", grid, (0.8, 0.82, 0.81, 0.84))
    assert first.standard_error == pytest.approx(float(sem(first.accuracies)))
    assert welch(first, first) == pytest.approx(1.0)
    assert welch(first, second) < 0.01


def test_equal_accuracies_are_compared_without_a_word() -> None:
    grid = Grid((1.0,), (1.0,))
    same, other = Result("a", grid, (0.9,) * 4), Result("b", grid, (0.8, 0.82, 0.81, 0.84))
    assert welch(same, same) == 1.0 and welch(same, Result("c", grid, (0.8,) * 4)) == 1.0
    assert 0 < welch(same, other) < 0.02


def test_a_grid_is_written_as_json_has_it() -> None:
    grid = Grid((0.5, 1.0, 2.0), (float("-inf"), 0.25, 0.125))
    assert grid.written == {"0.5": None, "1.0": 0.25, "2.0": 0.125}

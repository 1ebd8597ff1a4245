from __future__ import annotations

import pytest
from scipy.stats import sem

import glo_dsl as glo
from glo_dsl.evolve.compare import Grid, Result, held_out_accuracies, tune_rate, welch
from glo_dsl.evolve.kernels import build_candidates
from glo_dsl.evolve.task import Task

CROSS_ENTROPY = "loss ce(z: real[C], t: class[C]) = -log(softmax(z)[t])"


@pytest.mark.parametrize("start", [1e-4, 1.0, 8.0])
def test_the_grid_is_widened_until_its_optimum_is_inside(blobs: Task, start: float) -> None:
    (candidate,) = build_candidates([glo.loads(CROSS_ENTROPY)["ce"]])
    grid = tune_rate(blobs, candidate, [1, 2], start, span=2, widest=30)
    assert grid.interior and list(grid.rates) == sorted(grid.rates)
    assert max(grid.accuracy) > 0.8


def test_no_optimum_is_an_error(blobs: Task) -> None:
    (flat,) = build_candidates([glo.loads("loss f(z: real[C], t: class[C]) = 0 * z[t]")["f"]])
    with pytest.raises(AssertionError, match="no interior optimum"):
        tune_rate(blobs, flat, [1], 1.0, widest=2)


def test_an_edge_is_not_interior() -> None:
    assert not Grid((1.0, 2.0, 3.0), (0.9, 0.5, 0.4)).interior
    assert not Grid((1.0, 2.0, 3.0), (0.1, 0.5, 0.9)).interior
    assert not Grid((1.0, 2.0, 3.0), (0.9, 0.9, 0.4)).interior
    assert Grid((1.0, 2.0, 3.0), (0.1, 0.9, 0.4)).interior
    assert Grid((1.0, 2.0, 3.0, 4.0, 5.0), (0.1, 0.9, 0.9, 0.9, 0.4)).best == 3.0


def test_statistics() -> None:
    grid = Grid((1.0,), (1.0,))
    first, second = Result("a", grid, (0.9, 0.92, 0.91, 0.93)), Result("b", grid, (0.8, 0.82, 0.81, 0.84))
    assert first.standard_error == pytest.approx(float(sem(first.accuracies)))
    assert welch(first, first) == pytest.approx(1.0)
    assert welch(first, second) < 0.01


def test_held_out_accuracies_are_one_per_seed(blobs: Task) -> None:
    (candidate,) = build_candidates([glo.loads(CROSS_ENTROPY)["ce"]])
    found = held_out_accuracies(blobs, candidate, 0.5, range(5))
    assert len(found) == 5 and len(set(found)) > 1
    assert found[:2] == held_out_accuracies(blobs, candidate, 0.5, range(2))

"""Grids of learning rates."""

from __future__ import annotations

from collections.abc import Sequence

import hypothesis.strategies as st
import pytest
from hypothesis import given

from glo_dsl.evolve.rates import grid_of


@given(st.floats(1e-4, 1e4), st.floats(1e-4, 1e4), st.sampled_from([1, 3, 6]))
def test_the_grid_is_widened_until_its_optimum_is_inside(best: float, start: float, span: int) -> None:
    grid = grid_of(lambda rates: [1 / (1 + abs(r / best - best / r)) for r in rates], start, span, widest=40)
    assert grid.interior and list(grid.rates) == sorted(grid.rates)
    assert best / 1.5 < grid.best < best * 1.5


def test_no_rate_is_tried_twice() -> None:
    tried: list[float] = []

    def judge(rates: Sequence[float]) -> list[float]:
        tried.extend(rates)
        return [-abs(rate - 30) for rate in rates]

    grid = grid_of(judge, 1.0, 2)
    assert len(tried) == len(set(tried)) == len(grid.rates)


@pytest.mark.parametrize("judge", [lambda rates: [0.5] * len(rates), lambda rates: list(rates)])
def test_where_there_is_no_optimum_the_grid_says_so(judge) -> None:  # type: ignore[no-untyped-def]
    assert not grid_of(judge, 1.0, widest=3).interior

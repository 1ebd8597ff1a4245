"""The sorting of NSGA-II against its definitions."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from glo_dsl.evolve.strategies.fronts import crowding, dominates, fronts, ranks

small = st.integers(0, 4).map(float)
points = st.integers(2, 3).flatmap(lambda n: st.lists(st.tuples(*[small] * n), max_size=12))


@given(points)
def test_fronts_are_peeled_off_one_by_one(given: list[tuple[float, ...]]) -> None:
    left, wanted = set(range(len(given))), []
    while left:
        front = [n for n in sorted(left) if not any(dominates(given[m], given[n]) for m in left)]
        assert front, "a strict order has a best one"
        wanted.append(front)
        left -= set(front)
    assert fronts(given) == wanted


@given(points)
def test_domination_is_a_strict_order(given: list[tuple[float, ...]]) -> None:
    for a in given:
        assert not dominates(a, a)
        for b in given:
            assert dominates(a, b) == (a != b and all(x >= y for x, y in zip(a, b)))
            assert not (dominates(a, b) and dominates(b, a))
            assert all(dominates(a, c) for c in given if dominates(a, b) and dominates(b, c))


@given(st.lists(st.tuples(small, small), min_size=1, max_size=12, unique_by=(lambda p: p[0], lambda p: p[1])))
def test_crowding_is_the_box_between_the_neighbours(given: list[tuple[float, ...]]) -> None:
    found = crowding(given)
    for n, point in enumerate(given):
        sides = []
        for axis in (0, 1):
            values = sorted(p[axis] for p in given)
            place = values.index(point[axis])
            ends = place in (0, len(values) - 1)
            sides.append(math.inf if ends else (values[place + 1] - values[place - 1]) / (values[-1] - values[0]))
        assert math.isclose(found[n], sum(sides))


@given(points)
def test_no_rank_is_worse_than_that_of_what_is_beaten(given: list[tuple[float, ...]]) -> None:
    found = ranks(given)
    assert all(found[n][0] < found[m][0] for n, a in enumerate(given) for m, b in enumerate(given) if dominates(a, b))
    assert all(math.isinf(found[n][1]) for front in fronts(given) if len(front) <= 2 for n in front)

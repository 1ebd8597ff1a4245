"""Comparison by several objectives at once: who is beaten by whom, and who stands alone (Deb et al. 2002, "A fast and
elitist multiobjective genetic algorithm: NSGA-II"). All objectives are to be as large as they can be."""

from __future__ import annotations

import math
from collections.abc import Sequence

Point = Sequence[float]


def dominates(one: Point, other: Point) -> bool:
    """Whether one is nowhere worse and somewhere better.

    >>> dominates((1, 2), (1, 1)), dominates((1, 2), (2, 1)), dominates((1, 2), (1, 2))
    (True, False, False)
    """
    return all(a >= b for a, b in zip(one, other)) and any(a > b for a, b in zip(one, other))


def fronts(points: Sequence[Point]) -> list[list[int]]:
    """The places of the points, front by front: nothing dominates those of the first, and those of each other front
    only what is in the fronts before it. Within a front in their order. (Fast non-dominated sort, section III A.)

    >>> fronts([(0, 0), (2, 1), (1, 2), (1, 1)])
    [[1, 2], [3], [0]]
    """
    beats: list[list[int]] = [[] for _ in points]
    beaten = [0] * len(points)
    for n, one in enumerate(points):
        for m, other in enumerate(points):
            if dominates(one, other):
                beats[n].append(m)
                beaten[m] += 1
    found = []
    front = [n for n, count in enumerate(beaten) if count == 0]
    while front:
        found.append(front)
        for n in front:
            for m in beats[n]:
                beaten[m] -= 1
        front = sorted({m for n in front for m in beats[n] if beaten[m] == 0})
    return found


def crowding(points: Sequence[Point]) -> list[float]:
    """How far each point of one front stands from its neighbours: the sides of the box between them, each as a share of
    what its objective spans; infinite at the ends. (Crowding distance, section III B.)

    >>> crowding([(0, 4), (1, 2), (4, 0)])
    [inf, 2.0, inf]
    """
    found = [0.0] * len(points)
    for values in zip(*points):
        order = sorted(range(len(points)), key=lambda n: values[n])
        span = values[order[-1]] - values[order[0]]
        found[order[0]] = found[order[-1]] = math.inf
        if span > 0:
            for before, here, after in zip(order, order[1:], order[2:]):
                found[here] += (values[after] - values[before]) / span
    return found


def ranks(points: Sequence[Point]) -> list[tuple[int, float]]:
    """The rank of each, smaller is better: the number of its front, and there minus its crowding distance.

    >>> ranks([(0, 4), (1, 2), (4, 0), (0, 0)])
    [(0, -inf), (0, -2.0), (0, -inf), (1, -inf)]
    """
    found: list[tuple[int, float]] = [(0, 0.0)] * len(points)
    for number, front in enumerate(fronts(points)):
        for n, distance in zip(front, crowding([points[n] for n in front])):
            found[n] = number, -distance
    return found

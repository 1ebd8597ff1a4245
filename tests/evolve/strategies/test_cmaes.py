"""CMA-ES does what it should on functions whose answer is known, and nothing else."""

from __future__ import annotations

import math
import random
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glo_dsl.evolve.strategies.cmaes import QUIET, CmaEs, Sampling, costs_of, pycma

Function = Callable[[Sequence[float]], float]
seeds = st.integers(0, 2**32 - 1)


def sphere(x: Sequence[float]) -> float:
    return -float(np.dot(x, x))


def rosenbrock(x: Sequence[float]) -> float:
    a = np.asarray(x)
    return -float(np.sum(100 * (a[1:] - a[:-1] ** 2) ** 2 + (1 - a[:-1]) ** 2))


def ellipsoid(x: Sequence[float]) -> float:
    return -float(np.dot(10.0 ** (4 * np.linspace(0, 1, len(x))), np.square(x)))


def many_hills(x: Sequence[float]) -> float:
    a = np.asarray(x)
    return -float(10 * len(a) + np.sum(a**2 - 10 * np.cos(2 * np.pi * a)))


def begun(start: Sequence[float], sigma: float = 0.5, seed: int = 0, population: int | None = None) -> CmaEs:
    return CmaEs(start, np.random.default_rng(seed), Sampling(sigma, population))


def run(search: CmaEs, function: Function, generations: int) -> list[list[list[float]]]:
    """What was asked."""
    asked = []
    for _ in range(generations):
        asked.append(search.ask())
        search.tell([function(x) for x in asked[-1]])
    return asked


def evaluations(search: CmaEs, function: Function, goal: float) -> int:
    """How many it takes to a value."""
    count = 0
    while True:
        values = [function(x) for x in search.ask()]
        count += len(values)
        if max(values) >= goal:
            return count
        assert not search.finished and count < 50_000
        search.tell(values)


@pytest.mark.parametrize("seed", range(5))
def test_the_sphere_in_fifty_generations(seed: int) -> None:
    """From a distance of 1/2; without any learning the step size alone would leave it near 0.1."""
    search = begun([0.5 / math.sqrt(8)] * 8, sigma=0.2, seed=seed, population=28)
    run(search, sphere, 50)
    assert -sphere(search.mean) < 1e-6


def test_rosenbrock_takes_what_pycma_takes() -> None:
    def alone(seed: int) -> int:
        normals = np.random.RandomState(seed).randn
        strategy = pycma().CMAEvolutionStrategy([0.0] * 3, 0.5, {"verbose": -9, "seed": np.nan, "randn": normals})
        while strategy.best.f > 1e-6:
            vectors = strategy.ask()
            strategy.tell(vectors, [-rosenbrock(x) for x in vectors])
        return int(strategy.countevals)

    ours = [evaluations(begun([0.0] * 3, seed=seed), rosenbrock, -1e-6) for seed in range(16)]
    theirs = [alone(seed) for seed in range(16)]
    assert abs(np.mean(ours) / np.mean(theirs) - 1) < 0.1


@given(seeds, st.integers(1, 5), st.integers(0, 6))
@settings(max_examples=20)
def test_replayed_it_asks_the_same(seed: int, dimensions: int, told: int) -> None:
    live, replayed = (begun([0.3] * dimensions, seed=seed) for _ in range(2))
    values = []
    for _ in range(told):
        values.append([sphere(x) for x in live.ask()])
        live.tell(values[-1])
    for row in values:
        replayed.ask()
        replayed.tell(row)
    assert live.ask() == live.ask() == replayed.ask()
    assert live.mean == replayed.mean and live.runs == replayed.runs


@given(seeds)
@settings(max_examples=10)
def test_only_the_order_of_the_fitness_counts(seed: int) -> None:
    plain = run(begun([1.0] * 4, seed=seed), sphere, 12)
    bent = run(begun([1.0] * 4, seed=seed), lambda x: 7 - math.log(-sphere(x)), 12)
    assert plain == bent


def test_a_turned_hill_is_as_easy_as_a_straight_one() -> None:
    turn, _ = np.linalg.qr(np.random.default_rng(3).standard_normal((3, 3)))
    straight = [evaluations(begun([1.0] * 3, seed=n), ellipsoid, -1e-6) for n in range(8)]
    turned = [
        evaluations(begun([1.0] * 3, seed=n), lambda x: ellipsoid(turn @ np.asarray(x)), -1e-6) for n in range(8, 16)
    ]
    assert abs(np.median(straight) / np.median(turned) - 1) < 0.15


def test_a_moved_hill_is_climbed_by_the_same_steps() -> None:
    asked = run(begun([0.0] * 3, seed=4), lambda x: sphere(np.asarray(x) - 1), 10)
    moved = run(begun([5.0] * 3, seed=4), lambda x: sphere(np.asarray(x) - 6), 10)
    np.testing.assert_allclose(np.asarray(asked) + 5, moved, atol=1e-9)


def test_pycma_is_told_no_nan_and_every_vector(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []
    tell = pycma().CMAEvolutionStrategy.tell

    def spy(self: object, vectors: Sequence[object], costs: Sequence[float]) -> None:
        assert len(vectors) == len(costs) == 8
        seen.extend(costs)
        tell(self, vectors, costs)

    monkeypatch.setattr(pycma().CMAEvolutionStrategy, "tell", spy)
    search = begun([0.5] * 4, seed=2)
    spoilt = [None, math.nan, -math.inf, math.inf]
    for _ in range(20):
        search.tell([spoilt[n] if n < 4 else sphere(x) for n, x in enumerate(search.ask())])
    search.tell([None] * len(search.ask()))
    assert len(seen) == 21 * 8 and all(math.isfinite(cost) for cost in seen)


def test_it_climbs_where_half_of_the_plane_cannot_be_judged() -> None:
    search = begun([0.5, 0.0])
    run(search, lambda x: math.nan if x[0] < 0 else sphere(np.asarray(x) - 1), 60)
    assert max(abs(v - 1) for v in search.mean) < 1e-3


@given(st.lists(st.floats(-1e300, 1e300) | st.just(math.nan) | st.none(), min_size=1))
def test_costs_are_finite_and_in_order(fitness: list[float | None]) -> None:
    costs = costs_of(fitness)
    assert all(math.isfinite(c) for c in costs)
    judged = [(f, c) for f, c in zip(fitness, costs) if f is not None and not math.isnan(f)]
    assert all(c == -f for f, c in judged)
    worst = max((c for _, c in judged), default=-math.inf)
    assert all(c > worst for c, f in zip(costs, fitness) if f is None or math.isnan(f))


def test_it_leaves_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cma_signals.in").write_text("{'timeout': 0}")  # pycma would read it and stop at once

    def states() -> tuple[object, ...]:
        numpy_state = [part.tolist() if isinstance(part, np.ndarray) else part for part in np.random.get_state()]
        return numpy_state, random.getstate(), torch.get_rng_state().tolist(), np.geterr(), list(warnings.filters)

    before = states()
    search = CmaEs([0.3] * 4, np.random.default_rng(1), Sampling(0.5, restarts="bipop"))
    for _ in range(300):
        search.tell([sphere(x) for x in search.ask()])
    search.tell([1.0] * len(search.ask()))
    assert len(search.runs) > 2
    assert states() == before
    assert [p.name for p in tmp_path.iterdir()] == ["cma_signals.in"]
    assert capfd.readouterr() == ("", "")


def test_the_worse_half_teaches_it_something_or_nothing() -> None:
    """The same but for the two worst, which change places: only the active one sees that."""

    def later(active: bool, swapped: bool) -> list[list[float]]:
        search = CmaEs([0.5] * 3, np.random.default_rng(3), Sampling(0.5, 8, active=active))
        for _ in range(3):
            order = sorted(search.ask(), key=sphere)[::-1]
            places = [order.index(vector) for vector in search.ask()]
            search.tell([-float({6: 7, 7: 6}.get(n, n) if swapped else n) for n in places])
        return search.ask()

    assert later(False, False) == later(False, True)
    assert later(True, False) != later(True, True)


@pytest.mark.parametrize("sigma", [1e-300, 1e200])
def test_at_the_ends_of_the_numbers_it_is_quiet_too(sigma: float) -> None:
    search = begun([0.5] * 3, sigma)
    while not search.finished and search.runs[0].generations < 20:
        search.tell([x[0] - x[1] for x in search.ask()])
    assert all(math.isfinite(v) for v in search.mean)


def test_the_options_that_keep_it_quiet_exist() -> None:
    assert QUIET.keys() <= pycma().CMAOptions().keys()


def test_without_restarts_equal_fitness_is_no_end_and_convergence_is() -> None:
    search = begun([1.0] * 3)
    run(search, lambda x: 0.5, 5)
    assert not search.finished
    while not search.finished:
        search.tell([sphere(x) for x in search.ask()])
    assert search.ask() == [] and len(search.runs) == 1 and search.runs[0].stopped
    with pytest.raises(ValueError, match="0 vectors wait"):
        search.tell([])


def test_each_restart_of_ipop_doubles_the_population_and_is_on_record() -> None:
    search = CmaEs([0.2] * 2, np.random.default_rng(0), Sampling(0.5, 4, "ipop", most_restarts=3))
    while not search.finished:
        search.tell([sphere(x) for x in search.ask()])
    assert [r.population for r in search.runs] == [4, 8, 16, 32]
    assert all(r.stopped and r.generations > 5 and r.sigma == 0.5 and r.size == "large" for r in search.runs)


def test_bipop_spends_as_much_on_small_runs() -> None:
    search = CmaEs([0.2] * 2, np.random.default_rng(0), Sampling(0.5, 6, "bipop", most_restarts=4))
    while not search.finished:
        search.tell([sphere(x) for x in search.ask()])
    small = [r for r in search.runs if r.size == "small"]
    large = [r for r in search.runs if r.size == "large"]
    assert [r.population for r in large] == [6, 12, 24, 48, 96]
    assert small and all(r.population <= 48 and 0.005 <= r.sigma <= 0.5 and r.generations <= r.most for r in small)
    spent = [sum(r.evaluations for r in part) for part in (small, large[1:-1])]
    assert 0.5 < spent[0] / spent[1] < 2


def test_restarts_leave_a_side_hill() -> None:
    def best(restarts: str) -> float:
        search = CmaEs([2.2] * 2, np.random.default_rng(0), Sampling(1.0, None, restarts, 6))  # type: ignore[arg-type]
        value = -math.inf
        while not search.finished and value < -1e-6:
            values = [many_hills(x) for x in search.ask()]
            search.tell(values)
            value = max(value, *values)
        return value

    assert best("none") < -0.9 and best("ipop") > -1e-6 and best("bipop") > -1e-6


@pytest.mark.parametrize(
    ("start", "sampling", "message"),
    [
        ([], Sampling(1.0), "one or more finite numbers"),
        ([math.nan], Sampling(1.0), "one or more finite numbers"),
        ([0.0], Sampling(0.0), "above 0"),
        ([0.0], Sampling(1.0, 1), "2 or more"),
        ([0.0], Sampling(1.0, 4, "twice"), "restarts are"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_begun(start: list[float], sampling: Sampling, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CmaEs(start, np.random.default_rng(0), sampling)


def test_a_fitness_for_each_vector() -> None:
    search = begun([0.0, 0.0])
    count = len(search.ask())
    with pytest.raises(ValueError, match=f"{count} vectors wait for a fitness, got 1 values"):
        search.tell([0.0])

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

import glo_dsl as glo
from glo_dsl.evolve.strategies.cmaes import Sampling
from glo_dsl.evolve.strategies.constants import Constants, Coordinate
from glo_dsl.evolve.work import Told
from glo_dsl.lang.loss import Loss
from tests.evolve.strategies.judges import run

LOSS = glo.loads("loss f(z: real[C], t: class[C]; a = 3, b = 2 in (0, 4], k = 7) = a * b * k * z[t]")["f"]


def search(
    coordinates: Sequence[Coordinate], sigma: float = 0.5, generations: int = 40, **more: object
) -> Constants:  # fmt: skip
    return Constants(LOSS, coordinates, np.random.default_rng(0), Sampling(sigma, 8), generations, **more)  # type: ignore[arg-type]


def near(a: float, b: float) -> object:
    return lambda loss: Told(-((loss.defaults["a"] - a) ** 2) - (loss.defaults["b"] - b) ** 2)


def test_it_finds_constants_and_leaves_others_alone() -> None:
    found = search([Coordinate("b", 2.0), Coordinate("a", 3.0)])
    log = run(found, near(5.0, 1.0))  # type: ignore[arg-type]
    assert len(log) == 40 and all(p.loss.defaults["k"] == 7 for asked, _ in log for p in asked)
    assert found.mean.defaults == pytest.approx({"a": 5.0, "b": 1.0, "k": 7.0}, abs=1e-2)
    fitness = [told.fitness for _, outcomes in log for told in outcomes]
    assert found.best is not None and found.best.fitness == max(f for f in fitness if f is not None)
    assert near(5.0, 1.0)(found.best.loss).fitness == found.best.fitness  # type: ignore[operator]


def test_a_unit_stretches_its_coordinate() -> None:
    asked = Constants(LOSS, [Coordinate("a", 1.0, unit=-100.0)], np.random.default_rng(0), Sampling(0.1, 200), 1).ask()
    values = [p.loss.defaults["a"] for p in asked]
    assert np.mean(values) == pytest.approx(-100, abs=4) and np.std(values) == pytest.approx(10, rel=0.3)


def test_what_is_outside_of_its_domain_is_not_asked_about() -> None:
    found = search([Coordinate("b", 0.5)], sigma=2.0)
    log = run(found, near(3.0, 0.0))  # type: ignore[arg-type]
    assert all(0 < p.loss.defaults["b"] <= 4 for asked, _ in log for p in asked)
    assert log[0][0][0].notes["refused"] == {"b outside of its domain": 8 - len(log[0][0])}
    assert found.counts["b outside of its domain"] > 20
    assert 0 < found.mean.defaults["b"] < 0.1  # the best is at the open end


def test_a_generation_without_anything_to_ask_about_counts() -> None:
    calls: list[int] = []

    def refuse(losses: Sequence[Loss]) -> list[str]:
        calls.append(len(losses))
        return ["no"] * len(losses) if len(calls) % 2 else [""] * len(losses)

    found = search([Coordinate("a", 0.0)], generations=6, refuse=refuse)
    log = run(found, lambda loss: Told(1.0))
    assert [asked[0].notes["generation"] for asked, _ in log] == [1, 3, 5]
    assert found.generation == 6 and found.counts == {"no": 24, "asked": 24}


def test_if_all_is_refused_it_ends() -> None:
    found = search([Coordinate("a", 0.0)], generations=5, refuse=lambda losses: ["no"] * len(losses))
    assert found.ask() == () and found.best is None and found.counts == {"no": 40}


def test_failures_are_not_the_best() -> None:
    found = search([Coordinate("a", 0.0)])
    asked = found.ask()
    outcomes = [Told(None, "failed"), Told(float("nan")), Told(float("inf")), Told(-2.0), Told(-1.0), Told(-1.0)]
    found.tell([*outcomes, Told(None), Told(-3.0)])
    assert found.best is not None and found.best.loss is asked[4].loss and found.best.fitness == -1.0


def test_restarts_are_on_record() -> None:
    found = Constants(
        LOSS, [Coordinate("a", 0.0)], np.random.default_rng(0), Sampling(0.5, 4, "ipop", most_restarts=1), 10_000
    )
    log = run(found, near(1.0, 2.0))  # type: ignore[arg-type]
    notes = [asked[0].notes for asked, _ in log]
    assert {(n["run"], n["population"]) for n in notes} == {(0, 4), (1, 8)}
    assert [n["generation"] for n in notes] == list(range(len(notes)))
    assert notes[-1]["sigma"] < 0.01  # type: ignore[operator]


def test_coordinates_are_parameters() -> None:
    with pytest.raises(ValueError, match="f has no parameter c, d"):
        search([Coordinate("d", 0.0), Coordinate("a", 0.0), Coordinate("c", 0.0)])

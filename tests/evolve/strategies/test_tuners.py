from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import glo_dsl as glo
from glo_dsl.evolve.strategies.tuners import METHODS, Method, Tuner, Tuning, tuner_of
from glo_dsl.evolve.work import Hill, Proposal, Told
from glo_dsl.lang.loss import Loss

LOSS = glo.loads("loss f(z: real[C], t: class[C]; a = -30, b = 2 in (0, 4], k = 0) = a * b * z[t] + k * z[t]^2")["f"]
Judge = Callable[[Loss], Told]


def near(a: float, b: float) -> Judge:
    """A hill whose top is there, and at k = 1."""

    def told(loss: Loss) -> Told:
        at = loss.defaults
        off = {"a": (at["a"] - a) / 30, "b": at["b"] - b, "k": at["k"] - 1}
        value = -sum(o**2 for o in off.values())
        return Told(value, "", Hill(value, (-2 * off["a"] / 30, -2 * off["b"], -2 * off["k"])))

    return told


def run(tuner: Tuner, judge: Judge) -> list[list[Proposal]]:
    log = []
    while asked := list(tuner.ask()):
        assert list(tuner.ask()) == asked
        log.append(asked)
        tuner.tell([judge(p.loss) for p in asked])
    return log


@pytest.mark.parametrize("method", METHODS)
def test_every_method_finds_constants_within_their_domains(method: Method) -> None:
    tuner = tuner_of(LOSS, Tuning(method, generations=40, steps=20), 0)
    log = run(tuner, near(-10.0, 3.0))
    assert tuner.mean.defaults == pytest.approx({"a": -10, "b": 3, "k": 1}, rel=0.05)
    assert all(0 < p.loss.defaults["b"] <= 4 for asked in log for p in asked)
    assert {p.hill for asked in log for p in asked} == {"cma": {False}, "gradient": {True}, "both": {True, False}}[
        method
    ]


def test_cma_goes_on_in_the_units_of_the_start() -> None:
    """A constant that the gradient has taken from 0 to a small number is not stuck there."""
    tuner = tuner_of(LOSS, Tuning("both", generations=2, steps=2), 0)
    (first,), (second,), *samples = run(tuner, near(-30.0, 2.0))
    assert first.loss.defaults["k"] == 0 and second.loss.defaults["k"] > 0
    spread = [p.loss.defaults["k"] - second.loss.defaults["k"] for p in samples[0]]
    assert 0.06 < max(map(abs, spread)) < 0.5


def test_steps_are_taken_in_units_of_the_constants() -> None:
    _, (second,) = run(tuner_of(LOSS, Tuning("gradient", steps=2), 0), near(-10.0, 2.0))
    along = np.array([2 / 3, 0.0, 1.0])  # twice what it is off by, in units of 30, 2 and 1
    a, b, k = np.array([-1.0, 1.0, 0.0]) + 0.3 * along / np.linalg.norm(along)
    assert list(second.loss.defaults.values()) == pytest.approx([30 * a, 2 * b, k])


def test_an_open_end_is_not_reached() -> None:
    tuner = tuner_of(LOSS, Tuning("gradient", steps=30), 0)
    run(tuner, near(-30.0, -5.0))
    assert 0 < tuner.mean.defaults["b"] < 0.01


def test_steps_are_counted_and_the_best_is_kept() -> None:
    tuner = tuner_of(LOSS, Tuning("gradient", steps=4), 0)
    log = run(tuner, near(-10.0, 3.0))
    assert [asked[0].notes["step"] for asked in log] == [0, 1, 2, 3]
    values = [near(-10.0, 3.0)(asked[0].loss).fitness for asked in log]
    assert near(-10.0, 3.0)(tuner.mean).fitness == max(v for v in values if v is not None)


@pytest.mark.parametrize(("method", "asked"), [("gradient", 1), ("both", 4)])
def test_without_any_slope_cma_remains(method: Method, asked: int) -> None:
    tuner = tuner_of(LOSS, Tuning(method, generations=3, steps=9), 0)
    log = run(tuner, lambda loss: Told(0.0, "", None))
    assert len(log) == asked and (tuner.mean.defaults == LOSS.defaults) == (method == "gradient")


def test_mistakes() -> None:
    with pytest.raises(glo.GloError, match="no method newton") as error:
        tuner_of(LOSS, Tuning("newton"), 0)  # type: ignore[arg-type]
    assert error.value.hint == "there are cma, gradient, both"
    with pytest.raises(glo.GloError, match="cross_entropy has no constants to tune"):
        tuner_of(glo.zoo["cross_entropy"], Tuning(), 0)

"""The truth is right, knows what it does not know, and lets nothing else pass."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import glo_dsl as glo
from glo_dsl.lang.loss import Loss
from glo_dsl.passes.pipeline import whole_program
from glo_dsl.verify.batch import Batch, Sample, Value
from glo_dsl.verify.kernels import Kernels
from glo_dsl.verify.space import random_batch, space_of
from glo_dsl.verify.strategies import losses
from glo_dsl.verify.truth import Oracle, Truth, rounded


def only(text: str) -> Loss:
    (loss,) = glo.loads(text).values()
    return loss


def truth_at(text: str, dtype: Any = np.float64, **values: Value) -> Truth:
    judge = Oracle(only(text))
    rows = [value for value in values.values() if isinstance(value, tuple)]
    sample = Sample(judge.inputs, values, len(rows[0]) if rows else 1)
    return judge.truth(rounded(Batch.of([sample]), dtype), dtype)


def test_gradients_come_apart_by_rows_also_by_what_a_kernel_takes_once() -> None:
    judge = Oracle(only("loss f(z: real[C], w: shared real[C]; a = 2) = a * sum(w * square(z))"))
    rows = [{"z": (1.0, 2.0), "w": (1.0, 0.0), "a": 1.0}, {"z": (3.0, 0.0), "w": (2.0, 1.0), "a": 5.0}]
    truth = judge.truth(Batch.of([Sample(judge.inputs, row, 2) for row in rows]))
    assert truth.numbers[""].tolist() == [1.0, 90.0]
    assert truth.numbers["w"].tolist() == [[1.0, 4.0], [45.0, 0.0]]
    assert truth.numbers["a"].tolist() == [1.0, 18.0]


KINKS = "loss hinge(p: real, y: real; margin = 1) = max(margin - p * y, 0)"


def test_at_a_tie_of_exact_numbers_the_convention_is_the_truth() -> None:
    truth = truth_at(KINKS, p=0.5, y=2.0, margin=1.0)
    assert truth.numbers["margin"].tolist() == [0.5] and truth.allowed["margin"][0] < 1e-8
    assert truth.excess("margin", np.array([1.0]))[0] > 1e6


def test_at_a_tie_of_rounded_numbers_it_is_not_known() -> None:
    truth = truth_at(KINKS, p=0.1, y=0.3, margin=0.1 * 0.3)
    assert np.isnan(truth.allowed["margin"][0]) and not truth.judged[0]
    assert truth.excess("margin", np.array([1.0]))[0] == 0


@pytest.mark.parametrize(("dtype", "passes", "fails"), [(np.float64, 1e-10, 1e-7), (np.float32, 1e-6, 1e-3)])
def test_how_far_a_kernel_may_be_off(dtype: Any, passes: float, fails: float) -> None:
    truth = truth_at("loss f(z: real[C], t: class[C]) = -log_softmax(z)[t]", dtype, z=(1.3, -0.2, 0.7), t=1.0)
    assert truth.judged.all()
    for name, numbers in truth.numbers.items():
        assert truth.excess(name, numbers * (1 + passes))[0] < 1 < truth.excess(name, numbers * (1 + fails))[0]
        assert truth.excess(name, numbers * np.nan)[0] == np.inf


def test_what_is_not_finite_is_not_known() -> None:
    truth = truth_at("loss f(x: real) = exp(x) * log(x)", x=-1.0)
    assert not truth.judged[0] and truth.excess("", np.array([7.0]))[0] == 0


def test_without_its_value_a_loss_has_no_slope_to_speak_of() -> None:
    """In float32 this is 0 / 0."""
    text = "loss f(x: real, h: real in (0, inf), y: real) = ((x + h) - x) / ((x + 2 * h) - x) + y"
    assert truth_at(text, np.float64, x=0.0, h=0.5, y=1.0).judged[0]
    lost = truth_at(text, np.float32, x=1.0, h=1e-9, y=1.0)
    assert not lost.judged[0] and lost.excess("y", np.array([np.nan]))[0] == 0


def test_float32_is_not_asked_for_numbers_that_it_does_not_have() -> None:
    text = "loss f(x: real) = log(exp(x) * exp(x))"
    assert truth_at(text, np.float64, x=60.0).judged[0]
    assert not truth_at(text, np.float32, x=60.0).judged[0]


def test_a_slope_that_is_left_of_large_ones_may_be_as_wrong_as_they_are() -> None:
    truth = truth_at("loss f(x: real; a = 1) = 1e6 * (x * a) - 1e6 * (a * x) + x", np.float32, x=0.3, a=0.7)
    assert truth.allowed["x"][0] > 0.1 or np.isnan(truth.allowed["x"][0])


def test_parts_of_a_slope_that_cancel_exactly_may_not_do_so_in_a_kernel() -> None:
    text = "loss f(z: real[C], t: class[C]; a = 1) = -log_softmax(z / (a * sqrt(sum(square(z)))))[t]"
    truth = truth_at(text, np.float32, z=(4.4017,), t=0.0, a=0.1)
    assert truth.numbers["a"][0] == 0 and 1e-4 < truth.allowed["a"][0] < 0.1
    assert truth.allowed["z"][0, 0] < 0.01


@settings(max_examples=settings().max_examples // 2, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(losses(max_depth=4), st.integers(0, 99))
def test_random_losses_raise_no_false_alarm(loss: Loss, seed: int) -> None:
    judge = Oracle(loss)
    kernels = Kernels({loss.name: (loss, whole_program(loss))}, ("torch",)).of(loss)
    batch = random_batch(space_of(loss), np.random.default_rng(seed), 16, 3 if space_of(loss).counted else 1, 4)
    truth = judge.truth(batch)
    for kernel in kernels:
        found = kernel.rows(batch)
        for name in truth.numbers:
            worst = truth.excess(name, found[name])
            assert worst.max() <= 1, (loss.text, name, batch.sample(int(worst.argmax())))


def test_most_rows_of_usual_losses_are_known() -> None:
    for text in ("loss f(z: real[C], t: class[C]) = -log_softmax(z)[t]", "loss f(p: real, y: real) = (p - y) ^ 2"):
        loss = only(text)
        judge, space = Oracle(loss), space_of(loss)
        batch = random_batch(space, np.random.default_rng(0), 100, 3 if space.counted else 1)
        for dtype in (np.float64, np.float32):
            assert judge.truth(rounded(batch, dtype), dtype).judged.mean() > 0.8


def test_rounding_stays_within_open_domains() -> None:
    loss = only("loss f(x: real in (0, 1), y: real in (-1, 1]) = x + y")
    batch = Batch.of([Sample(loss.inputs, {"x": x, "y": y}) for x, y in ((1 - 1e-12, -1 + 1e-12), (1e-300, 1.0))])
    columns = rounded(batch, np.float32).columns
    for v in loss.inputs:
        assert all(v.domain.contains(number) for number in columns[v.name])
        assert (columns[v.name] == columns[v.name].astype(np.float32)).all()

"""Shapes of losses of which they are known."""

from __future__ import annotations

import numpy as np
import pytest

import glo_dsl as glo
from glo_dsl.evolve.report.loss_plots import Curve, balance
from glo_dsl.evolve.report.shapes import shape_of
from glo_dsl.evolve.report.story import About
from glo_dsl.lang.restate import restated

CE = "loss ce(z: real[C], t: class[C]) = -log_softmax(z)[t]"


@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_cross_entropy(classes: int) -> None:
    shape = shape_of(CE, About("accuracy", classes))
    assert shape is not None
    p = shape.at
    np.testing.assert_allclose(shape.value, -np.log(p), atol=1e-12)
    np.testing.assert_allclose(shape.gradient, p - 1, atol=1e-12)
    np.testing.assert_allclose(shape.others, (1 - p) / (classes - 1), atol=1e-12)
    np.testing.assert_allclose(shape.target_weight, classes * (1 / p - 1), rtol=1e-9)
    np.testing.assert_allclose(shape.other_weight, -classes, rtol=1e-9)


@pytest.mark.parametrize("name", ["baikal", "focal", "brier"])
def test_weights_have_the_mean_0_and_are_those_of_the_paper_up_to_a_constant(name: str) -> None:
    """The paper's gammas are derivatives by the outputs of the softmax."""
    shape = shape_of(restated(glo.zoo[name]), About("accuracy", 10))
    assert shape is not None
    p, q = shape.at, (1 - shape.at) / 9
    np.testing.assert_allclose(p * shape.target_weight + 9 * q * shape.other_weight, 0, atol=1e-6)
    if name == "baikal":  # gamma_k = 1/h_k + y_k/h_k^2, for the loss over n
        np.testing.assert_allclose(shape.target_weight - shape.other_weight, 1 / p + 1 / p**2 - 1 / q, rtol=1e-6)


@pytest.mark.parametrize("classes", [4, 10, 100])
def test_baikal_is_balanced_where_it_is_known_to_be(classes: int) -> None:
    shape = shape_of(restated(glo.zoo["baikal"]), About("accuracy", classes))
    assert shape is not None
    turn = float(shape.at[np.argmin(shape.value)])
    assert turn == pytest.approx(classes**-0.5, abs=0.006)
    said = balance(Curve("baikal", shape, 1.0, "", 0))
    assert said.startswith("baikal turns between pull and push at 0.") and abs(float(said[-4:]) - turn) < 0.02


def test_regression() -> None:
    shape = shape_of("loss se(p: real, y: real) = (p - y)^2", About("r2", 1))
    assert shape is not None and shape.target_weight.size == 0
    np.testing.assert_allclose(shape.value, shape.at**2)
    np.testing.assert_allclose(shape.gradient, 2 * shape.at)


@pytest.mark.parametrize(
    ("text", "about"),
    [
        ("no loss", About("accuracy", 10)),
        (CE, About("accuracy", 10**9)),
        (CE, About("accuracy", 0)),
        (CE, About()),
        (CE, About("r2", 1)),
        ("loss f(z: real[C], w: shared real[C], t: class[C]) = w[t] * z[t]", About("accuracy", 3)),
        ("loss f(t: class[C]) = 1", About("accuracy", 3)),
        ("loss f(p: prob[C], t: class[C]) = p[t]", About("other", 3)),
        ("loss f(z: real[C], t: class[C]) = sum(z * stop(z)) + sum(?g(z))", About("accuracy", 3)),
    ],
)
def test_what_has_no_shape(text: str, about: About) -> None:
    assert shape_of(text, about) is None


def test_a_loss_that_is_nowhere_finite_has_one_all_the_same() -> None:
    shape = shape_of("loss f(z: real[C], t: class[C]) = sqrt(-1 - z[t]^2)", About("accuracy", 3))
    assert shape is not None and not np.isfinite(shape.value).any()

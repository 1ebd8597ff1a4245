from __future__ import annotations

from dataclasses import replace

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

import glo_dsl as glo
from glo_dsl.evolve.funnel import KNOWN, NO_GRADIENT, NOT_FINITE, WRONG_WAY, Funnel
from glo_dsl.lang.definitions import losses_of

HEAD = "loss f(z: real[C], t: class[C]; k = 2) = let y = softmax(z), x = onehot(t) in "


def loss(body: str) -> glo.Loss:
    return losses_of(HEAD + body)["f"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("-mean(x * log(y))", None),
        ("-mean(log(y) - x / y)", None),
        ("mean(x * log(y))", WRONG_WAY),
        ("mean(y)", NO_GRADIENT),
        ("mean(x)", NO_GRADIENT),
        ("mean(log(y - 1))", NOT_FINITE),  # a finite gradient alone does not make a loss
        ("mean(sqrt(-y))", NOT_FINITE),
    ],
)
def test_reasons(body: str, reason: str | None) -> None:
    funnel = Funnel(10)
    assert funnel.judge(loss(body)).reason == reason
    assert funnel.counts == {reason or "trained": 1}


@pytest.mark.parametrize(
    "same",
    ["-mean(x * x * log(y))", "-3 * mean(log(y) * x)", "-log(y[t])", "logsumexp(z) - z[t] + mean(x)", "-k * log(y[t])"],
)
def test_losses_that_train_alike_are_one(same: str) -> None:
    funnel = Funnel(10)
    first, second = funnel.judge(loss("-mean(x * log(y))")), funnel.judge(loss(same))
    assert second.reason == KNOWN and first.key == second.key


@pytest.mark.parametrize("other", ["-mean(x * sqrt(y))", "-log(y[t] + 0.01)", "mean((x - y) ^ 2)"])
def test_other_losses_are_not(other: str) -> None:
    funnel = Funnel(10)
    funnel.judge(loss("-mean(x * log(y))"))
    assert funnel.judge(loss(other)).reason is None


def test_the_scale_is_that_of_the_gradient() -> None:
    funnel = Funnel(10)
    one, five = funnel.peek(loss("-log(y[t])")), funnel.peek(loss("-5 * log(y[t])"))
    assert five.scale == pytest.approx(5 * one.scale)
    assert not funnel.counts


def test_the_gradient_is_right() -> None:
    funnel = Funnel(4)
    softmax = np.exp(funnel._logits) / np.exp(funnel._logits).sum(1, keepdims=True)
    _, gradient = funnel.value_and_gradient(loss("-log(y[t])"))
    np.testing.assert_allclose(gradient, softmax - np.eye(4)[funnel._target[:, 0]], atol=1e-14)


@settings(max_examples=30)
@given(st.sampled_from(["gce", "focal", "truncated_gce"]), st.floats(0.2, 0.9))
def test_the_slopes_of_the_scale_are_right(name: str, at: float) -> None:
    base, h = glo.zoo[name], 1e-5

    def scale(moved: int, by: float) -> float:
        params = tuple(replace(p, default=at / (1 + 3 * n) + by * (n == moved)) for n, p in enumerate(base.params))
        return float(np.log(Funnel(4).peek(replace(base, params=params)).scale))

    here = replace(base, params=tuple(replace(p, default=at / (1 + 3 * n)) for n, p in enumerate(base.params)))
    want = [(scale(n, h) - scale(n, -h)) / 2 / h for n in range(len(base.params))]
    assert Funnel(4).slopes_of_scale(here) == pytest.approx(want, 1e-4, 1e-6)


def test_values_have_a_scale_with_slopes_too() -> None:
    """Of k (p - y)^2 the logarithm of the scale is that of k and a constant."""
    base = glo.loads("loss f(p: real, y: real; k = 4) = k * (p - y)^2")["f"]
    assert Funnel(0).slopes_of_scale(base) == pytest.approx((0.25,))


def test_without_a_gradient_the_scale_has_no_slope() -> None:
    base = glo.loads("loss f(z: real[C], t: class[C]; k = 0) = -k * log_softmax(z)[t]")["f"]
    assert not np.isfinite(Funnel(3).slopes_of_scale(base)).any()

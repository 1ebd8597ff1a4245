"""What a loss aims at: inputs without gradient and losses without a minimum are found, and nothing else is blamed."""

from __future__ import annotations

import pytest

import glo_dsl as glo
from glo_dsl.passes.lint import diagnose


def said(text: str) -> list[str]:
    return [d.code for d in diagnose(text).warnings if d.code in ("no-gradient", "no-minimum")]


@pytest.mark.parametrize(
    "body",
    [
        "sign(p) * y", "floor(p) + square(y)", "stop(p) * y", "if p > y then 1 else 0", "p - p + y * y", "0 * p + y",
        "sum(softmax(z)) + p * p * 0", "stop(square(p - y))", "square(y) + (p - stop(p)) * 0",
    ],
)  # fmt: skip
def test_a_prediction_without_gradient_is_found(body: str) -> None:
    assert "no-gradient" in said(f"loss f(p: real, y: real, z: real[C]) = {body}")


@pytest.mark.parametrize(
    "text",
    [
        "loss f(p: real, y: real) = if y > 0 then p * p else abs(p)", "loss f(p: real, y: real) = p * p + p * stop(y)",
        "loss f(p: real, y: real) = relu(p - y) + p * p", "loss f(z: real[C], t: class[C]) = -log_softmax(z)[t]",
        "loss f(p: real in [5, 9], y: real in (0, inf)) = y * p",
        "loss f(p: real, y: real) = exp(min(p, 3)) * 1e-9 + y",
        "loss f(p: real, y: real) = max(p, 0) + abs(y)", "loss f(z: real[C], w: shared real[C]) = dot(w, square(z))",
    ],
)  # fmt: skip
def test_losses_with_an_aim_are_left_alone(text: str) -> None:
    assert said(text) == []


@pytest.mark.parametrize(
    ("text", "side"),
    [
        ("loss f(p: real, y: real) = p - y", "falls"), ("loss f(p: real, y: real) = y * y - 2 * p + sin(p)", "rises"),
        ("loss f(z: real[C]) = -sum(z)", "rises"), ("loss f(p: real; k = 1 in [1, 2]) = k * p", "falls"),
    ],
)  # fmt: skip
def test_a_loss_that_falls_without_end_is_found(text: str, side: str) -> None:
    (warning,) = diagnose(text).warnings
    assert warning.code == "no-minimum" and warning.message.endswith(side)


def test_no_loss_of_the_library_lacks_an_aim() -> None:
    for loss in (glo.zoo[name] for name in glo.zoo):
        assert not said(loss.text) or "import" in loss.source.text, loss.name


@pytest.mark.parametrize("body", ["trigamma(exp(p))", "trigamma(2 + floor(sigmoid(p)))"])
def test_a_derivative_that_is_not_known_is_not_judged(body: str) -> None:
    assert said(f"loss f(p: real, q: real in [0, 1]) = {body} + q * q") == []

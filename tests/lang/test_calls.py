"""Losses called like functions, rows where numbers were declared, the order in which names are looked up."""

from __future__ import annotations

import pytest

from glo_dsl.lang.definitions import check, losses_of
from glo_dsl.lang.show import show

BASE = "loss ce(z: real[C], t: class[C]; tau = 1 in (0, inf)) = -log_softmax(z / tau)[t]\n"


def body(text: str, name: str = "f") -> str:
    return show(losses_of(text)[name].expr)


def test_a_call_puts_the_loss_in_place() -> None:
    assert body(BASE + "loss f(z: real[C], t: class[C]) = 2 * ce(z, t)") == "2 * -log_softmax(z / 1)[t]"
    assert (
        body(BASE + "loss f(z: real[C], t: class[C]; s = 3) = ce(z, t; tau = s * s)") == "-log_softmax(z / (s * s))[t]"
    )


def test_a_loss_may_call_one_that_stands_below() -> None:
    assert body("loss f(x: real) = g(x) + 1 loss g(x: real) = x * x") == "x * x + 1"


def test_a_row_may_stand_for_a_number_and_not_the_other_way_round() -> None:
    squared = "loss squared(p: real, y: real) = (p - y) ^ 2\n"
    assert body(squared + "loss f(z: real[C], y: real) = mean(squared(z, y))") == "mean((z - y) ^ 2)"
    (error,) = check(BASE + "loss f(x: real, t: class[C]) = ce(x, t)").errors
    assert error.message == "z of ce must be real[C], got real"


def test_parameters_may_vary_over_samples_but_not_over_classes() -> None:
    assert body(BASE + "loss f(z: real[C], t: class[C], s: real) = ce(z, t; tau = s)") == "-log_softmax(z / s)[t]"
    (error,) = check(BASE + "loss f(z: real[C], t: class[C]) = ce(z, t; tau = z)").errors
    assert error.code == "parameter-type"


def test_own_names_go_before_imported_ones_and_those_before_operators_and_the_prelude() -> None:
    assert body("def norm(a) = a + 1 loss f(x: real) = norm(x)") == "x + 1"
    assert body("def exp(a) = a * 7 loss f(x: real) = exp(x)") == "x * 7"
    assert body("import std def mse(a, b) = a * b loss f(p: real, y: real) = mse(p, y)") == "p * y"
    assert body("loss f(x: real[C]) = norm(x)") == "sqrt(sum(square(x)))"


def test_losses_that_call_each_other_are_refused() -> None:
    found = check("loss f(x: real) = g(x) loss g(x: real) = f(x)").errors
    assert {d.code for d in found} == {"recursion"}


def test_what_is_wrong_inside_the_prelude_is_said_at_the_call() -> None:
    (error,) = check("loss f(x: real) = x + dot(x, x)").errors
    assert error.message.startswith("in dot: ") and error.span is not None and error.span.column == 23


def test_locals_are_read_again_after_an_inner_let_hid_them() -> None:
    assert body("loss f(x: real) = let a = x, b = (let a = 2 in a * x) in a + b") == "x + 2 * x"


def test_names_of_the_caller_are_not_seen_inside() -> None:
    (error,) = check("def g(x) = x + hidden loss f(x: real, hidden: real) = g(x) * hidden").errors
    assert error.message == "unknown name hidden"


@pytest.mark.parametrize("text", ["loss f(x: real) = x * x * mse(x, 1)", "loss f(x: real) = focall(x, x)"])
def test_losses_of_the_library_need_their_import(text: str) -> None:
    (error,) = check(text).errors
    assert error.code == "unknown-function" and (error.hint or "").startswith(
        ("import std brings", "did you mean")
    ) == ("mse" in text)

"""Laws and examples: what they quantify over, what they say, how they are read."""

from __future__ import annotations

import math

import pytest

from glo_dsl.ir.types import ANY, Interval
from glo_dsl.lang.definitions import check, losses_of
from glo_dsl.lang.loss import Law
from glo_dsl.lang.show import show

FOCAL = """
loss ce(z: real[C], t: class[C]) = -log_softmax(z)[t]
loss focal(z: real[C], t: class[C]; gamma = 2 in [0, 8], scale = 1) =
  let p = softmax(z)[t] in scale * (1 - p) ^ gamma * ce(z, t)
"""


def law(text: str, name: str = "focal") -> Law:
    losses = losses_of(FOCAL + text)
    (found,) = losses[name].laws
    return found


def test_a_law_quantifies_over_what_it_mentions() -> None:
    found = law("law focal.positive: focal(z, t) >= 0")
    assert {v.name for v in found.variables} == {"z", "t", "gamma", "scale"}
    assert found.name == "focal.positive" and found.text == "law focal.positive: focal(z, t) >= 0"
    assert {v.name for v in law("law ce.positive: ce(z, t) >= 0", "ce").variables} == {"z", "t"}


def test_an_unset_parameter_is_the_laws_and_a_set_one_is_not() -> None:
    assert {v.name for v in law("law focal.plain: focal(z, t; gamma = 0) == scale * ce(z, t)").variables} == {
        "z", "t", "scale",
    }  # fmt: skip
    # the calls of other losses take their defaults
    found = law("law ce.focal: ce(z, t) >= focal(z, t)", "ce")
    assert {v.name for v in found.variables} == {"z", "t"}
    assert "1 * (1 - softmax(z)[t]) ^ 2" in show(found.expr)


def test_binders_bring_variables_and_narrow_inputs() -> None:
    found = law("law focal.shift: focal(z + k, t) == focal(z, t) for k: real in [-5, 5), z: real[C] in [-1, 1]")
    domains = {v.name: v.domain for v in found.variables}
    assert domains["k"] == Interval(-5, 5, open_hi=True) and domains["z"] == Interval(-1, 1)
    assert domains["gamma"] == Interval(0, 8) and domains["scale"] == ANY


def test_laws_may_be_any_condition() -> None:
    found = law("law focal.any: not (gamma > 1) or focal(z, t) >= 0 and z[t] == z[t]")
    assert found.expr.type.kind == "bool"


def test_documentation_of_a_law_is_the_comment_above() -> None:
    assert law("# It never rewards.\nlaw focal.positive: focal(z, t) >= 0").doc == "It never rewards."


def test_an_example_holds_values_settings_and_a_tolerance() -> None:
    text = """
    example focal([2, log(1), -1], 1; gamma = 3) == 1 / 3 +- 1e-5
    example focal([2, 0], 0) == 0.5
    """
    first, second = losses_of(FOCAL + text)["focal"].examples
    assert first.inputs == {"z": (2.0, 0.0, -1.0), "t": 1.0} and first.params == {"gamma": 3.0}
    assert first.expected == pytest.approx(1 / 3) and first.tolerance == 1e-5
    assert second.tolerance == pytest.approx(0.5e-9) and second.params == {}
    assert first.text == "example focal([2, log(1), -1], 1; gamma = 3) == 1 / 3 +- 1e-5"


def test_examples_take_conditions_probabilities_and_infinities() -> None:
    text = """
    loss f(z: real[C], q: prob[C], b: bool, m: bool[C]) = if b then dot(q, if m then z else 0) else 0
    example f([1, -inf], [0.25, 0.75], true, [true, false]) == 0.25
    """
    (example,) = losses_of(text)["f"].examples
    assert example.inputs == {"z": (1.0, -math.inf), "q": (0.25, 0.75), "b": 1.0, "m": (1.0, 0.0)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("law focal.a: focal(z, t) == k", "unknown name k"),
        ("law focal.a: focal(z) >= 0", "focal takes 2 arguments, got 1"),
        ("law focal.a: focal(z, t; gama = 1) >= 0", "focal has no parameter gama"),
        ("law focal.a: focal(z, t; gamma = 9) >= 0", "9 is outside [0, 8], the bounds of gamma"),
        ("law focal.a: focal(z, t) >= 0 for k: reel", "unknown type reel"),
        ("law focal.a: focal(z, t) >= k for k: real, k: real", "k is declared twice"),
        ("law focal.a: focal(z, t) >= 0 law focal.a: focal(z, t) >= 1", "focal.a is defined twice"),
        ("example focal([1, 2], 1; gama = 1) == 1", "focal has no parameter gama"),
        ("example focal([1, x], 1) == 1", "unknown name x"),
        ("example focal([1, 2], 0.5) == 1", "t is the index of a class, counted from 0"),
        ("example focal([1, 2], true) == 1", "t is class[C]: a class index is due"),
        ("example focal([1, 2], 1) == z", "unknown name z"),
        ("example focal([1, 2], [1]) == 1", "t is class[C]: one value is due, not a list"),
        ("example focal([1, [2]], 1) == 1", "z is real[C]: one value is due, not a list"),
        ("example focl([1, 2], 1) == 1", "this file has no loss focl"),
        ("def g(x) = x * x example g(1) == 1", "g is a def, not a loss"),
    ],
)
def test_what_is_wrong_with_a_claim_is_said_and_the_losses_are_read(text: str, message: str) -> None:
    module = check(FOCAL + text)
    assert [d.message for d in module.errors] == [message]
    assert list(module.losses) == ["ce", "focal"]

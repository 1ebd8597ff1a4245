"""Warnings: where they stand, what they quote, what they recommend, and when they are errors."""

from __future__ import annotations

import pytest

import glo_dsl as glo
from glo_dsl.passes.lint import MAX_FINDINGS, diagnose


def only(text: str) -> glo.Diagnostic:
    (found,) = diagnose(text).diagnostics
    return found


def test_what_is_certain_is_an_error_and_what_is_possible_a_warning() -> None:
    certain = only("loss f(p: real, y: real in [0, 1]) = p * p * log(y - 1)")
    assert certain.severity == "error" and certain.message == "y - 1 is in [-1, 0]; log needs > 0"
    possible = only("loss f(p: real, y: real in [0, 1]) = p * p * log(y)")
    assert possible.severity == "warning" and possible.hint == "declare its domain, for example y: real in (0, 1]"
    with pytest.raises(glo.GloError):
        glo.loads("loss f(p: real, y: real in [0, 1]) = p * p * log(y - 1)")
    assert glo.loads("loss f(p: real, y: real in [0, 1]) = p * p * log(y)")


def test_the_place_is_the_operator_and_the_quote_its_argument_as_written() -> None:
    found = only("loss f(z: real[C], t: class[C]) =\n  let p = softmax(z)[t] in\n  -log(1   -   p)")
    assert found.span is not None and found.source is not None
    assert (found.span.line, found.span.column) == (3, 4)
    assert found.message == "1   -   p is in [0, 1); log needs > 0"


def test_every_way_out_is_named() -> None:
    found = only("loss f(p: real in [-1, 1], y: real; a = 0.5 in [0, 1]) = square(y - abs(p ^ a) * 2)")
    assert found.message == "p is in [-1, 1]; ^ needs >= 0, or a a whole number"


def test_what_simplification_makes_stable_does_not_overflow() -> None:
    assert not diagnose("loss f(z: real[C], t: class[C]) = log(sum(exp(z))) - z[t]").diagnostics
    assert not diagnose("loss f(p: real, y: real) = log(1 + exp(-p * y))").diagnostics
    found = diagnose("loss f(z: real[C], t: class[C]) = sum(exp(z)) - z[t]").diagnostics
    assert [d.code for d in found] == ["overflow"]


def test_a_suspicion_inside_a_def_or_the_prelude_stands_in_the_file() -> None:
    inside = only("def ratio(a, b) = a / b\nloss f(p: real, y: real) = square(ratio(p, y))")
    assert inside.span is not None and inside.span.line == 1
    outside = diagnose("loss f(p: real, y: real) =\n  square(p - logit(y) * 0.5)").diagnostics
    assert {(d.code, d.span.line, d.span.column) for d in outside if d.span} == {("undefined", 2, 14)}


def test_the_denominator_is_looked_at_too() -> None:
    assert only("loss f(p: real, w: real) = p * p per log(w)").code == "undefined"


def test_the_same_suspicion_in_two_losses_is_said_of_both() -> None:
    found = diagnose("loss f(p: real) = square(log(p))\nloss g(p: real) = abs(log(p))").diagnostics
    assert [d.span.line for d in found if d.span] == [1, 2]


def test_not_everything_is_said() -> None:
    text = " + ".join(f"square(log(p - {n}))" for n in range(5 * MAX_FINDINGS))
    assert len(diagnose(f"loss f(p: real) = {text}").diagnostics) == MAX_FINDINGS


def test_a_search_space_is_checked_as_far_as_it_is_known() -> None:
    assert [d.code for d in diagnose("loss f(p: real) = ?h(p) / p").diagnostics] == ["division-by-zero"]

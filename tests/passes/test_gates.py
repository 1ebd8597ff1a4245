"""Gates: the value is what it was, and autograd's derivative is finite wherever that of the taken branch is."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import glo_dsl as glo
from glo_dsl.ir.expr import Expr, apply
from glo_dsl.lang.loss import Loss
from glo_dsl.lang.show import show
from glo_dsl.passes.gates import gated
from glo_dsl.passes.simplify import simplify
from glo_dsl.verify.oracle import oracle, reference
from glo_dsl.verify.strategies import arrays_for, losses

INF = float("inf")


def slope(loss: Loss, inputs: list[Any]) -> list[float]:
    """Autograd's derivative by the first input."""
    tensors = [torch.tensor(i, dtype=torch.bool if v.type.kind == "bool" else torch.float64)
               for v, i in zip(loss.inputs, inputs)]  # fmt: skip
    name = loss.inputs[0].name
    found: list[float] = oracle(loss, tensors, wrt=[name])[1][name].reshape(-1).tolist()
    return found


STEEP = {
    "if x > 0 then log(x) else 2 * x": ([[0.0]], [2.0]),
    "if x > 0 then x else exp(-x * -1e4)": ([[1.0]], [1.0]),
    "if x > 0 then sqrt(x) else if x < -1 then 1 / (x + 1) else x": ([[-1.0, 0.0]], [1.0, 1.0]),
    "sum(if z > 0 then z * log(z) else 3 * z)": ([[[0.0, 1.0]]], [3.0, 1.0]),
    "if m then sum(log(z)) else sum(z)": ([[[0.0, 1.0]], [False]], [1.0, 1.0]),
    "sum(if k then z * z else 1)": ([[[-INF, 2.0]], [[False, True]]], [0.0, 4.0]),
}
INPUTS = {"x": "x: real", "z": "z: real[C]", "m": "m: bool", "k": "k: bool[C]"}


@pytest.mark.parametrize("body", STEEP)
def test_what_is_not_taken_has_no_derivative(body: str) -> None:
    inputs, expected = STEEP[body]
    named = [text for letter, text in INPUTS.items() if re.search(rf"\b{letter}\b", body)]
    loss = glo.loads(f"loss f({', '.join(named)}) = {body}")["f"]
    assert not np.isfinite(slope(loss, inputs)).all(), "without gates it leaks"
    assert slope(replace(loss, expr=gated(loss.expr)), inputs) == pytest.approx(expected)


def test_a_choice_per_class_stops_nothing_that_other_classes_need() -> None:
    loss = glo.loads("loss f(z: real[C], k: bool[C]) = sum(if k then 1 / sum(exp(z)) else 0)")["f"]
    inputs = [[[0.0, 0.0]], [[True, False]]]
    assert "stop" in show(gated(loss.expr))
    assert slope(replace(loss, expr=gated(loss.expr)), inputs) == pytest.approx([-0.25, -0.25])


def test_what_is_not_steep_has_no_gates() -> None:
    huber = glo.zoo["huber"].expr
    assert gated(huber) is huber
    text = "loss f(x: real in [1, 2]) = if x > 1.5 then log(x) else x"
    assert "stop" not in show(gated(glo.loads(text)["f"].expr))


@settings(max_examples=settings().max_examples // 6)
@given(losses(), st.data())
def test_values_of_random_programs_are_the_same(loss: Loss, data: st.DataObject) -> None:
    arrays = data.draw(arrays_for(loss))
    (value,) = simplify((loss.expr,))
    before, after = (reference(replace(loss, expr=e), arrays) for e in (value, gated(value)))
    np.testing.assert_array_equal(before, after)


def test_depth_is_no_limit() -> None:
    x: Expr = glo.loads("loss f(x: real) = if x > 0 then log(x) else x")["f"].expr
    for _ in range(1000):
        x = apply("add", apply("log", x), x)
    assert gated(x) is not x

"""Formulas for the browser hold nothing but mathematics."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

import glo_dsl as glo
from glo_dsl.evolve.report.formula import LARGEST, formula, mathml
from glo_dsl.ir.expr import size
from glo_dsl.lang.restate import restated


@pytest.mark.parametrize("name", ["focal", "baikal", "huber", "wing", "seesaw", "crammer_singer", "sup_con"])
def test_losses_of_the_library_are_set(name: str) -> None:
    root = ET.fromstring(formula(restated(glo.zoo[name])))
    assert root.tag == "math" and "".join(root.itertext()).startswith("ℒ=")  # noqa: RUF001


def test_constants_are_put_in_to_few_digits() -> None:
    said = "".join(ET.fromstring(formula("loss f(p: real; k = 1.23456789) = k * p")).itertext())
    assert "1.235" in said and "k" not in said


@pytest.mark.parametrize("text", [r"\href{javascript:alert(1)}{x}", r"\class{x}{y}", r"\style{color:red}{y}"])
def test_attributes_that_are_no_mathematics_are_left_out(text: str) -> None:
    root = ET.fromstring(mathml(text))
    assert [dict(e.attrib) for e in root.iter()] == [{"display": "block"}] + [{}] * (len(list(root.iter())) - 1)


@pytest.mark.parametrize(
    "text", [r"\boxed{x}", r"\color{red}{x}", r"\text{<script>}", r"\text{<script></script>}", r"\phantom{x}"]
)
def test_what_has_more_than_mathematics_is_no_formula(text: str) -> None:
    assert mathml(text) == ""


def test_no_loss_has_no_formula() -> None:
    assert formula("<script>") == formula("loss f(z: real[C]) = sum(?g(z))") == formula("") == ""


def test_a_large_one_is_left_to_its_text() -> None:
    text = "loss f(p: real, y: real) = " + " * ".join(f"sin(p + {n} * y)" for n in range(60))
    (loss,) = glo.loads(text).values()
    assert size(loss.expr) > LARGEST and formula(text) == ""

"""Gradients times the scale of their row: the same numbers wherever the scale has gone."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import glo_dsl as glo
from glo_codegen.program import Instr, Operand, Phase, Program, Rate
from glo_codegen.scaling import SCALE, Scaled, scaled
from glo_dsl.lang.loss import Loss
from glo_dsl.passes.pipeline import whole_program
from glo_dsl.verify.strategies import losses
from tests.codegen.launching import loss_of

FACTOR = 0.37


def stored(text: str) -> tuple[list[str], Scaled]:
    """The products per sample that the last gradient per class of a loss needs, and that gradient."""
    program = whole_program(loss_of(text))
    (phase,) = (p for p in program.phases if p.stores)
    products, stores = scaled(program, phase)
    return [str(p.value) for p in products], stores[-1]


def test_the_gradient_of_cross_entropy_is_scaled_where_it_costs_nothing() -> None:
    products, store = stored("loss ce(z: real[C], t: class[C]) = -log(softmax(z))[t]")
    assert not store.left and len(products) == 1  # one over the sum of the exponentials
    assert [step.op.name for step in store.steps.values()] == ["mul", "select", "sub"]
    assert SCALE in next(s for s in store.steps.values() if s.op.name == "select").args


def test_what_has_no_factor_is_multiplied_in_the_end() -> None:
    _, store = stored("loss f(z: real[C]) = sum(exp(z))")
    assert store.left and not store.steps
    _, store = stored("loss f(z: real[C]) = sum(z ^ 2 + exp(z))")  # one of two terms: no operation would be saved
    assert store.left and not store.steps


def test_a_number_is_multiplied_once_for_all_gradients() -> None:
    program = whole_program(loss_of("loss f(z: real[C], y: real[C]) = sum(3 * z * y)"))
    (phase,) = (p for p in program.phases if p.stores)
    products, stores = scaled(program, phase)
    assert [p.value for p in products] == [3.0] and len(stores) == 2 and not any(s.left for s in stores)


def test_what_is_asked_for_twice_is_not_done_twice() -> None:
    """The quotient serves the sum, too: scaled as well, it would be a second division."""
    text = "loss f(z: real[C], y: real[C]) = square(sum(y / (1 + exp(-abs(z))) * z))"
    _, store = stored(text)
    assert "div" not in [step.op.name for step in store.steps.values()]


def per_class(program: Program, more: dict[str, Instr], values: list[Operand]) -> int:
    """The cost of what is computed per class for these values and for reductions."""
    steps = {s.out: s for s in program.steps() if isinstance(s, Instr)} | more
    waiting = values + [r.arg for phase in program.phases for r in phase.reductions]
    wanted: set[str] = set()
    while waiting:
        name = str(waiting.pop())
        if name in steps and name not in wanted and steps[name].rate is Rate.CLASS:
            wanted.add(name)
            waiting += steps[name].args
    return sum(steps[name].op.cost for name in wanted)


@pytest.mark.parametrize("name", glo.zoo)
def test_no_gradient_is_dearer_than_one_that_is_multiplied_in_the_end(name: str) -> None:
    program = whole_program(glo.zoo[name])
    for form in (program, program.walked or program):
        for phase in form.phases:
            for store, found in zip(phase.stores, scaled(form, phase)[1], strict=True):
                cost = per_class(form, found.steps, [found.value]) + found.left
                assert cost <= per_class(form, {}, [store.value]) + 1


class Values:
    """A number for everything in a Program: those of steps follow from what they are computed from."""

    def __init__(self, program: Program, phase: Phase) -> None:
        products, self.stores = scaled(program, phase)
        self._steps = {s.out: s for s in program.steps() if isinstance(s, Instr)}
        for store in self.stores:
            self._steps |= store.steps
        self._known: dict[Operand, Any] = {SCALE: np.float64(FACTOR)}
        self._products = {p.out: p.value for p in products}

    def of(self, value: Operand) -> Any:
        if not isinstance(value, str):
            return np.float64(value)
        if value not in self._known:
            self._known[value] = self._found(value)
        return self._known[value]

    def _found(self, value: str) -> Any:
        if value in self._products:
            return self.of(self._products[value]) * FACTOR
        step = self._steps.get(value)
        if step is None:  # an input, a sum, a parameter: anything
            return np.float64(1 + zlib.crc32(value.encode()) % 1000 / 500)
        if step.kind == "bool":
            return np.bool_(zlib.crc32(value.encode()) % 2)
        assert step.op.numpy is not None  # type: ignore[attr-defined]
        return step.op.numpy(*map(self.of, step.args))  # type: ignore[attr-defined]


@settings(max_examples=60)
@given(losses(max_depth=5).filter(lambda loss: any(v.type.per_class for v in loss.inputs)))
def test_the_scaled_gradient_is_the_gradient_times_the_scale(loss: Loss) -> None:
    program = whole_program(loss)
    for phase in (p for each in (program, program.walked or program) for p in each.phases):
        values = Values(program.walked or program if phase not in program.phases else program, phase)
        for plain, store in zip(phase.stores, values.stores, strict=True):
            with np.errstate(all="ignore"):
                want, mine = values.of(plain.value) * FACTOR, values.of(store.value)
                mine = mine * FACTOR if store.left else mine
            assert np.isclose(mine, want, rtol=1e-6, equal_nan=True) or not np.isfinite(want), (plain, store)

from __future__ import annotations

import pytest

import glo_dsl as glo
from glo_codegen.work import CYCLES, work
from glo_dsl.passes.pipeline import compile_program


def of(text: str, classes: int) -> float:
    (loss,) = glo.loads(text).values()
    return work(compile_program(loss, [loss.inputs[0].name], walked=True), classes)


def test_an_elementwise_loss_is_its_operators_and_its_bytes() -> None:
    """Loss d * d and gradient 2 * d with d = p - y: two inputs and two outputs of four bytes."""
    assert of("loss f(p: real, y: real) = (p - y)^2", 1) == 3 + 4 * 4 * CYCLES


@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_more_to_do_is_more(classes: int) -> None:
    head = "loss f(z: real[C], t: class[C]) ="
    one = of(f"{head} -log_softmax(z)[t]", classes)
    waits = of(f"{head} -log_softmax(z / max(abs(z)))[t]", classes)
    dear = of(f"{head} -log_softmax(tanh(z))[t]", classes)
    assert one < waits and one + 30 < dear


def test_what_is_done_once_for_a_row_is_shared_by_its_classes() -> None:
    text = "loss f(z: real[C], t: class[C]) = -tanh(log_softmax(z)[t])"
    plain = "loss f(z: real[C], t: class[C]) = -log_softmax(z)[t]"
    few, many = (of(text, classes) - of(plain, classes) for classes in (2, 1000))
    assert few > many > 0

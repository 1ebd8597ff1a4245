"""Files as somebody writes them on the first day: what is said has to be enough to mend them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from glo_dsl.passes.lint import diagnose

FILES = sorted((Path(__file__).parents[1] / "newcomers").glob("*.glo"))

MENDED = {
    "batch_axis": "loss ce(z: real[C], t: class[C]) = -log_softmax(z)[t]",
    "c_style": "loss relu_loss(p: real, y: real) = if p > y then p - y else 0",
    "decimal_comma": "loss mse(p: real, y: real) = 0.5 * (p - y)^2",
    "index_as_number": "loss ce(z: real[C], t: class[C]) = -sum(onehot(t) * log_softmax(z))",
    "law_with_one_equal_sign": "loss mse(p: real, y: real) = (p - y)^2\n"
    "law mse.zero: mse(y, y) == 0\nlaw mse.symmetric: mse(p, y) == mse(y, p)\nexample mse(1, 0) == 1",
    "logits_without_classes": "loss ce(z: real[C], t: class[C]) = -log_softmax(z)[t]",
    "mean_over_batch": "loss mse(p: real, y: real) = (p - y)^2",
    "number_as_index": "loss first(z: real[C], t: class[C]) = -log_softmax(z)[t]",
    "parameter_without_default": "loss huber(p: real, y: real; delta = 1) =\n"
    "  let r = abs(p - y) in if r <= delta then r^2 / 2 else delta * (r - delta / 2)\n"
    "loss other(p: real, y: real; delta = 1) = delta * abs(p - y)",
    "python_import": "import std\nloss my(z: real[C], t: class[C]) = focal(z, t) * 2",
    "python_style": "loss focal(logits: real[C], target: class[C]; gamma = 2 in [0, 8]) =\n"
    "  let p = softmax(logits)[target] in -(1 - p)^gamma * log(p)",
    "textbook_names": "loss bce(p: real in (0, 1), y: real in [0, 1]) = -y * log(p) - (1 - y) * log(1 - p)\n"
    "loss boost(p: real in [-9, 9], y: real in [-1, 1]) = exp(-y * p)\nloss cost(p: real, y: real) = abs(p - y)",
    "torch_names": "loss l1(p: real, y: real) = abs(p - y)\nloss ce(z: real[C], t: class[C]) = -log_softmax(z)[t]",
    "unbounded_prediction": "loss bce(p: real in (0, 1), y: real in [0, 1]) = -y * log(p) - (1 - y) * log(1 - p)",
    "vector_body": "loss ce(z: real[C], t: class[C]) = -log_softmax(z)[t]",
    "weights_as_parameter": "loss weighted(z: real[C], t: class[C], w: shared real[C]) = -w[t] * log_softmax(z)[t]",
}  # fmt: skip
"""Each file as it is once its author has done what the messages say."""


def test_there_are_enough_of_them() -> None:
    assert len(FILES) >= 10 and {file.stem for file in FILES} == MENDED.keys()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_message_says_what_to_do(file: Path) -> None:
    found = diagnose(file.read_text(), file.name, file).diagnostics
    assert found
    for diagnostic in found:
        assert diagnostic.hint and diagnostic.span and diagnostic.code, str(diagnostic)


def test_the_messages_are_these(golden: Callable[[str, str], None]) -> None:
    texts = ["\n\n".join(map(str, diagnose(f.read_text(), f.name, f).diagnostics)) for f in FILES]
    golden("\n\n".join(texts) + "\n", "newcomers.txt")


@pytest.mark.parametrize("name", MENDED)
def test_who_does_what_they_say_is_done(name: str) -> None:
    assert diagnose(MENDED[name]).diagnostics == ()

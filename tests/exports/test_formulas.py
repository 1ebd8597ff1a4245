"""LaTeX read back by a parser that knows nothing of our printer."""

from __future__ import annotations

import pytest

import glo_dsl as glo
from glo_dsl.errors import GloError
from glo_dsl.exports.formulas import read_back

LOSS = glo.loads("loss f(z: real[C], y: real; gamma = 2) = sum(z) + gamma * exp(y) / (1 + y ^ 2)")["f"]
UNKNOWN = "not read back: the parser does not know such formulas"


def outcomes(*slopes: str) -> tuple[str, ...]:
    """What becomes of formulas for the derivatives by z, y and gamma."""
    return read_back(LOSS, (r"f = \sum_{c} z_{c}", *slopes))[1:]


def test_formulas_of_the_loss_are_read() -> None:
    assert outcomes("d = 1", r"d = \operatorname{f}(y)", r"d = \frac{e^{y}}{1 + y^{2}}") == (
        "read back", UNKNOWN, "read back",
    )  # fmt: skip


def test_of_several_readings_one_has_to_be_the_loss() -> None:
    loss = glo.loads("loss f(x: real in [1, 2], y: real in [1, 2]) = y * log(y) - y * x")["f"]
    (outcome,) = read_back(loss, (r"f = y \log(y) - y x",))
    assert outcome == "read back in 2 ways, one of them the loss"
    with pytest.raises(GloError, match="does not read as f"):
        read_back(loss, (r"f = y \log(y) - 2 y x",))


@pytest.mark.parametrize("slope", [r"d = \frac{e^{y}}{1 + y}", r"d = \gamma", "d = y"])
def test_another_formula_is_an_error(slope: str) -> None:
    with pytest.raises(GloError, match="does not read as f"):
        outcomes("d = 1", "d = y'", slope)


def test_names_that_are_none_of_the_loss_are_not_read() -> None:
    assert outcomes("d = z_{t}", r"d = \psi(y)", "d = w")[0::2] == (UNKNOWN, UNKNOWN)


def test_long_formulas_are_left_alone() -> None:
    assert outcomes("d = " + "+".join(["y"] * 200))[0] == "not read back: too long for the parser"

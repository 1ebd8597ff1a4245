"""Functions of a value and of its negative share what they have in common, and stay what they are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import glo_dsl as glo
from glo_dsl.ir.expr import Apply, Const, Expr, Var, apply, const, var, walk
from glo_dsl.ir.table import OPS
from glo_dsl.ir.types import REAL_ROW
from glo_dsl.lang.elaborate import parse_expression
from glo_dsl.lang.show import show
from glo_dsl.passes.pipeline import whole_program
from glo_dsl.passes.templates import twin
from glo_dsl.passes.twins import twinned

TWINS = [op for op in OPS.values() if op.twins]
SCOPE = {name: var(name, REAL_ROW) for name in "xy"}
VALUES = np.concatenate(
    [np.linspace(-40.0, 40.0, 81), np.array([0.0, -0.0, 1e-9, -1e-9, 700.0, -700.0, np.inf, -np.inf, np.nan])]
)


def parsed(text: str) -> Expr:
    return parse_expression(text, SCOPE)


def value_of(root: Expr, **rows: np.ndarray) -> np.ndarray:
    found: dict[Expr, np.ndarray] = {}
    for node in walk((root,)):
        if isinstance(node, Var):
            found[node] = rows[node.name]
        elif isinstance(node, Apply):
            assert node.op.numpy is not None
            found[node] = np.asarray(node.op.numpy(*(found[a] for a in node.args)))
        else:
            assert isinstance(node, Const)
            found[node] = np.asarray(node.value)
    return found[root]


def test_there_are_twins() -> None:
    assert {op.name for op in TWINS} == {"sigmoid", "log_sigmoid", "softplus"}


@pytest.mark.parametrize("op", TWINS, ids=lambda op: op.name)
def test_a_twin_is_the_operator(op: glo.ir.ops.Op) -> None:
    x = SCOPE["x"]
    decay = apply("exp", apply("neg", apply("abs", x)))
    assert op.numpy is not None
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(value_of(twin(op, x, decay), x=VALUES), op.numpy(VALUES), rtol=4e-16 * 4)


@pytest.mark.parametrize(
    "text",
    [
        "softplus(x) + softplus(-x)",
        "softplus(x - y) * sigmoid(y - x)",
        "log_sigmoid(3 * x) - softplus(-3 * x)",
        "sigmoid(x) * sigmoid(-x) + log_sigmoid(x)",
        "softplus(exp(x) - y) + sigmoid(y - exp(x)) + sigmoid(-x)",
    ],
)
def test_both_signs_take_one_exponential(text: str) -> None:
    before, (after,) = parsed(text), twinned([parsed(text)])
    sizes = [node for node in walk((after,)) if isinstance(node, Apply) and node.op.name == "abs"]
    assert len(sizes) == 1, show(after)
    rows = {"x": np.linspace(-9.0, 9.0, 50), "y": np.linspace(5.0, -5.0, 50)}
    np.testing.assert_allclose(value_of(after, **rows), value_of(before, **rows), rtol=1e-14)


@pytest.mark.parametrize(
    "text",
    [
        "softplus(x) + sigmoid(x)",
        "softplus(x - y) + sigmoid(x + y)",
        "softplus(2 * x) + softplus(-3 * x)",
        "softplus(x) + softplus(1)",
        "exp(x) + exp(-x)",
    ],
)
def test_one_sign_stays(text: str) -> None:
    assert twinned([parsed(text)]) == (parsed(text),)


def test_within_one_another() -> None:
    """What is inside of a pair may be one itself."""
    text = "softplus(softplus(x) - softplus(-x)) + sigmoid(softplus(-x) - softplus(x))"
    (after,) = twinned([parsed(text)])
    assert not any(isinstance(node, Apply) and node.op.twins for node in walk((after,)))
    rows = {"x": np.linspace(-9.0, 9.0, 50)}
    np.testing.assert_allclose(value_of(after, **rows), value_of(parsed(text), **rows), rtol=1e-14)


@given(
    st.lists(
        st.tuples(st.sampled_from(TWINS), st.sampled_from(["x", "-x", "x - y", "y - x", "2 * y", "-2 * y"])),
        min_size=2,
        max_size=6,
    )
)
def test_any_sum_of_them_keeps_its_value(terms: list[tuple[glo.ir.ops.Op, str]]) -> None:
    root: Expr = const(0.0)
    for n, (op, text) in enumerate(terms):
        root = apply("add", root, apply("mul", const(n + 1.0), apply(op, parsed(text))))
    (after,) = twinned([root])
    rows = {"x": np.linspace(-30.0, 30.0, 41), "y": np.linspace(20.0, -25.0, 41)}
    np.testing.assert_allclose(value_of(after, **rows), value_of(root, **rows), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("name", ["bce_with_logits", "dice", "jensen_shannon", "decoupled_distillation"])
def test_losses_with_both_signs_have_no_function_of_each(name: str) -> None:
    program = whole_program(glo.zoo[name])
    names = {step.op.name for phase in program.phases for step in (*phase.scalars, *phase.row) if hasattr(step, "op")}
    assert "log1p" in names or name == "dice"
    assert not names & {op.name for op in TWINS}

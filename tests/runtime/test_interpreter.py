"""The interpreter against compiled kernels and PyTorch: all of the library, and random programs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import glo_dsl as glo
from glo_codegen.program import Program
from glo_dsl.ir.table import OPS
from glo_dsl.lang.loss import Loss
from glo_dsl.passes.pipeline import compile_program, derive, gradient_program
from glo_dsl.runtime.interpreter import OPERATORS, Interpreted
from tests.runtime.conftest import example


def rewritten(loss: Loss, wrt: str) -> Program:
    """As kernels have it."""
    return compile_program(loss, [wrt])


def as_searched(loss: Loss, wrt: str) -> Program:
    """As searches have it, not rewritten for speed."""
    return gradient_program(loss, derive(loss, [wrt]))


def interpreted(
    loss: Loss, inputs: list[torch.Tensor], wrt: str, program: Callable[[Loss, str], Program] = as_searched
) -> torch.Tensor:
    place = next(n for n, v in enumerate(loss.inputs) if v.name == wrt)
    gradient = torch.full(inputs[place].shape, torch.nan)
    Interpreted(program(loss, wrt)).bind(inputs, [p.default for p in loss.params], gradient)()
    return gradient


def usable(name: str) -> bool:
    """Real inputs and classes, of which the interpreter reads no others, and something to differentiate by."""
    loss = glo.zoo[name]
    kinds = {v.type.kind for v in loss.inputs}
    return "bool" not in kinds and all(v.type.per_sample for v in loss.inputs)


@pytest.mark.parametrize("program", [rewritten, as_searched])
@pytest.mark.parametrize("name", [name for name in glo.zoo if usable(name)])
def test_the_library(name: str, program: Callable[[Loss, str], Program]) -> None:
    loss = glo.zoo[name]
    fn = glo.compile(loss, "torch")
    for rows, classes in ((5, 3), (33, 10)):
        inputs = [t.float() if t.is_floating_point() else t for t in example(fn, rows, classes, rows)]
        wrt = fn.spec.differentiable[0]
        doubles = [t.double() if t.is_floating_point() else t for t in inputs]
        _, want = fn.value_and_grad(*doubles, wrt=[wrt], reduction="sum")
        _, eager = fn.value_and_grad(*inputs, wrt=[wrt], reduction="sum")
        found, single, truth = interpreted(loss, inputs, wrt, program).double(), eager[wrt].double(), want[wrt]
        size = float(truth.nan_to_num(0, 0, 0).abs().clamp(max=1e30).max())
        near = {"rtol": 2e-4, "atol": 2e-4 * size + 1e-30, "equal_nan": True}
        # Where float32 itself is at its end, PyTorch's is wrong in the same way.
        right = torch.isclose(found, truth, **near) | torch.isclose(found, single, **near)
        assert right.all(), f"{found[~right]} is neither {truth[~right]} nor {single[~right]}"


@settings(max_examples=40)
@given(st.integers(1, 70), st.integers(1, 12), st.floats(-4, 4, width=32), st.integers(0, 99))
def test_any_number_of_rows_and_classes(rows: int, classes: int, k: float, seed: int) -> None:
    loss = glo.loads(
        f"loss f(z: real[C], t: class[C]; k = {k!r}) = k * z[t]^2 + sum(max(z, k)) - max(z) + logsumexp(z)"
    )["f"]
    inputs = example(glo.compile(loss, "torch"), rows, classes, seed)
    _, want = glo.compile(loss, "torch").value_and_grad(*inputs, reduction="sum")
    torch.testing.assert_close(interpreted(loss, inputs, "z"), want["z"], rtol=1e-5, atol=1e-5)


def test_strides() -> None:
    loss = glo.zoo["focal"]
    z, t = example(glo.compile(loss, "torch"), 40, 6)
    wide = torch.stack([z, -z], -1)[..., 0]
    assert torch.equal(interpreted(loss, [wide, torch.stack([t, t], -1)[:, 0]], "z"), interpreted(loss, [z, t], "z"))
    assert torch.equal(interpreted(loss, [z.T.contiguous().T, t], "z"), interpreted(loss, [z, t], "z"))


def test_single_values() -> None:
    loss = glo.zoo["huber"]
    p, y = example(glo.compile(loss, "torch"), 50, 1)
    _, want = glo.compile(loss, "torch").value_and_grad(p, y, reduction="sum")
    torch.testing.assert_close(interpreted(loss, [p, y], loss.inputs[0].name), want[loss.inputs[0].name])


def test_it_knows_every_operator_that_c_spells() -> None:
    assert {op.name for op in OPERATORS} >= {op.name for op in OPS.values() if op.c and op.elementwise}


def test_buffers_may_change_between_calls() -> None:
    loss = glo.zoo["cross_entropy"]
    z, t = example(glo.compile(loss, "torch"), 40, 6)
    gradient = torch.empty_like(z)
    step = Interpreted(compile_program(loss, ["z"])).bind([z, t], [], gradient)
    for _ in range(3):
        z.mul_(1.5)
        step()
        assert torch.equal(gradient, interpreted(loss, [z, t], "z"))

"""Every example: read, printed, compiled on every target, and compared with autograd in float64 over its forward."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import glo_dsl as glo
from glo_dsl.lang.elaborate import parse_expression
from glo_dsl.lang.show import show
from glo_dsl.passes.pipeline import differentiable
from glo_dsl.verify.oracle import oracle

FILES = sorted((Path(__file__).parents[1] / "examples").glob("*.glo"))
LOSSES = [loss for file in FILES for loss in glo.load(file).values()]
FILLED = [loss for loss in LOSSES if not loss.holes]
ROWS = 11


def inputs_of(loss: glo.Loss, dtype: torch.dtype, classes: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(classes)
    found: list[Tensor] = []
    for variable in loss.inputs:
        if variable.type.kind == "class":
            found.append(torch.arange(ROWS) % classes)
        else:
            shape = (ROWS, classes) if variable.type.per_class else (ROWS,)
            found.append(torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype))
    return found


def test_the_promised_examples_are_there() -> None:
    promised = {"baikal", "baikal_cma", "cross_entropy", "focal", "mse", "huber", "taylor3", "glo"}
    assert promised <= {loss.name for loss in LOSSES}


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
def test_printed_and_read_back_it_is_the_same_expression(loss: glo.Loss) -> None:
    scope = {v.name: v for v in (*loss.inputs, *(p.var for p in loss.params))}
    assert parse_expression(show(loss.expr), scope) is loss.expr
    assert loss.doc


@pytest.mark.parametrize("classes", [1, 3, 10])
@pytest.mark.parametrize(
    ("target", "dtype", "tolerance"),
    [
        ("c", torch.float64, 1e-12),
        ("torch", torch.float64, 1e-12),
        ("c", torch.float32, 2e-5),
        ("torch", torch.float32, 2e-5),
        ("triton", torch.float32, 2e-5),
    ],
)
@pytest.mark.parametrize("loss", FILLED, ids=lambda loss: loss.name)
def test_value_and_gradients(loss: glo.Loss, target: str, dtype: torch.dtype, tolerance: float, classes: int) -> None:
    inputs = inputs_of(loss, dtype, classes)
    wrt = [v.name for v in differentiable(loss)]
    value, gradients = oracle(loss, inputs, loss.defaults, wrt)
    with np.errstate(all="ignore"):  # the interpreter computes lanes beyond the row, and throws them away
        found, slopes = glo.compile(loss, target).value_and_grad(*inputs, wrt=wrt, reduction="sum")
    torch.testing.assert_close(found.double(), value.sum(), rtol=tolerance, atol=tolerance)
    for name in wrt:
        want, got = gradients[name], slopes[name].double()
        want = want.reshape(got.shape) if want.numel() == got.numel() else want.sum()
        scale = max(1.0, want.abs().max().item())
        torch.testing.assert_close(got / scale, want / scale, rtol=tolerance, atol=tolerance, msg=f"gradient by {name}")

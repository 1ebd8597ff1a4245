"""Sums that follow a growing maximum give what they give when the maximum is known first, at every edge."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

import glo_dsl as glo
from glo_codegen.triton import emit_triton
from glo_dsl.lang.loss import Loss
from glo_dsl.passes.pipeline import compile_program, whole_program
from glo_dsl.runtime.load_module import load_module
from tests.codegen.launching import batch, loss_of, run, streaming

LOSSES = [
    "arcface",
    "cross_entropy",
    "focal",
    "brier",
    "confidence_penalty",
    "normalized_cross_entropy",
    "forward_kl",
    "crammer_singer",
    "tsallis_score",
    "normalized_focal",
]
BODIES = (
    "max(z)",
    "min(z) * sum(z)",
    "max(z) - min(z)",
    "3 * max(z) + logsumexp(z)",
    "sum(if y then logsumexp(z) - z else 0)",
    "sum(exp(k * log_softmax(z)) * softmax(z) * log_softmax(z))",
    "sum(if y then (if z > 0 then z * softmax(z) else -softmax(z)) else 0)",
    "sum(exp(relu(k - 1) * log_softmax(z)))",
)
"""Ties, alone and beside exponentials; sums over some of the classes; powers that are known when the kernel
runs, 0 among them."""

CLASSES = 23
INF, NAN = math.inf, math.nan
ROWS = {
    "random": [],
    "growing": [(slice(None), torch.linspace(-90, 90, CLASSES))],
    "falling": [(slice(None), torch.linspace(90, -90, CLASSES))],
    "far from 0": [(slice(None), 1e4 + torch.linspace(-3, 3, CLASSES))],
    "far below 0": [(slice(None), -1e4 + torch.linspace(-3, 3, CLASSES))],
    "ties": [(slice(None), torch.arange(CLASSES) % 3 - 1.0)],
    "equal": [(slice(None), torch.full((CLASSES,), -7.0))],
    "leading blocks masked": [(slice(0, 9), -INF)],
    "leading blocks masked, far below 0": [(slice(None), torch.linspace(-1e4, -990, CLASSES)), (slice(0, 9), -INF)],
    "trailing blocks masked": [(slice(14, None), -INF)],
    "all masked": [(slice(None), -INF)],
    "all but one masked": [(slice(None), -INF), (slice(17, 18), 3.0)],
    "infinite": [(slice(11, 12), INF)],
    "infinite first": [(slice(0, 1), INF)],
    "not a number": [(slice(13, 14), NAN)],
    "not a number after masked": [(slice(0, 9), -INF), (slice(20, 21), NAN)],
}


def inputs_of(loss: Loss) -> tuple[Tensor, ...]:
    """A row for every edge in the first input, and targets that are never masked alone."""
    inputs = batch(loss, len(ROWS), CLASSES)
    for row, changes in zip(inputs[0], ROWS.values()):
        for place, values in changes:
            row[place] = values
    return inputs


def drawn(body: str) -> Loss:
    return loss_of(f"loss f(z: real[C], y: bool[C]; k = 0.7 in [0, 5]) = {body}")


@pytest.mark.parametrize("loss", [*(glo.zoo[name] for name in LOSSES), *map(drawn, BODIES)], ids=[*LOSSES, *BODIES])
def test_the_streaming_kernel_agrees_with_the_resident_one(loss: Loss) -> None:
    program = whole_program(loss)
    assert program.walked is not None
    inputs = inputs_of(loss)
    text = emit_triton(program)
    want, want_grads = run(load_module(text), loss, inputs)
    value, grads = run(streaming(load_module(text), program), loss, inputs)
    for found, truth in ((value[:, None], want[:, None]), *((grads[g], want_grads[g]) for g in want_grads)):
        for edge, mine, theirs in zip(ROWS, found, truth):
            largest = max(1.0, float(theirs.nan_to_num(0, 0, 0).abs().max()))
            assert torch.allclose(mine, theirs, rtol=1e-5, atol=2e-6 * largest, equal_nan=True), (edge, mine, theirs)


def test_a_sum_with_nothing_but_minus_infinity_is_not_a_number() -> None:
    """As exp(-inf - -inf) is; here nothing but the sum says so."""
    loss = loss_of("loss f(z: real[C]) = sum(exp(z - max(z)))")
    program = compile_program(loss, [], walked=True)
    assert program.walked is not None
    module = streaming(load_module(emit_triton(program)), program)
    value, _ = run(module, loss, (torch.tensor([[-INF] * 9, [-INF] * 8 + [5.0]]),), wrt=())
    assert value[0].isnan() and value[1] == 1

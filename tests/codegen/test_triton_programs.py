"""Every operator and random programs, run as Triton kernels in its interpreter, against autograd in float64."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

import glo_dsl as glo
from glo_codegen.triton import emit_triton
from glo_dsl.ir.evaluate import evaluate
from glo_dsl.ir.expr import Expr, Var, apply, var, walk
from glo_dsl.ir.ops import UNKNOWN, Op
from glo_dsl.ir.table import OPS
from glo_dsl.ir.types import BOOL_ROW, CLASS_INDEX, REAL_ROW
from glo_dsl.lang.loss import Loss
from glo_dsl.passes.lower import lower
from glo_dsl.passes.pipeline import derive, differentiable, whole_program
from glo_dsl.runtime.compile import LIBRARY, spec_of
from glo_dsl.runtime.contract import Backing, CompiledLoss
from glo_dsl.runtime.launched import launched
from glo_dsl.runtime.load_module import load_module
from glo_dsl.verify.oracle import noisy, oracle, wrong
from glo_dsl.verify.strategies import arrays_for, losses, parameters_for
from tests.codegen.launching import streaming

ROWS, CLASSES = 6, 5
TYPES = {"real": REAL_ROW, "any": REAL_ROW, "bool": BOOL_ROW, "class": CLASS_INDEX}
FLOAT32 = 2e-6
"""How far float32 may move a number on its way; what that does to a result is found with noise of this size."""


def loss_of(op: Op) -> Loss:
    """The sum over classes of one operator over inputs of its kinds; a condition becomes 1 or 0."""
    kinds = op.kinds[:-1]
    inputs = tuple(var(f"a{n}", TYPES[kind]) for n, kind in enumerate(kinds))
    value: Expr = apply(op, *inputs)
    value = apply("stop", value) if UNKNOWN in op.vjp else value
    if value.type.kind == "bool":
        one = glo.loads("loss one(z: real[C]) = sum(if z > 0 then 1 else 2)")["one"]
        value = apply("select", value, *one.expr.args[0].args[1:])
    anchor = var("z", REAL_ROW)  # tells the number of classes
    body = apply("sum", apply("add", apply("mul", anchor, anchor), value))
    empty = glo.loads("loss f(z: real[C]) = sum(z)")["f"]
    return replace(empty, name=f"op_{op.name}", inputs=(anchor, *inputs), expr=body, text=f"# {op.name}")


def inputs_of(op: Op) -> list[Tensor]:
    generator = torch.Generator().manual_seed(len(op.name))
    found = [torch.randn(ROWS, CLASSES, generator=generator)]
    for kind, (low, high) in zip(op.kinds[:-1], op.draws()):
        uniform = torch.rand(ROWS, CLASSES, generator=generator)
        match kind:
            case "class":
                found.append(torch.arange(ROWS) % CLASSES)
            case "bool":
                found.append(uniform > 0.5)
            case _:
                found.append(low + (high - low) * uniform)
    return found


def streamed(loss: Loss) -> CompiledLoss:
    """The loss, with the streaming kernel walking its rows in blocks of 2 classes."""
    program = whole_program(loss)
    launch = streaming(load_module(emit_triton(program)), program, block=2).launch
    kernel = launched(spec_of(loss), launch)
    return CompiledLoss(spec_of(loss), Backing(lambda _: kernel, lambda: kernel, LIBRARY, f"streamed {loss.name}"))


def check(loss: Loss, inputs: list[Tensor], params: dict[str, float]) -> int:
    """Compares value and all gradients of both Triton kernels with the oracle; returns how many were determined."""
    by_rows = any(v.type.per_class for v in loss.inputs)
    families = [glo.compile(loss, "triton"), *([streamed(loss)] if by_rows else [])]
    return min(_check(loss, family, inputs, params) for family in families)


def _check(loss: Loss, compiled: CompiledLoss, inputs: list[Tensor], params: dict[str, float]) -> int:
    wrt = [v.name for v in differentiable(loss)]
    with np.errstate(all="ignore"):  # lanes beyond the row are computed too, and thrown away
        value, gradients = compiled.value_and_grad(*inputs, wrt=wrt, reduction="none", **params)
    truths = [oracle(loss, inputs, params, wrt)]
    summed = {p.name for p in loss.params} | {v.name for v in loss.inputs if not v.type.per_sample}
    compared = 0
    for name in ("", *wrt):
        mine = gradients[name] if name else value
        truth = (truths[0][1][name] if name else truths[0][0]).numpy()
        found = mine.double().reshape(truth.shape).numpy()
        rest = np.abs(found - truth) > 1e-6  # what cancels leaves a rounding error
        bad = wrong(found, truth, [], 2e-5) & rest
        if bad.any():  # noise and overflow only excuse: they are looked at where there is something to excuse
            if len(truths) == 1:
                noise = (replace(loss, expr=noisy(loss.expr, seed, FLOAT32)) for seed in range(4))
                truths += [oracle(variant, inputs, params, wrt) for variant in noise]
            nearby = [(t[1][name] if name else t[0]).numpy() for t in truths[1:]]
            beyond = _beyond_float32(loss, inputs, params, wrt)
            over = beyond.any() if name in summed else beyond.reshape(-1, *[1] * (truth.ndim - 1))
            bad = wrong(found, truth, nearby, 2e-5) & rest & (~over | np.isfinite(found))
        assert not bad.any(), f"{name or 'value'} of {loss.text}\n{inputs} {params}\n{mine} is not {truth}"
        compared += int(np.isfinite(truth).sum())
    return compared


def _beyond_float32(loss: Loss, inputs: list[Tensor], params: dict[str, float], wrt: list[str]) -> NDArray[np.bool_]:
    """The rows in which a value on the way, or a result, is larger than any number of float32."""
    found = derive(loss, wrt)
    nodes = list(walk(lower((found.value, *found.gradients.values()))))
    arrays: dict[Var, NDArray[Any]] = {
        v: (t.double() if t.is_floating_point() else t).numpy().reshape(-1, t.shape[-1] if v.type.per_class else 1)
        for v, t in zip(loss.inputs, inputs)
    }
    arrays |= {p.var: np.full((1, 1), {**loss.defaults, **params}[p.name]) for p in loss.params}
    rows = max(len(a) for a in arrays.values())
    classes = max((t.shape[-1] for v, t in zip(loss.inputs, inputs) if v.type.per_class), default=1)
    large = [np.abs(a.astype(np.float64)) > np.finfo(np.float32).max for a in evaluate(nodes, arrays, classes)]
    return np.logical_or.reduce([np.broadcast_to(a.any(axis=1), rows) for a in large])


@pytest.mark.parametrize("op", OPS.values(), ids=lambda op: op.name)
def test_every_operator_runs_and_has_its_gradient(op: Op) -> None:
    assert check(loss_of(op), inputs_of(op), {}) > ROWS


@st.composite
def calls(draw: Any) -> tuple[Loss, list[Tensor], dict[str, float]]:
    loss = draw(losses(max_depth=4))
    arrays = draw(arrays_for(loss, corners=("plain", "ties")))
    tensors = [torch.from_numpy(arrays[v.name]) for v in loss.inputs]
    return loss, [t.float() if t.is_floating_point() else t for t in tensors], draw(parameters_for(loss))


@settings(max_examples=110, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(calls())
def test_random_programs(call: tuple[Loss, list[Tensor], dict[str, float]]) -> None:
    check(*call)

"""The torch printer: a module of plain PyTorch, equal to autograd on the loss as written, itself differentiable."""

from __future__ import annotations

import ast
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

import glo_dsl as glo
from glo_codegen.program import Program
from glo_codegen.torch_ import LAUNCH, emit_torch
from glo_dsl.lang.loss import Loss
from glo_dsl.passes.pipeline import compile_program, differentiable, oracle_program
from glo_dsl.runtime.load_module import load_module
from glo_dsl.verify.oracle import oracle

EXAMPLES = sorted(p for p in (Path(__file__).parents[2] / "examples").glob("*.glo") if "?" not in p.read_text())
HOSTILE = (
    "loss lambda(torch: real[C], dtype: class[C], rows: real, valid: bool[C], value: shared real[C], in0: real;"
    " C_ = 2, literal = 3, params = 1.5) ="
    " C_ * torch[dtype] * rows + literal * sum(if valid then torch * value else torch) + params * in0 * C"
)


def loss_of(text: str) -> Loss:
    return list(glo.loads(text).values())[-1]


def program_of(loss: Loss) -> Program:
    return compile_program(loss, [v.name for v in differentiable(loss)])


def batch(loss: Loss, rows: int, classes: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    made = []
    for v in loss.inputs:
        shape = (rows,) * v.type.per_sample + (classes,) * v.type.per_class
        if v.type.kind == "class":
            made.append(torch.randint(0, classes, shape, generator=generator))
        elif v.type.kind == "bool":
            made.append(torch.rand(shape, generator=generator) < 0.5)
        else:
            made.append((torch.randn(shape, generator=generator, dtype=torch.float64) * 2).to(dtype))
    return made


def launch(program: Program, loss: Loss, inputs: list[Tensor], scale: float = 1.0) -> tuple[Tensor, dict[str, Tensor]]:
    params = torch.tensor(list(loss.defaults.values()), dtype=torch.float64)
    function = getattr(load_module(emit_torch(program)), LAUNCH)
    found: tuple[Tensor, dict[str, Tensor]] = function(tuple(inputs), params, program.gradients, scale, -100)
    return found


@pytest.mark.parametrize("classes", [1, 7, 200])
@pytest.mark.parametrize("text", [*(p.read_text() for p in EXAMPLES), HOSTILE],
                         ids=[*(p.stem for p in EXAMPLES), "hostile"])  # fmt: skip
def test_value_and_gradients_are_those_of_autograd(text: str, classes: int) -> None:
    loss = loss_of(text)
    inputs = batch(loss, 5, classes)
    value, gradients = launch(program_of(loss), loss, inputs, scale=0.5)
    names = [v.name for v in differentiable(loss)]
    want, wanted = oracle(loss, inputs, wrt=names)
    torch.testing.assert_close(value, want, rtol=1e-10, atol=1e-12)
    for v in differentiable(loss):
        mine = gradients[v.name] if v.type.per_sample else gradients[v.name].sum(0)
        size = float(wanted[v.name].abs().max())
        torch.testing.assert_close(mine, wanted[v.name] / 2, rtol=1e-9, atol=1e-10 * max(size, 1.0))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_low_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    loss = loss_of(EXAMPLES[0].read_text())
    inputs = batch(loss, 5, 9, dtype)
    value, gradients = launch(program_of(loss), loss, inputs)
    assert value.dtype == gradients["z"].dtype == torch.float32
    torch.testing.assert_close(value.double(), oracle(loss, inputs)[0], rtol=1e-5, atol=1e-5)


def test_the_loss_as_written_can_be_differentiated_twice() -> None:
    loss = loss_of("loss f(z: real[C], t: class[C]) = -log(softmax(z)[t])")
    z, t = batch(loss, 3, 4)
    z.requires_grad_()
    program = oracle_program(loss)
    assert torch.autograd.gradgradcheck(lambda a: launch(program, loss, [a, t])[0], (z,))


def test_ignored_rows_give_zeros_whatever_they_hold() -> None:
    loss = loss_of("loss f(z: real[C], t: class[C]; k = 2) = -k * log(softmax(z)[t])")
    z, t = batch(loss, 4, 3)
    z[1], t[1] = math.nan, -100
    value, gradients = launch(program_of(loss), loss, [z, t], scale=math.inf)
    assert value[1] == 0 and gradients["k"][1] == 0 and not gradients["z"][1].any()
    assert value[[0, 2, 3]].isfinite().all() and gradients["k"][0].isinf()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_the_module_needs_torch_alone(path: Path) -> None:
    text = emit_torch(program_of(loss_of(path.read_text())))
    tree = ast.parse(text)
    imports = [a.name for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom) for a in n.names]
    assert imports == ["torch"]
    assert [n.name for n in tree.body if isinstance(n, ast.FunctionDef)] == [LAUNCH]
    assert text == emit_torch(program_of(loss_of(path.read_text())))


def test_an_empty_batch() -> None:
    loss = loss_of("loss f(z: real[C], t: class[C]; k = 2) = -k * log(softmax(z)[t])")
    value, gradients = launch(program_of(loss), loss, [torch.zeros(0, 3), torch.zeros(0).long()])
    assert value.shape == gradients["k"].shape == (0,) and gradients["z"].shape == (0, 3)

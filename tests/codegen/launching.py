"""Losses, batches and launches of emitted Triton modules, and the reference they are compared with."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor

from glo_codegen.program import Program
from glo_codegen.triton_launch import stream_name
from glo_dsl.ir import expr as ir
from glo_dsl.ir.expr import Apply, Const, Expr, Var, walk
from glo_dsl.lang.definitions import losses_of
from glo_dsl.lang.loss import Loss
from glo_dsl.passes.pipeline import compile_program, differentiable

EXAMPLES = sorted(p for p in (Path(__file__).parents[2] / "examples").glob("*.glo") if "?" not in p.read_text())
SIZES = [(1, 1), (70, 10), (5, 33), (3, 1100)]
IGNORED = -100
Build = Callable[[Program], ModuleType]


def loss_of(text: str) -> Loss:
    (loss,) = losses_of(text).values()
    return loss


def program_of(loss: Loss) -> Program:
    return compile_program(loss, [v.name for v in differentiable(loss)], walked=True)


def batch(loss: Loss, rows: int, classes: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> tuple[Tensor, ...]:
    """Inputs in the order of the loss; logits of moderate size."""
    generator = torch.Generator().manual_seed(seed)
    made = []
    for v in loss.inputs:
        shape = (rows,) * v.type.per_sample + (classes,) * v.type.per_class
        if v.type.kind == "class":
            made.append(torch.randint(0, classes, shape, generator=generator))
        elif v.type.kind == "bool":
            made.append(torch.rand(shape, generator=generator) < 0.5)
        else:
            made.append(torch.randn(shape, generator=generator).mul(2).to(dtype))
    return tuple(made)


def run(
    module: ModuleType, loss: Loss, inputs: tuple[Tensor, ...], wrt: tuple[str, ...] | None = None, scale: float = 1.0
) -> tuple[Tensor, dict[str, Tensor]]:
    params = torch.tensor(list(loss.defaults.values()), dtype=torch.float32)
    names = tuple(v.name for v in differentiable(loss)) if wrt is None else wrt
    found: tuple[Tensor, dict[str, Tensor]] = module.launch(inputs, params, names, torch.tensor([scale]), IGNORED)
    return found


def streaming(module: ModuleType, program: Program, block: int = 4, shifts: bool = False) -> ModuleType:
    """The module, which from now on takes the streaming kernel for rows of any length, with several blocks in each.

    `shifts`: blocks hold vectors, which begin where rows do not.
    """
    kernel = getattr(module, stream_name(program))

    def tile(
        arch: str, classes: int, rows: int = 1, across: bool = False, dense: bool = False
    ) -> tuple[object, dict[str, int]]:
        size = (2 * block if shifts else block) if classes < 100 else 256
        lies = {"SHIFT": dense and classes % 8 > 0, "EVEN": dense and classes % 8 == 0} if shifts else {}
        return kernel, {"ROWS": 1 if shifts else 2, "BLOCK": size, "num_warps": 4, **lies}

    module._tile = tile  # type: ignore[attr-defined]
    return module


def reference(loss: Loss, inputs: tuple[Tensor, ...], scale: float = 1.0) -> tuple[Tensor, dict[str, Tensor]]:
    """Loss per row and gradients as `launch` returns them, from the table's torch spellings and autograd in float64."""
    rows = next(t.shape[0] for v, t in zip(loss.inputs, inputs) if v.type.per_sample)
    classes = next((t.shape[-1] for v, t in zip(loss.inputs, inputs) if v.type.per_class), 2**40)
    leaves: dict[Expr, Tensor] = {}
    ignored, invalid = torch.zeros(rows, 1, dtype=torch.bool), torch.zeros(rows, 1, dtype=torch.bool)
    for v, tensor in zip(loss.inputs, inputs):
        value = tensor.expand(rows, classes) if v.type.per_class else tensor[:, None]
        if v.type.kind == "class":
            ignored |= value == IGNORED
            invalid |= (value < 0) | (value >= classes)
            value = value.clamp(0, classes - 1).long()
        leaves[v] = value.double().clone().requires_grad_() if v.type.kind == "real" else value
    for p in loss.params:
        leaves[p.var] = torch.full((rows, 1), p.default, dtype=torch.float64, requires_grad=True)
    value = evaluate(loss.expr, leaves, rows, classes).expand(rows, 1)
    filler = torch.where(ignored, 0.0, math.nan)
    fail = ignored | invalid
    if value.requires_grad:
        torch.where(fail, 0.0, value).sum().backward()  # type: ignore[no-untyped-call]
    grads = {}
    for v in differentiable(loss):
        grad = leaves[v].grad
        grad = torch.zeros_like(leaves[v]) if grad is None else grad
        grad = torch.where(fail, filler, grad * scale)
        grads[v.name] = grad if v.type.per_class else grad[:, 0]
    return torch.where(fail, filler, value.detach())[:, 0], grads


def evaluate(expr: Expr, leaves: dict[Expr, Tensor], rows: int, classes: int) -> Tensor:
    values: dict[Expr, Tensor] = {ir.CLASSES: torch.tensor([[float(classes)]], dtype=torch.float64)}
    scope = {"torch": torch, "C": classes, "dtype": torch.float64}
    for node in walk((expr,)):
        match node:
            case Const():
                values[node] = torch.full((1, 1), node.value, dtype=torch.float64)
                values[node] = values[node] != 0 if node.type.kind == "bool" else values[node]
            case Var() if node in leaves:
                values[node] = leaves[node]
            case Apply():
                args = [values[a] for a in node.args]
                if node.op.reduces or node.op.shape in ("gather", "row"):
                    args[0] = args[0].expand(rows, classes)
                names = [f"a{n}" for n in range(len(args))]
                values[node] = eval(node.op.torch.format(*names), scope | dict(zip(names, args)))
    return values[expr]


def check(loss: Loss, module: ModuleType, inputs: tuple[Tensor, ...], scale: float = 1.0) -> None:
    value, grads = run(module, loss, inputs, scale=scale)
    want, want_grads = reference(loss, inputs, scale)
    assert value.dtype == torch.float32 and value.shape == want.shape
    assert list(grads) == list(want_grads)
    close(value, want)
    for name, grad in grads.items():
        assert grad.is_contiguous()
        assert grad.dtype == grad_dtype(loss, inputs, name)
        close(grad, want_grads[name])


def grad_dtype(loss: Loss, inputs: tuple[Tensor, ...], name: str) -> torch.dtype:
    found = [t.dtype for v, t in zip(loss.inputs, inputs) if v.name == name and v.type.per_sample]
    return found[0] if found else torch.float32


def close(actual: Tensor, want: Tensor) -> None:
    """To a few roundings of the largest value, and of the dtype."""
    finite = want[want.isfinite()].abs()
    largest = max(1.0, float(finite.max())) if finite.numel() else 1.0
    rtol = {torch.float32: 1e-5, torch.float16: 2**-10, torch.bfloat16: 2**-7}[actual.dtype]
    torch.testing.assert_close(actual.double(), want, rtol=rtol, atol=1e-5 * largest, equal_nan=True)

"""The truth that kernels are compared with, found twice without anything that a kernel is built from.

`oracle` differentiates the loss exactly as written by PyTorch's autograd; `reference` interprets it by the table's
NumPy column. Both work in float64; neither sees simplification, differentiation or lowering.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glo_codegen.torch_ import LAUNCH, emit_torch
from glo_dsl.ir.evaluate import evaluate
from glo_dsl.ir.expr import Expr, Var, apply, const, rebuild, walk
from glo_dsl.lang.loss import Loss
from glo_dsl.passes.pipeline import oracle_program
from glo_dsl.runtime.load_module import load_module

Array = NDArray[Any]
IGNORED = -100


def reference(loss: Loss, arrays: Mapping[str, Array], params: Mapping[str, float] | None = None) -> Array:
    """The loss of each row, [rows] float64, by the NumPy column of the operator table.

    `arrays` gives the inputs by name, shaped as for `oracle`. Parameters that `params` does not name keep their
    defaults.

    Raises:
        KeyError: an input is missing, or the loss has a hole.

    >>> import glo_dsl as glo
    >>> total = glo.loads("loss total(z: real[C]; k = 2) = k * sum(z)")["total"]
    >>> reference(total, {"z": np.array([[1.0, 2.0], [3.0, 4.0]])}, {"k": 10.0}).tolist()
    [30.0, 70.0]
    """
    values = {v: laid_out(v, arrays[v.name]) for v in loss.inputs}
    given = {**loss.defaults, **(params or {})}
    values |= {p.var: np.full((1, 1), given[p.name]) for p in loss.params}
    rows = next(len(arrays[v.name]) for v in loss.inputs if v.type.per_sample)
    classes = next((arrays[v.name].shape[-1] for v in loss.inputs if v.type.per_class), 1)
    (value,) = evaluate([loss.expr], values, classes)
    return np.broadcast_to(value, (rows, 1))[:, 0]


def laid_out(variable: Var, array: Array) -> Array:
    """An array of the calling layout, [rows, classes], [rows] or, shared, [classes], with both axes."""
    if variable.type.per_class:
        return array if variable.type.per_sample else array[None, :]
    return array[:, None]


def noisy(root: Expr, seed: int, size: float = 1e-10) -> Expr:
    """`root` with every computed number moved by about one part in 1 / `size`, as rounding moves it, only more.

    Seeds 0 and 1 move all up and all down, others at random. What then jumps is not determined by its formula.

    >>> from glo_dsl.lang.elaborate import parse_expression
    >>> from glo_dsl.lang.show import show
    >>> show(noisy(parse_expression("sqrt(4)", {}), 0, 0.5))
    'sqrt(4) * 1.5 + 0.05'
    """
    rng = np.random.default_rng(seed)
    done: dict[Expr, Expr] = {}
    for node in walk((root,)):
        done[node] = rebuild(node, tuple(done[a] for a in node.args))
        if node.args and node.type.kind == "real":
            step = size * (1.0 - 2.0 * seed if seed < 2 else rng.uniform(-1, 1))
            moved = apply("mul", done[node], const(1.0 + step))
            done[node] = apply("add", moved, const(0.1 * step))
    return done[root]


def wrong(mine: Array, truth: Array, nearby: Sequence[Array], rtol: float = 1e-9) -> NDArray[np.bool_]:
    """Where `mine` is not `truth`, as far as the truth is determined: not where it jumps or is not finite.

    `nearby` holds the truth computed with noise: where that moves it a lot, rounding may as well. More of it
    never makes more wrong.

    >>> wrong(np.array([1.0, 2.5, 7.0]), np.array([1.0, 2.0, np.nan]), []).tolist()
    [False, True, False]
    """
    with np.errstate(all="ignore"):
        moved = np.max([np.abs(n - truth) for n in nearby], axis=0) if nearby else np.zeros(truth.shape)
        largest = np.max(np.abs(truth), initial=0.0, where=np.isfinite(truth))
        allowed = rtol * (np.abs(truth) + min(largest, 1.0)) + 10 * moved
        certain = np.isfinite(truth) & np.isfinite(moved)
        return np.asarray(certain & ~(np.abs(mine - truth) <= allowed))


def oracle(
    loss: Loss, inputs: Sequence[Tensor], params: Mapping[str, float] | None = None, wrt: Sequence[str] = ()
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of each row, and the gradients of their sum by the names in `wrt`, in float64 by autograd.

    `inputs` stand in the order of the loss: [rows, classes] per class, [rows] per sample, [classes] shared. Parameters
    that `params` does not name keep their defaults. Gradients are shaped like the inputs; those of parameters are
    scalars. Rows with the class index -100 are ignored.

    Where a branch that is not taken has no finite derivative, autograd gives NaN though the derivative exists: compare
    where the oracle is finite.

    Raises:
        GloError: the loss has a hole.
        IndexError: a class index is out of range.

    >>> import glo_dsl as glo
    >>> mse = glo.loads("loss mse(p: real, y: real) = (p - y) ^ 2")["mse"]
    >>> value, gradients = oracle(mse, [torch.tensor([3.0]), torch.tensor([1.0])], wrt=["p"])
    >>> value.tolist(), gradients["p"].tolist()
    ([4.0], [4.0])
    """
    named = {v.name: _leaf(t, v.name in wrt) for v, t in zip(loss.inputs, inputs, strict=True)}
    for name, number in {**loss.defaults, **(params or {})}.items():
        named[name] = _leaf(torch.tensor(number, dtype=torch.float64), name in wrt)
    vector = torch.stack([named[p.name] for p in loss.params]) if loss.params else torch.empty(0, dtype=torch.float64)
    launch = _forward(replace(loss, laws=(), examples=()))  # what is claimed of it cannot be hashed
    value: Tensor = launch(tuple(named[v.name] for v in loss.inputs), vector, (), 1.0, IGNORED)[0]
    leaves = [named[name] for name in wrt]
    if not value.requires_grad:
        return value, {name: torch.zeros_like(leaf) for name, leaf in zip(wrt, leaves)}
    found = torch.autograd.grad(value.sum(), leaves, allow_unused=True)
    gradients = {n: torch.zeros_like(leaf) if g is None else g for n, leaf, g in zip(wrt, leaves, found)}
    return value.detach(), gradients


def _leaf(tensor: Tensor, differentiable: bool) -> Tensor:
    """A copy of its own, in float64 if real."""
    copy = tensor.detach().double() if tensor.is_floating_point() else tensor.detach()
    return copy.clone().requires_grad_(differentiable)


@lru_cache(maxsize=256)
def _forward(loss: Loss) -> Any:
    return getattr(load_module(emit_torch(oracle_program(loss))), LAUNCH)

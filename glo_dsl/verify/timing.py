"""How long a loss with its gradient takes on this machine, target by target."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.utils.benchmark as timer
from torch import Tensor

from glo_dsl.lang.loss import Loss
from glo_dsl.runtime.compile import compile
from glo_dsl.verify.space import random_batch, space_of

DIFFERENT = 1e-2
"""Of the largest entry: a gradient that is further from PyTorch's is none."""


@dataclass(frozen=True)
class Timing:
    """A target: seconds of `value_and_grad`, the median; bytes that have to be moved at least; and whether the outcome
    is that of PyTorch's operations, which it was compared with before it was timed."""

    target: str
    seconds: float
    bytes: int
    agrees: bool = True


def inputs_of(loss: Loss, rows: int, classes: int, dtype: torch.dtype, device: torch.device) -> list[Tensor]:
    """Random inputs from where the loss is defined, [rows, classes], [rows] or, shared, [classes]."""
    batch = random_batch(space_of(loss), np.random.default_rng(0), rows, classes)
    made = []
    for v in loss.inputs:
        column = batch.columns[v.name] if v.type.per_sample else batch.columns[v.name][0]
        tensor = torch.from_numpy(np.ascontiguousarray(column)).to(device)
        made.append(tensor.to(dtype) if v.type.kind == "real" else tensor)
    return made


def copied(tensor: Tensor, seconds: float) -> Timing:
    """A copy of a tensor: what the memory of the machine can do."""
    other = torch.empty_like(tensor)
    taken = _median("other.copy_(tensor)", {"other": other, "tensor": tensor}, seconds)
    return Timing("copy", taken, 2 * tensor.nbytes)


def timed(loss: Loss, target: str, inputs: list[Tensor], seconds: float) -> Timing:
    """A target on these inputs, the gradient by the first real input included.

    Raises:
        GloError: the loss cannot be compiled for the target.
    """
    fn, plain = compile(loss, target), compile(loss, "torch")
    _, mine = fn.value_and_grad(*inputs)
    _, want = plain.value_and_grad(*inputs)
    agrees = all(_near(mine[name], want[name]) for name in want)
    moved = sum(t.nbytes for t in inputs) + sum(g.nbytes for g in mine.values())
    return Timing(target, _median("fn.value_and_grad(*inputs)", {"fn": fn, "inputs": inputs}, seconds), moved, agrees)


def _near(mine: Tensor, want: Tensor) -> bool:
    finite = want.isfinite() & mine.isfinite()
    largest = float(want[finite].abs().max()) if bool(finite.any()) else 1.0
    return float((mine - want)[finite].abs().float().max() if bool(finite.any()) else 0.0) <= DIFFERENT * largest


def _median(statement: str, names: dict[str, object], seconds: float) -> float:
    found = timer.Timer(statement, globals=names, num_threads=torch.get_num_threads())
    return float(found.blocked_autorange(min_run_time=seconds).median)

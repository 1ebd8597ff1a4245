"""Who is right: contenders are compared with PyTorch in float64 before they are timed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from on_gpu.setting import Setting
from on_gpu.timing import Contender

AT_A_TIME = 2**24
"""Values in float64 that exist at once, some times over."""

TOLERANCE = {torch.float32: (1e-4, 5e-3), torch.bfloat16: (1e-2, 3e-2), torch.float16: (2e-3, 1e-2)}
"""For value and gradient, relative to the largest: wide enough for what eager PyTorch rounds, far too narrow for
another function. How exact the kernels are is a question of its own: `accuracy`."""

Outcome = tuple[Tensor, Sequence[Tensor]]
"""A value and gradients."""


@dataclass(frozen=True)
class Truth:
    """What an outcome should be, rounded to float32."""

    value: Tensor
    gradients: Sequence[Tensor]

    def mistake(self, outcome: Outcome, dtype: torch.dtype) -> str:
        """What is wrong with an outcome of inputs of a dtype; empty if nothing is."""
        if len(outcome[1]) != len(self.gradients):
            return f"{len(outcome[1])} gradients, not {len(self.gradients)}"
        pairs = [
            (outcome[0], self.value, "the value"),
            *((a, b, "the gradient") for a, b in zip(outcome[1], self.gradients)),
        ]
        for (mine, want, what), room in zip(pairs, (TOLERANCE[dtype][0], *[TOLERANCE[dtype][1]] * len(self.gradients))):
            if mine.shape != want.shape:
                return f"{what} is {tuple(mine.shape)}, not {tuple(want.shape)}"
            error = largest_error(mine, want)
            if not error <= room:
                return f"{what} is off by {error:.1e} of the largest"
        return ""


def largest_error(mine: Tensor, want: Tensor) -> float:
    """The largest difference as a part of the largest entry; NaN if there is one. All may be 0."""
    step = max(1, 4 * AT_A_TIME)
    parts = zip(mine.detach().reshape(-1).split(step), want.reshape(-1).split(step))
    errors = torch.stack([(a.double() - b.double()).abs().max() for a, b in parts])
    error, largest = float(errors.max()), float(want.abs().max())
    return error / largest if largest else error and math.inf


def truth_of(f: Callable[..., Tensor], inputs: Sequence[Tensor], rest: Sequence[Tensor] = ()) -> Truth:
    """Value and gradient by the first input of a mean over rows, in float64, some rows at a time."""
    first = inputs[0]
    count = max(1, AT_A_TIME // first.shape[1])
    value = torch.zeros((), dtype=torch.float64, device=first.device)
    gradient = torch.empty(first.shape, dtype=torch.float32, device=first.device)
    for start in range(0, len(first), count):
        part = [wide(t[start : start + count]) for t in inputs]
        leaf = part[0].requires_grad_()
        loss = f(leaf, *part[1:], *map(wide, rest)) * (len(leaf) / len(first))
        gradient[start : start + count] = torch.autograd.grad(loss, leaf)[0]
        value += loss.detach()
    return Truth(value.float(), [gradient])


def wide(t: Tensor) -> Tensor:
    return t.detach().double() if t.is_floating_point() else t


def judged(
    setting: Setting, contenders: Mapping[str, Contender], truth: Truth, dtype: torch.dtype
) -> tuple[dict[str, Contender], list[str]]:
    """The contenders that are right on the first buffer, and what is to be said of the others.

    Raises:
        RuntimeError: one of them broke the device for all.
    """
    good, notes = {}, []
    for name, contender in contenders.items():
        try:
            contender.prepare(0)
            problem = truth.mistake(contender.read(contender.step(0)), dtype)
            problem = problem and f"WRONG, not timed: {problem}"
        except Exception as error:
            problem = f"failed: {type(error).__name__}: {first_line(error)}"
            setting.wait()
            setting.free()
        if problem:
            notes.append(f"{name} {problem}")
        else:
            good[name] = contender
    return good, notes


def first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else ""

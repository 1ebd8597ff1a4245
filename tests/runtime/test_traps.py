"""The traps of `benchmarks/traps`: what fused losses have been known to get wrong. None may spring, on any target."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

import glo_dsl as glo
from glo_dsl.runtime.contract import CompiledLoss

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from traps.losses import SUBJECTS, Subject
from traps.special import SPECIAL
from traps.suite import Trap, traps


@cache
def compiled(name: str, target: str) -> CompiledLoss:
    return glo.compile(glo.zoo[name], target)


def sprung(chosen: Iterator[Trap], target: str) -> list[str]:
    found = []
    for trap in chosen:
        problem = trap.spring(compiled(trap.subject.name, target))
        if problem:
            found.append(f"{trap.name}: {problem}")
    return found


@pytest.mark.parametrize("target", ["c", "torch"])
@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_no_trap_springs(subject: Subject, target: str) -> None:
    assert not sprung((trap for trap in traps() if trap.subject is subject), target)


@pytest.mark.parametrize("name", ["cross_entropy", "baikal", "distillation"])
def test_no_trap_springs_on_triton(name: str) -> None:
    """A part of them, for the interpreter is slow: short rows, and what the layouts of PyTorch allow."""
    slow = ("late start", "ragged row", "same bits", "float32 loss", "loss scaling")
    mine = [t for t in traps() if t.subject.name == name and not t.name.endswith(slow) and "float64" not in t.name]
    assert not sprung(iter(mine[::4]), "triton")


def test_there_are_many() -> None:
    names = [trap.name for trap in traps()]
    assert len(names) == len(set(names)) >= 500


LOSS = SUBJECTS[0]


class Wrong:
    """Cross-entropy with one of the faults that fused losses have had."""

    def __init__(self, fault: str) -> None:
        self.fault = fault

    def __call__(self, z: torch.Tensor, t: torch.Tensor, **options: Any) -> torch.Tensor:
        loss: torch.Tensor = Ours.apply(z, t, self.fault, options)  # type: ignore[no-untyped-call]
        return loss


class Ours(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: torch.Tensor, t: torch.Tensor, fault: str, options: dict[str, Any]) -> torch.Tensor:
        options = {**options, "ignore_index": -100} if fault == "ignore_index" else options
        with torch.enable_grad():
            leaf = z.detach().float().requires_grad_()
            value = LOSS(leaf, t, **options)
            (ctx.slope,) = torch.autograd.grad(value.sum(), [leaf])
        ctx.fault, ctx.dtype = fault, z.dtype
        if fault == "overwrites":
            z.detach().copy_(ctx.slope)
        return value.detach().to(z.dtype if fault == "rounded loss" else value.dtype)

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor) -> Any:
        if upstream.dim() == 1 and ctx.slope.dim() == 2:
            upstream = upstream[:, None]
        if ctx.fault == "in place":
            return ctx.slope.mul_(upstream).to(ctx.dtype), None, None, None
        factor = torch.ones(()) if ctx.fault == "upstream" else upstream
        return (ctx.slope * factor).to(ctx.dtype), None, None, None


@pytest.mark.parametrize(
    ("fault", "trap", "said"),
    [
        ("in place", "backward twice", "the gradient times -0.5"),
        ("overwrites", "inputs untouched", "an input was overwritten"),
        ("upstream", "backward twice", "the gradient times 3.0"),
        ("rounded loss", "float32 loss", "the loss is torch.bfloat16"),
        ("ignore_index", "ignored rows", "index 255 is out of bounds"),
        ("none", "second derivative", "does not require grad"),
    ],
)  # fmt: skip
def test_a_trap_springs(fault: str, trap: str, said: str) -> None:
    try:
        problem = SPECIAL[trap](LOSS, Wrong(fault))
    except RuntimeError as error:  # a loss may fail where it should give a number
        problem = str(error)
    assert said in problem


def test_wrong_numbers_are_noticed() -> None:
    """A gradient off by one part in a thousand, in float32; a unit in the last place and a half in bfloat16."""

    def off(factor: float) -> Any:
        def loss(z: torch.Tensor, t: torch.Tensor, **options: Any) -> torch.Tensor:
            value = LOSS(z.float() if z.dtype == torch.bfloat16 else z, t, **options)
            return value * (1 - factor) + (value * factor).detach()

        return loss

    def sprung_by(factor: float, dtype: str) -> list[bool]:
        mine = [t for t in traps() if t.subject is LOSS and t.name.startswith(f"cross_entropy: {dtype} ")]
        return [bool(trap.spring(off(factor))) for trap in mine if "ties" not in trap.name]

    assert not any(sprung_by(0.0, "float32") + sprung_by(0.0, "bfloat16"))
    for factor, dtype in ((1e-4, "float32"), (3e-2, "bfloat16")):
        found = sprung_by(factor, dtype)
        assert sum(found) > 0.7 * len(found)  # not where the gradient is far below what PyTorch itself gets right

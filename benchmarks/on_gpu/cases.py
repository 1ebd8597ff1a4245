"""A loss on logits of a shape: its inputs, who computes it, and how all of them are judged and timed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from eager import EAGER, constants, differentiated
from torch import Tensor

import glo_dsl as glo
from on_gpu.judge import Outcome, Truth, judged, truth_of
from on_gpu.setting import Result, Setting
from on_gpu.timing import Contender, interleaved

TWELVE = (
    "cross_entropy", "baikal", "taylor3", "brier", "focal", "gce", "symmetric_cross_entropy", "poly1",
    "smoothed_cross_entropy", "z_loss_cross_entropy", "forward_kl", "jensen_shannon",
)  # fmt: skip
"""Losses of rows with a PyTorch form in `eager.py`."""

GIGABYTE = 2**30
MOST_BUFFERS = 64


@dataclass(frozen=True)
class Case:
    """A loss of the library on logits [rows, classes]."""

    loss: glo.Loss
    rows: int
    classes: int
    dtype: torch.dtype = torch.bfloat16

    def __str__(self) -> str:
        return f"{self.loss.name} {self.rows}x{self.classes} {str(self.dtype)[6:]}"

    def result(self) -> Result:
        """Nothing known yet."""
        facts = {"loss": self.loss.name, "rows": self.rows, "classes": self.classes, "dtype": str(self.dtype)[6:]}
        return Result(str(self), facts)

    @property
    def vectors(self) -> int:
        """Inputs per class."""
        return sum(v.type.per_class for v in self.loss.inputs)

    @property
    def least_bytes(self) -> int:
        """Every input per class read once, one gradient written once."""
        return (self.vectors + 1) * self.rows * self.classes * self.dtype.itemsize

    def inputs(self, setting: Setting, seed: int = 0) -> list[Tensor]:
        """Logits as those of a net before it is sure of anything, and classes; or two rows of logits."""
        generator = torch.Generator(setting.device).manual_seed(seed)
        made = []
        for v in self.loss.inputs:
            if v.type.kind == "class":
                made.append(torch.randint(self.classes, (self.rows,), device=setting.device, generator=generator))
            else:
                noise = torch.randn(
                    self.rows, self.classes, dtype=self.dtype, device=setting.device, generator=generator
                )
                made.append(noise.mul_(2))
        return made

    def buffers(self, setting: Setting) -> list[list[Tensor]]:
        """Inputs to take turns with: the same distribution, together three times what the last cache holds."""
        size = self.vectors * self.rows * self.classes * self.dtype.itemsize
        count = min(MOST_BUFFERS, max(2, math.ceil(3 * setting.cache_bytes / size)))
        return [self.inputs(setting, seed) for seed in range(count)]

    def truth(self, inputs: Sequence[Tensor]) -> Truth:
        """By the PyTorch form, or by the operations of target torch where there is none."""
        if self.loss.name in EAGER:
            return truth_of(EAGER[self.loss.name], inputs, constants(self.loss, torch.float64, inputs[0].device))
        return truth_of(glo.compile(self.loss, "torch"), inputs)


def gigabyte(setting: Setting, loss: glo.Loss, classes: int, dtype: torch.dtype = torch.bfloat16) -> Case:
    """A case whose logits take a gigabyte."""
    return Case(loss, *setting.shape(GIGABYTE // dtype.itemsize // classes, classes), dtype)


def stepping(step: Callable[..., tuple[Tensor, Tensor]], buffers: Sequence[Sequence[Tensor]]) -> Contender:
    """A function of inputs that gives value and gradient."""

    def run(n: int) -> Outcome:
        value, gradient = step(*buffers[n])
        return value, [gradient]

    return Contender(run)


def ours(case: Case, buffers: Sequence[Sequence[Tensor]]) -> dict[str, Contender]:
    """The kernel as it is called without and with autograd."""
    fn = glo.compile(case.loss, "triton")
    wrt = fn.spec.differentiable[0]

    def direct(*inputs: Tensor) -> tuple[Tensor, Tensor]:
        value, gradients = fn.value_and_grad(*inputs)
        return value, gradients[wrt]

    by_autograd = stepping(lambda *inputs: differentiated(fn, *inputs), buffers)
    return {"glo": stepping(direct, buffers), "glo autograd": by_autograd}


def eager(case: Case, buffers: Sequence[Sequence[Tensor]]) -> dict[str, Contender]:
    """PyTorch on the logits as they are, and on logits in float32, as careful authors have it."""
    form, device = EAGER[case.loss.name], buffers[0][0].device
    narrow, exact = constants(case.loss, case.dtype, device), constants(case.loss, torch.float32, device)
    found = {"eager": stepping(lambda *inputs: differentiated(form, *inputs, *narrow), buffers)}
    if case.dtype != torch.float32:
        widened = in_float32(case)
        found["eager float32"] = stepping(lambda *inputs: differentiated(widened, *inputs, *exact), buffers)
    return found


def compiled(case: Case, buffers: Sequence[Sequence[Tensor]], mode: str = "default") -> Contender:
    """torch.compile of the form in float32, for this shape: the conversion is part of the kernel, and costs nothing."""
    torch._dynamo.reset()
    function = torch.compile(in_float32(case), dynamic=False, fullgraph=True, mode=mode)
    given = constants(case.loss, torch.float32, buffers[0][0].device)
    return stepping(lambda *inputs: differentiated(function, *inputs, *given), buffers)


def in_float32(case: Case) -> Callable[..., Tensor]:
    form = EAGER[case.loss.name]

    def widened(z: Tensor, *rest: Tensor) -> Tensor:
        return form(z.float(), *(t.float() if t.is_floating_point() else t for t in rest))

    return widened


def copying(buffers: Sequence[Sequence[Tensor]]) -> Contender:
    """The bar: the logits read once and written once."""
    target = torch.empty_like(buffers[0][0])
    return Contender(lambda n: target.copy_(buffers[n][0]))


def measured(
    setting: Setting, result: Result, dtype: torch.dtype, contenders: dict[str, Contender], truth: Truth, buffers: int,
    seconds: float, bars: dict[str, Contender] | None = None,
) -> Result:  # fmt: skip
    """The result, with contenders judged, and those that are right timed; `bars` have no outcome to judge."""
    good, notes = judged(setting, contenders, truth, dtype)
    result.notes += notes
    setting.free()
    result.microseconds = interleaved({**(bars or {}), **good}, buffers, setting.clock, seconds)
    return result


def fastest(result: Result, names: Sequence[str]) -> str | None:
    """Who of these is fastest, if any was right."""
    timed = [name for name in names if name in result.microseconds]
    return min(timed, key=lambda name: result.microseconds[name][0]) if timed else None


def geometric_mean(values: Sequence[float | None]) -> float | None:
    known = [math.log(v) for v in values if v]
    return round(math.exp(sum(known) / len(known)), 3) if known else None

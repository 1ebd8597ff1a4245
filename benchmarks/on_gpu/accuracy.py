"""How exact value and gradient are on the device, over every family of kernels and kinds of logits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from eager import EAGER, constants, differentiated
from torch import Tensor

import glo_dsl as glo
from on_gpu.cases import Case
from on_gpu.judge import truth_of
from on_gpu.setting import Result, Results, Setting

NAMES = ("cross_entropy", "baikal", "brier", "jensen_shannon")
CLASSES = (10, 1000, 4096, 32768, 131072, 262144)
"""Packed, resident and streaming rows, of one block and of many."""

ROWS = 32
SATURATED = 0.05
"""A sample whose gradient is smaller everywhere is judged as if it were this large: float32 knows a probability near 1,
and so what is lacking to 1, to 6e-8."""

GOALS = {"loss": 1e-6, "gradient": 4e-6, "within an ulp": 0.9999}


def regimes(z: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
    """Four kinds of logits: of a fresh net, thirty times as large, sure of a class, and with a long tail."""
    rows, classes = z.shape
    sure = torch.randint(classes, (rows,), device=z.device, generator=generator)
    confident = z.clone()
    confident[torch.arange(rows, device=z.device), sure] += 12
    return {"normal": z, "large": z * 30, "confident": confident, "long tail": z.exp() ** 1.5}


def accuracy(setting: Setting) -> Results:
    """The worst of the rows, beside the same of eager PyTorch in that dtype."""
    for name in NAMES[: setting.count(len(NAMES))]:
        for classes in CLASSES[: setting.count(len(CLASSES))]:
            for dtype in (torch.float32, torch.bfloat16):
                yield worst(setting, Case(glo.zoo[name], *setting.shape(ROWS, classes), dtype))


def worst(setting: Setting, case: Case) -> Result:
    """A line for a case: over the regimes the largest errors, and in which of them the goals are missed."""
    generator = torch.Generator(setting.device).manual_seed(0)
    fn, form = glo.compile(case.loss, "triton"), EAGER[case.loss.name]
    z = torch.randn(case.rows, case.classes, device=setting.device, generator=generator)
    result, errors = case.result(), list[dict[str, float]]()
    for regime, logits in regimes(z, generator).items():
        inputs = [logits.to(case.dtype), *case.inputs(setting, 1)[1:]]
        truth = truth_of(form, inputs, constants(case.loss, torch.float64, setting.device))
        want = (truth.value, truth.gradients[0])
        mine = of(lambda *x: value_and_grad(fn, x), inputs, want)
        given = constants(case.loss, case.dtype, setting.device)
        theirs = of(lambda *x, given=given: differentiated(form, *x, *given), inputs, want)
        errors.append(mine)
        for what, goal in GOALS.items():
            missed = mine[what] < goal if what == "within an ulp" else not mine[what] <= goal
            as_bad = theirs[what] > mine[what] if what == "within an ulp" else theirs[what] < mine[what]
            if missed and as_bad and what in goals_of(case.dtype):
                result.notes.append(f"{regime} logits: {what} {mine[what]:.2g}, PyTorch {theirs[what]:.2g}")
    for what in goals_of(case.dtype):
        found = [e[what] for e in errors]
        result.figures[what] = float(f"{min(found) if what == 'within an ulp' else max(found):.6g}")
    return result


def goals_of(dtype: torch.dtype) -> Sequence[str]:
    """A gradient in bfloat16 is judged by units in its last place, one in float32 by the row's largest."""
    return ("loss", "gradient") if dtype == torch.float32 else ("loss", "within an ulp")


def value_and_grad(fn: Callable[..., Tensor], inputs: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    value, gradients = fn.value_and_grad(*inputs)  # type: ignore[attr-defined]
    return value, next(iter(gradients.values()))


def of(
    step: Callable[..., tuple[Tensor, Tensor]], inputs: Sequence[Tensor], want: tuple[Tensor, Tensor]
) -> dict[str, float]:
    """Relative error of the value, error of the gradient as a part of its row's largest, and the share of its entries
    that are within a unit in the last place of bfloat16 and what float32 rounds. What is beyond the range of float32
    cannot be right, and is left out."""
    value, gradient = step(*inputs)
    fits = want[1].isfinite().all(1)
    truth = want[1][fits].double()
    wrong = float((value.double() - want[0].double()).abs() / want[0].double().abs()) if want[0].isfinite() else 0.0
    if not fits.any():
        return {"loss": wrong, "gradient": 0.0, "within an ulp": 1.0}
    error = (gradient[fits].double() - truth).abs()
    largest = truth.abs().amax(1, keepdim=True).clamp(min=SATURATED / len(fits))
    smallest = torch.finfo(torch.bfloat16).smallest_normal
    exponent = torch.frexp(truth.abs().clamp(min=smallest)).exponent
    ulp = torch.ldexp(torch.ones_like(error), exponent - 8)
    return {
        "loss": wrong,
        "gradient": float((error / largest).max()),
        "within an ulp": float((error <= ulp + GOALS["gradient"] * largest).double().mean()),
    }

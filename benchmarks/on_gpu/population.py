"""Many losses in a call: one with 256 vectors of constants, and 64 different ones, on batches of 128 and 10 classes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from eager import EAGER, constants, differentiated
from torch import Tensor

import glo_dsl as glo
from glo_dsl.runtime.planes import TOGETHER
from on_gpu.cases import measured
from on_gpu.judge import Outcome, Truth
from on_gpu.setting import Result, Results, Setting
from on_gpu.steps import replay
from on_gpu.timing import Contender

VECTORS, DIFFERENT, ROWS, CLASSES, BUFFERS = 256, 64, 128, 10, 4
SECONDS = 1.0
GOAL = 20.0
"""Microseconds of 256 vectors."""

TERMS = ("y ^ 2", "x * y", "x * y ^ 2", "y ^ 3", "sqrt(y)", "x / (1 + y)")


def populations(setting: Setting) -> Results:
    yield vectors(setting)
    yield different(setting)


def logits(setting: Setting, count: int) -> list[tuple[Tensor, Tensor]]:
    """Each member has logits of its own; the classes are common."""
    rows, classes = setting.shape(ROWS, CLASSES)
    generator = torch.Generator(setting.device).manual_seed(0)
    return [
        (
            torch.randn(count, rows, classes, device=setting.device, generator=generator),
            torch.randint(classes, (rows,), device=setting.device, generator=generator),
        )
        for _ in range(BUFFERS)
    ]


def vectors(setting: Setting) -> Result:
    """TaylorGLO as CMA-ES asks for it, against a loop of eager steps and PyTorch's own vmap."""
    loss, count = glo.zoo["taylor3"], setting.count(VECTORS)
    data, many = logits(setting, count), glo.bundle([loss] * count, "triton")
    (usual,) = constants(loss, torch.float32, setting.device)
    generator = torch.Generator(setting.device).manual_seed(1)
    theta = usual * (1 + 0.1 * torch.randn(count, len(usual), device=setting.device, generator=generator))
    named = {name: values.tolist() for name, values in zip(loss.defaults, theta.T)}
    form = EAGER["taylor3"]

    def bundle(n: int) -> Outcome:
        values, gradients = many.value_and_grad(*data[n], **named)
        return values, [gradients["z"]]

    both = torch.func.vmap(torch.func.grad_and_value(form), in_dims=(0, None, 0))

    def mapped(function: Callable[..., Any]) -> Contender:
        def step(n: int) -> Outcome:
            gradients, values = function(*data[n], theta)
            return values, [gradients]

        return Contender(step)

    contenders = {
        "glo": Contender(bundle), "eager loop": Contender(lambda n: looped(form, *data[n], theta)),
        "eager vmap": mapped(both),
    }  # fmt: skip
    if setting.compiles:
        torch._dynamo.reset()
        contenders["compiled vmap"] = mapped(torch.compile(both, dynamic=False))
    value, gradients = looped(form, data[0][0].double(), data[0][1], theta.double())
    truth = Truth(value.float(), [gradients[0].float()])
    empty = Result(f"{count} vectors of taylor3")
    result = measured(setting, empty, torch.float32, contenders, truth, BUFFERS, SECONDS)
    result.figures = {"goal in us": GOAL} | {
        f"{name}/glo": result.ratio(name) for name in result.microseconds if name != "glo"
    }
    if "glo" in result.microseconds and not setting.rehearsal:  # the device alone, without the host's 3000 numbers
        result.figures["replay us"] = replay(setting, lambda n: many.value_and_grad(*data[n]))
    return result


def looped(form: Callable[..., Tensor], z: Tensor, t: Tensor, theta: Tensor) -> Outcome:
    """The members one by one."""
    found = [differentiated(form, logits, t, constant) for logits, constant in zip(z, theta)]
    return torch.stack([value for value, _ in found]), [torch.stack([gradient for _, gradient in found])]


def different(setting: Setting) -> Result:
    """As a generation of genetic programming: all losses differ, and a kernel holds several of them."""
    losses = generation(setting.count(DIFFERENT))
    data, many = logits(setting, len(losses)), glo.bundle(losses, "triton")

    def step(n: int) -> Outcome:
        values, gradients = many.value_and_grad(*data[n])
        return values, [gradients["z"]]

    values, gradients = glo.bundle(losses, "torch").value_and_grad(data[0][0].double(), data[0][1])
    truth = Truth(values.float(), [gradients["z"].float()])
    empty = Result(f"{len(losses)} different losses")
    result = measured(setting, empty, torch.float32, {"glo": Contender(step)}, truth, BUFFERS, SECONDS)
    result.figures = {"goal in us": 2 * GOAL}
    return result


def generation(count: int) -> Sequence[glo.Loss]:
    """Losses that differ in their terms: every choice of some, first the short ones."""
    chosen = [c for size in range(len(TERMS) + 1) for c in itertools.combinations(TERMS, size)][:count]
    texts = [
        f"loss member{n}(z: real[C], t: class[C]) = let y = softmax(z), x = onehot(t) in "
        f"-mean({' + '.join(('x * log(y)', *terms))})"
        for n, terms in enumerate(chosen)
    ]
    return list(glo.loads("\n".join(texts)).values())


def ahead(setting: Setting) -> list[Callable[[], object]]:
    """In parts, for several processes: as many losses as one kernel holds."""
    losses = generation(setting.count(DIFFERENT))
    parts = [losses[start : start + TOGETHER] for start in range(0, len(losses), TOGETHER)]
    return [
        lambda part=part: glo.bundle(part, "triton").value_and_grad(*logits(setting, len(part))[0]) for part in parts
    ]

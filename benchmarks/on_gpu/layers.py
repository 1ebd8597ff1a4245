"""A last layer into a loss: time and memory of `glo.linear`, of the whole logits, of others, of the matrix products."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from eager import EAGER, Function, constants
from torch import Tensor

import glo_dsl as glo
from on_gpu.cases import measured
from on_gpu.judge import AT_A_TIME, Outcome, Truth, wide
from on_gpu.setting import Result, Results, Setting
from on_gpu.timing import Contender

ROWS, WIDTH, CLASSES = 8192, 4096, 128256
NAMES = ("cross_entropy", "baikal", "taylor3")
SECONDS = 1.5
GOAL = 1.1
"""Times of the three matrix products."""

Step = Callable[[Tensor, Tensor, Tensor], Tensor]
BUFFERS = 1
"""Weight and logits are far larger than any cache."""


@dataclass(frozen=True)
class Layer:
    """Hidden states [rows, width], the weight [classes, width], classes [rows], in bfloat16."""

    hidden: Tensor
    weight: Tensor
    target: Tensor

    def step(self, loss: Step) -> Outcome:
        """Value and gradients of a training step."""
        h, w = self.hidden.detach().requires_grad_(), self.weight.detach().requires_grad_()
        value = loss(h, w, self.target)
        return value.detach(), torch.autograd.grad(value, [h, w])

    def products(self) -> Sequence[Tensor]:
        """What no layer gets around: logits, and both gradients, with logits in place of their own."""
        logits = F.linear(self.hidden, self.weight)
        return logits @ self.weight, logits.T @ self.hidden


def layers(setting: Setting) -> Results:
    rows, classes = setting.shape(ROWS, CLASSES)
    width = setting.shape(WIDTH, WIDTH)[1]
    for name in NAMES:
        generator = torch.Generator(setting.device).manual_seed(0)
        drawn = [torch.randn(n, width, device=setting.device, generator=generator) for n in (rows, classes)]
        target = torch.randint(classes, (rows,), device=setting.device, generator=generator)
        layer = Layer(drawn[0].bfloat16(), (2 * drawn[1] / width**0.5).bfloat16(), target)
        del drawn
        yield of_layer(setting, name, layer)
        setting.free()


def of_layer(setting: Setting, name: str, layer: Layer) -> Result:
    loss = glo.zoo[name]
    form, given = EAGER[name], constants(loss, torch.float32, setting.device)
    steps, notes = losses_of_layer(loss, form, given, layer)
    contenders = {who: Contender(lambda n, step=step: layer.step(step)) for who, step in steps.items()}
    bars = {"three products": Contender(lambda n: layer.products())}
    truth = layer_truth(form, layer, constants(loss, torch.float64, setting.device))
    case = f"{name} {'x'.join(map(str, (*layer.hidden.shape, len(layer.weight))))}"
    result = measured(setting, Result(case, notes=notes), torch.bfloat16, contenders, truth, BUFFERS, SECONDS, bars)
    result.figures = {"of the products": result.ratio("glo linear", "three products"), "goal": GOAL}
    for who in result.microseconds:
        if who in contenders:
            result.figures[f"{who} MB"] = extra_megabytes(setting, contenders[who])
    return result


def losses_of_layer(
    loss: glo.Loss, form: Function, given: list[Tensor], layer: Layer
) -> tuple[dict[str, Step], list[str]]:
    """The contenders, and who is not here."""
    fn = glo.compile(loss, "triton")
    fused, eighth = glo.linear(fn), max(1, len(layer.hidden) // 8)
    steps: dict[str, Step] = {
        "glo linear": fused,
        "glo linear, eighths": lambda h, w, t: fused(h, w, t, chunk=eighth),
        "glo": lambda h, w, t: fn(F.linear(h, w), t),
        "eager": lambda h, w, t: form(F.linear(h, w).float(), t, *given),
    }
    notes = []
    if loss.name == "cross_entropy":
        if hasattr(F, "linear_cross_entropy"):
            options = torch.nn.LinearCrossEntropyOptions()
            steps["torch chunked"] = lambda h, w, t: F.linear_cross_entropy(h, w, t, options=options)
        else:
            notes.append(f"torch {torch.__version__} has no F.linear_cross_entropy")
        try:
            liger = importlib.import_module("liger_kernel.transformers").LigerFusedLinearCrossEntropyLoss()
            steps["liger"] = lambda h, w, t: liger(w, h, t)
        except ImportError as error:
            notes.append(f"liger is not here: {error}")
    return steps, notes


def layer_truth(form: Function, layer: Layer, given: list[Tensor]) -> Truth:
    """Value and gradients in float64, some rows at a time."""
    rows, weight = len(layer.hidden), wide(layer.weight).requires_grad_()
    count = max(1, AT_A_TIME * 2 // len(weight))
    value, into_hidden = torch.zeros((), dtype=torch.float64, device=weight.device), []
    into_weight = torch.zeros_like(weight)
    for start in range(0, rows, count):
        h = wide(layer.hidden[start : start + count]).requires_grad_()
        part = form(h @ weight.T, layer.target[start : start + count], *given) * (len(h) / rows)
        found = torch.autograd.grad(part, [h, weight])
        into_hidden.append(found[0].float())
        into_weight += found[1]
        value += part.detach()
    return Truth(value.float(), [torch.cat(into_hidden), into_weight.float()])


def extra_megabytes(setting: Setting, contender: Contender) -> float | None:
    """The peak of a step beyond what was there and the gradients that it leaves."""
    if setting.rehearsal:
        return None
    setting.free()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    _, gradients = contender.step(0)
    setting.wait()
    return round((torch.cuda.max_memory_allocated() - before - sum(g.nbytes for g in gradients)) / 1e6, 1)

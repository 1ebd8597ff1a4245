"""Cross-entropy, Kullback-Leibler and Jensen-Shannon against Liger and quack, where those are installed."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from eager import differentiated
from torch import Tensor

import glo_dsl as glo
from on_gpu.cases import Case, fastest, measured, ours, stepping
from on_gpu.judge import first_line, truth_of
from on_gpu.setting import Result, Results, Setting
from on_gpu.timing import Contender

SHAPES = ((8192, 32768), (4096, 128256), (512, 1000))
SECONDS = 0.5

DIVERGENCES = glo.loads("""
# As Liger has them: of logarithms of probabilities, the gradient by each as if they were free.
loss kl(x: real[C], y: real[C] in (-inf, 0]) = sum(exp(y) * (y - x))
loss jsd(x: real[C] in (-inf, 0], y: real[C] in (-inf, 0]) =
  let m = log((exp(x) + exp(y)) / 2) in
  sum(exp(x) * (x - m) + exp(y) * (y - m)) / 2
""")


def kl(x: Tensor, y: Tensor) -> Tensor:
    return F.kl_div(x, y, reduction="batchmean", log_target=True)


def jsd(x: Tensor, y: Tensor) -> Tensor:
    m = ((x.exp() + y.exp()) / 2).log()
    return (x.exp() * (x - m) + y.exp() * (y - m)).sum(1).mean() / 2


def against_libraries(setting: Setting) -> Results:
    for shape in SHAPES[: setting.count(len(SHAPES))]:
        yield cross_entropy(setting, Case(glo.zoo["cross_entropy"], *setting.shape(*shape)))
        if shape[1] >= 1024:
            for name, form in (("kl", kl), ("jsd", jsd)):
                yield divergence(setting, Case(DIVERGENCES[name], *setting.shape(*shape)), form)


def cross_entropy(setting: Setting, case: Case) -> Result:
    buffers = case.buffers(setting)
    contenders, notes = ours(case, buffers), []
    for name, make in (("liger", liger_cross_entropy), ("quack", quack_direct), ("quack autograd", quack_autograd)):
        add(contenders, notes, name, lambda make=make: make(buffers))
    return compared(setting, case, contenders, notes, F.cross_entropy, buffers)


def divergence(setting: Setting, case: Case, form: Callable[..., Tensor]) -> Result:
    """Inputs are logarithms of probabilities, as Liger wants them."""
    buffers = [[F.log_softmax(t.float(), 1).to(case.dtype) for t in inputs] for inputs in case.buffers(setting)]
    contenders, notes = ours(case, buffers), []
    add(contenders, notes, "liger", lambda: liger_divergence(case.loss.name, buffers))
    return compared(setting, case, contenders, notes, form, buffers)


def compared(
    setting: Setting, case: Case, contenders: dict[str, Contender], notes: list[str], form: Callable[..., Tensor],
    buffers: list[list[Tensor]],
) -> Result:  # fmt: skip
    truth, empty = truth_of(form, buffers[0]), case.result()
    empty.notes += notes
    result = measured(setting, empty, case.dtype, contenders, truth, len(buffers), SECONDS)
    for name in result.microseconds:
        if name.startswith(("liger", "quack")):
            result.figures[f"{name}/glo"] = result.ratio(name)
    best = fastest(result, ("glo", "glo autograd"))
    result.figures["best of glo"] = best
    return result


def add(contenders: dict[str, Contender], notes: list[str], name: str, make: Callable[[], Contender]) -> None:
    """A contender, if its library is installed and works here."""
    try:
        contenders[name] = make()
    except Exception as error:
        notes.append(f"{name} is not here: {type(error).__name__}: {first_line(error)}")


def by_autograd(f: Callable[..., Tensor], buffers: list[list[Tensor]]) -> Contender:
    return stepping(lambda *inputs: differentiated(f, *inputs), buffers)


def liger_cross_entropy(buffers: list[list[Tensor]]) -> Contender:
    """It writes the gradient over the logits: it gets them anew for every call, and that is not timed."""
    function = importlib.import_module("liger_kernel.transformers.functional").liger_cross_entropy
    logits = torch.empty_like(buffers[0][0])

    def step(n: int) -> Any:
        value, gradient = differentiated(lambda z, t: function(z, t), logits, buffers[n][1])
        return value, [gradient]

    return Contender(step, prepare=lambda n: logits.copy_(buffers[n][0]))


def liger_divergence(name: str, buffers: list[list[Tensor]]) -> Contender:
    library = importlib.import_module("liger_kernel.transformers")
    if name == "jsd":
        return by_autograd(library.LigerJSD(), buffers)
    return by_autograd(library.LigerKLDIVLoss(reduction="batchmean", log_target=True), buffers)


def quack_direct(buffers: list[list[Tensor]]) -> Contender:
    """One kernel gives the losses of rows, and the gradient of their sum: the mean is left out of its time."""
    function = importlib.import_module("quack.cross_entropy").cross_entropy_fwd
    rows = len(buffers[0][0])
    return Contender(
        lambda n: function(*buffers[n], return_dx=True),
        read=lambda outcome: (outcome[0].mean(), [outcome[1].float() / rows]),
    )


def quack_autograd(buffers: list[list[Tensor]]) -> Contender:
    return by_autograd(importlib.import_module("quack.cross_entropy").cross_entropy, buffers)

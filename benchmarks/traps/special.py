"""Traps that need a story: graphs used twice, nothing to average, targets that do not exist, constants that change."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from traps.cases import Loss, close, differing, inputs_of
from traps.losses import Subject

Spring = Callable[[Subject, Loss], str]


def _leaves(inputs: list[Tensor]) -> list[Tensor]:
    return [t.clone().requires_grad_() if t.is_floating_point() else t for t in inputs]


def _free(inputs: list[Tensor]) -> list[Tensor]:
    return [t for t in inputs if t.requires_grad]


def _gradients(loss: Loss, inputs: list[Tensor], **options: object) -> tuple[Tensor, list[Tensor]]:
    leaves = _leaves(inputs)
    value = loss(*leaves, **options)
    return value.detach(), list(torch.autograd.grad(value.sum(), _free(leaves)))


def backward_twice(subject: Subject, loss: Loss) -> str:
    leaves = _leaves(inputs_of(subject, 6, 5))
    value, truth = loss(*leaves), subject(*leaves)
    for factor in (3.0, -0.5, 1.0):
        above = torch.tensor(factor)
        mine = torch.autograd.grad(value, _free(leaves), above, retain_graph=True)
        want = torch.autograd.grad(truth, _free(leaves), above, retain_graph=True)
        for a, b in zip(mine, want):
            if problem := close(a, b, f"the gradient times {factor}"):
                return problem
    return ""


def second_derivative(subject: Subject, loss: Loss) -> str:
    def penalty(fn: Loss, dtype: torch.dtype) -> Tensor:
        leaves = _leaves([t.to(dtype) if t.is_floating_point() else t for t in inputs_of(subject, 4, 5)])
        slopes = torch.autograd.grad(fn(*leaves), _free(leaves), create_graph=True)
        total = sum((s.square().sum() for s in slopes), torch.zeros((), dtype=dtype))
        return torch.autograd.grad(total * 10, _free(leaves)[:1])[0]

    return close(penalty(loss, torch.float32), penalty(subject, torch.float64), "the gradient of the gradient's square")


def untouched(subject: Subject, loss: Loss) -> str:
    inputs = inputs_of(subject, 6, 5)
    kept = [t.clone() for t in inputs]
    leaves = [t.detach().requires_grad_() if t.is_floating_point() else t for t in inputs]  # the same memory
    torch.autograd.grad(loss(*leaves), _free(leaves))
    return "" if all(torch.equal(a, b) for a, b in zip(inputs, kept)) else "an input was overwritten"


def frozen(subject: Subject, loss: Loss) -> str:
    """Only the last real input requires a gradient."""
    inputs = inputs_of(subject, 6, 5)
    last = max(n for n, t in enumerate(inputs) if t.is_floating_point())
    grads = []
    for fn in (loss, subject):
        leaf = inputs[last].clone().requires_grad_()
        value = fn(*inputs[:last], leaf, *inputs[last + 1 :])
        grads.append(torch.autograd.grad(value, [leaf])[0])
    return close(grads[0], grads[1], "the gradient")


def empty(subject: Subject, loss: Loss) -> str:
    inputs = inputs_of(subject, 0, 5)
    value, gradients = _gradients(loss, inputs, reduction="sum")
    if value != 0 or any(g.shape != t.shape for g, t in zip(gradients, [t for t in inputs if t.is_floating_point()])):
        return "the sum of nothing is not 0"
    if loss(*inputs, reduction="none").numel():
        return "there are losses of no samples"
    return "" if loss(*inputs).isnan() else "the mean of nothing is not NaN"


def one_class(subject: Subject, loss: Loss) -> str:
    return differing(subject, loss, inputs_of(subject, 5, 1), {"reduction": "sum"})


def one_sample(subject: Subject, loss: Loss) -> str:
    return differing(subject, loss, inputs_of(subject, 1, 7), {})


def single(subject: Subject, loss: Loss) -> str:
    inputs = inputs_of(subject, 1, 7)
    return differing(subject, loss, [t[0] if len(t) == 1 else t for t in inputs], {})


def ragged(subject: Subject, loss: Loss) -> str:
    return differing(subject, loss, inputs_of(subject, 13, 1031), {"reduction": "sum"})


def float32_loss(subject: Subject, loss: Loss) -> str:
    """257 rows: a mean of bfloat16 divides by 256 where its numbers are rounded; the loss keeps float32."""
    inputs = inputs_of(subject, 257, 5, torch.bfloat16)
    value = loss(*inputs)
    want = subject(*[t.double() if t.is_floating_point() else t for t in inputs])
    if value.dtype != torch.float32:
        return f"the loss is {value.dtype}"
    return close(value, want.float(), "the mean")


def same_bits(subject: Subject, loss: Loss) -> str:
    inputs = inputs_of(subject, 300, 70)
    first, second = _gradients(loss, inputs), _gradients(loss, inputs)
    same = torch.equal(first[0], second[0]) and all(torch.equal(a, b) for a, b in zip(first[1], second[1]))
    return "" if same else "two runs gave different bits"


def strided_upstream(subject: Subject, loss: Loss) -> str:
    leaves = _leaves(inputs_of(subject, 6, 5))
    for above in (torch.linspace(-1, 2, 12)[::2], torch.tensor(0.7).expand(6)):
        mine = torch.autograd.grad(loss(*leaves, reduction="none"), _free(leaves), above)
        want = torch.autograd.grad(subject(*leaves, reduction="none"), _free(leaves), above)
        for a, b in zip(mine, want):
            if problem := close(a, b, "the gradient"):
                return problem
    return ""


def no_grad(subject: Subject, loss: Loss) -> str:
    inputs = _leaves(inputs_of(subject, 6, 5))
    with torch.no_grad():
        value = loss(*inputs)
    return "the loss has a graph" if value.requires_grad else close(value, subject(*inputs).detach(), "the loss")


def nan_row(subject: Subject, loss: Loss) -> str:
    inputs = inputs_of(subject, 5, 6)
    clean, clean_gradients = _gradients(loss, inputs, reduction="none")
    inputs[0].view(5, -1)[2, -1] = math.nan
    value, gradients = _gradients(loss, inputs, reduction="none")
    others = [0, 1, 3, 4]
    if not value[2].isnan() or not torch.equal(value[others], clean[others]):
        return "NaN did not poison its row, or others"
    if not gradients[0][2].isnan().all():
        return f"a row with NaN has the gradient {gradients[0][2].tolist()}"
    return "" if torch.equal(gradients[0][others], clean_gradients[0][others]) else "NaN moved the gradients of others"


def ignored(subject: Subject, loss: Loss) -> str:
    inputs = inputs_of(subject, 6, 5)
    inputs[1][::3] = 255
    inputs[0][0] = math.nan
    value, gradients = _gradients(loss, inputs, ignore_index=255)
    kept = [t[inputs[1] != 255] if len(t) == 6 else t for t in inputs]
    want, wanted = _gradients(subject, kept)
    if gradients[0][::3].any():
        return "an ignored row has a gradient"
    problems = [close(value, want, "the mean"), close(gradients[0][inputs[1] != 255], wanted[0], "the gradient")]
    return next((p for p in problems if p), "")


def all_ignored(subject: Subject, loss: Loss) -> str:
    inputs = inputs_of(subject, 4, 5)
    inputs[1][:] = -100
    value, gradients = _gradients(loss, inputs, reduction="sum")
    if value != 0 or gradients[0].any():
        return "the sum of nothing is not 0"
    return "" if loss(*inputs).isnan() else "the mean of nothing is not NaN"


def narrow_targets(subject: Subject, loss: Loss) -> str:
    inputs = inputs_of(subject, 6, 5)
    for dtype in (torch.int32, torch.int16, torch.uint8):
        if problem := differing(subject, loss, [inputs[0], inputs[1].to(dtype), *inputs[2:]], {}):
            return f"{dtype}: {problem}"
    return ""


def strided_targets(subject: Subject, loss: Loss) -> str:
    inputs = inputs_of(subject, 6, 5)
    inputs[1] = torch.stack([inputs[1], inputs[1] * 0 + 99], -1).reshape(-1)[::2]
    return differing(subject, loss, inputs, {})


def impossible_target(subject: Subject, loss: Loss) -> str:
    for bad in (5, -1, 2**40):
        inputs = inputs_of(subject, 6, 5)
        inputs[1][3] = bad
        try:
            value = loss(*inputs, reduction="none")
        except (IndexError, RuntimeError, AssertionError):
            continue
        if not value[3].isnan():
            return f"class {bad} of 5 gave a loss"
    return ""


def late_start(subject: Subject, loss: Loss) -> str:
    """A row of which whole blocks are masked before the first class that is not."""
    inputs = inputs_of(subject, 2, 40000)
    inputs[0][:, :32768] = -math.inf
    inputs[1][:] = 39000
    return differing(subject, loss, inputs, {"reduction": "sum"})


def all_masked(subject: Subject, loss: Loss) -> str:
    inputs = inputs_of(subject, 3, 5)
    inputs[0][1] = -math.inf
    value, want = loss(*inputs, reduction="none"), subject(*inputs, reduction="none")
    return close(value, want, "the loss")


def target_masked(subject: Subject, loss: Loss) -> str:
    inputs = inputs_of(subject, 3, 5)
    inputs[0][1, inputs[1][1]] = -math.inf
    truth = subject(*inputs, reduction="none")
    value = loss(*inputs, reduction="none")
    return close(value, truth, "the loss") if not truth[1].isnan() else ""


def equal_rows(subject: Subject, loss: Loss) -> str:
    """Where both rows are the same the gradient is 0, not half of something."""
    row = inputs_of(subject, 6, 5)[0]
    _, gradients = _gradients(loss, [row, row.clone()])
    return "" if all(float(g.abs().max()) < 1e-6 for g in gradients) else "the gradient is not 0 between equals"


def changing_constants(subject: Subject, loss: Loss) -> str:
    inputs = inputs_of(subject, 6, 5)
    ((name, values),) = subject.constants.items()
    for value in (*values, *values[::-1]):
        mine, want = _gradients(loss, inputs, **{name: value}), _gradients(subject, inputs, **{name: value})
        problems = [close(mine[0], want[0], "the loss"), close(mine[1][0], want[1][0], "the gradient")]
        if found := next((p for p in problems if p), ""):
            return f"at {name} = {value}: {found}"
    return ""


def loss_scaling(subject: Subject, loss: Loss) -> str:
    """A gradient scaler multiplies the loss by 65536: what float16 would round to 0 must survive.

    Where a probability is near 1 the distance from 1 is known to float32's 1e-7, which is scaled too.
    """
    leaves = _leaves(inputs_of(subject, 512, 4, torch.float16, "confident"))
    wide = [t.detach().double().requires_grad_() if t.is_floating_point() else t for t in leaves]
    mine = torch.autograd.grad(loss(*leaves) * 65536.0, _free(leaves))
    want = torch.autograd.grad(subject(*wide) * 65536.0, _free(wide))
    for a, b in zip(mine, want):
        fits = b.abs() < torch.finfo(torch.float16).max
        if not torch.allclose(a.double()[fits], b[fits], rtol=2e-3, atol=2.4e-7 * 65536 / 512):
            return "scaled gradients were lost in float16"
    return ""


SPECIAL: dict[str, Spring] = {
    "backward twice": backward_twice, "second derivative": second_derivative, "inputs untouched": untouched,
    "frozen inputs": frozen, "empty batch": empty, "one class": one_class, "one sample": one_sample,
    "a single sample": single, "ragged row": ragged, "float32 loss": float32_loss, "same bits": same_bits,
    "strided upstream": strided_upstream, "no_grad": no_grad, "NaN row": nan_row, "ignored rows": ignored,
    "all ignored": all_ignored, "narrow targets": narrow_targets, "strided targets": strided_targets,
    "impossible target": impossible_target, "late start": late_start, "all masked": all_masked,
    "target masked": target_masked, "equal rows": equal_rows, "changing constants": changing_constants,
    "loss scaling": loss_scaling,
}  # fmt: skip

_CLASS = ("ignored rows", "all ignored", "narrow targets", "strided targets", "impossible target", "all masked",
          "target masked")  # fmt: skip
ONLY: dict[str, Callable[[Subject], bool]] = {
    **{name: lambda subject: subject.has_class for name in _CLASS},
    "late start": lambda subject: subject.name in ("cross_entropy", "focal", "gce", "poly1", "brier"),
    "one class": lambda subject: subject.kind != "element",
    "a single sample": lambda subject: subject.kind != "element",
    "equal rows": lambda subject: subject.kind == "pair",
    "changing constants": lambda subject: bool(subject.constants),
}
"""For which losses a trap makes sense; the others are for all."""

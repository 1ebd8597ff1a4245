"""What only a device can break: equal bits, graphs that are recorded, tensors of more than 2^31 numbers."""

from __future__ import annotations

import torch
from eager import EAGER
from torch import Tensor

import glo_dsl as glo
from on_gpu.cases import Case
from on_gpu.judge import Truth, truth_of
from on_gpu.setting import Result, Results, Setting
from on_gpu.steps import recorded

CLASSES = (10, 1000, 16384, 131072)
BEYOND = ((16400, 131072), (2**31 // 10 + 64, 10))
"""Rows and classes of more numbers than 32 bits count."""

CHECKED = 64
"""Rows at either end that are compared."""


def promises(setting: Setting) -> Results:
    for name in ("cross_entropy", "taylor3"):
        for classes in CLASSES[: setting.count(len(CLASSES))]:
            case = Case(glo.zoo[name], *setting.shape(512, classes))
            yield same_bits(setting, case)
            if not setting.rehearsal:
                yield in_a_graph(setting, case)
    for shape in BEYOND:
        yield huge(setting, Case(glo.zoo["cross_entropy"], *setting.shape(*shape)))
        setting.free()
    yield huge_elementwise(setting)


def said(case: str, problem: str) -> Result:
    return Result(case, figures={"right": not problem}, notes=[problem] if problem else [])


def same_bits(setting: Setting, case: Case) -> Result:
    """Twenty runs, while the device is free to order them as it likes."""
    fn, inputs = glo.compile(case.loss, "triton"), case.inputs(setting)
    value, gradients = fn.value_and_grad(*inputs)
    different = 0
    for _ in range(setting.count(20)):
        again, found = fn.value_and_grad(*inputs)
        different += not (torch.equal(again, value) and torch.equal(found["z"], gradients["z"]))
    return said(f"{case}: the same bits", f"{different} of 20 runs gave others" if different else "")


def in_a_graph(setting: Setting, case: Case) -> Result:
    """Recorded with one batch and replayed with another, by `value_and_grad` and by autograd."""
    fn, inputs, other = glo.compile(case.loss, "triton"), case.inputs(setting), case.inputs(setting, 1)
    leaf = inputs[0].clone().requires_grad_()
    kept: dict[str, tuple[Tensor, Tensor]] = {}

    def direct() -> None:
        value, gradients = fn.value_and_grad(*inputs)
        kept["direct"] = value, gradients["z"]

    def by_autograd() -> None:
        value = fn(leaf, *inputs[1:])
        kept["autograd"] = value.detach(), torch.autograd.grad(value, leaf)[0]

    graphs = [recorded(direct), recorded(by_autograd)]
    with torch.no_grad():
        for mine, new in zip(inputs, other):
            mine.copy_(new)
        leaf.copy_(other[0])
    for graph in graphs:
        graph.replay()
    setting.wait()
    value, gradients = fn.value_and_grad(*other)
    problems = [name for name, (v, g) in kept.items() if not (torch.equal(v, value) and torch.equal(g, gradients["z"]))]
    wrong = f"the replay gave other numbers by {' and '.join(problems)}" if problems else ""
    return said(f"{case}: recorded in a graph", wrong)


def huge(setting: Setting, case: Case) -> Result:
    """The first and the last rows of a batch compared with a batch of these alone."""
    fn, inputs = glo.compile(case.loss, "triton"), case.inputs(setting)
    each, gradients = fn.value_and_grad(*inputs, reduction="none")
    problems = []
    for place, rows in (("first", slice(None, CHECKED)), ("last", slice(-CHECKED, None))):
        part = [t[rows] for t in inputs]
        truth = truth_of(EAGER[case.loss.name], part)
        scaled = Truth(truth.value, [truth.gradients[0] * len(part[0])])  # of the sum, not of the mean
        problem = scaled.mistake((each[rows].mean(), [gradients["z"][rows]]), case.dtype)
        problems += [f"{place} rows: {problem}"] * bool(problem)
    return said(f"{case}: more than 2^31 numbers", "; ".join(problems))


def huge_elementwise(setting: Setting) -> Result:
    count = 1000 if setting.rehearsal else 2**31 + 1024
    p = torch.randn(count, dtype=torch.bfloat16, device=setting.device)
    y = torch.randn(count, dtype=torch.bfloat16, device=setting.device)
    each, gradients = glo.compile(glo.zoo["mse"], "triton").value_and_grad(p, y, reduction="none")
    problems = []
    for place, part in (("first", slice(None, 1024)), ("last", slice(-1024, None))):
        difference = p[part].float() - y[part].float()
        truth = Truth(difference**2, [2 * difference])
        problem = truth.mistake((each[part], [gradients["p"][part]]), torch.bfloat16)
        problems += [f"{place} numbers: {problem}"] * bool(problem)
    return said(f"mse of {count} numbers", "; ".join(problems))

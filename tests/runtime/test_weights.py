"""`sample_weight`: a sample with weight 2 is as good as two of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor

from glo_dsl.runtime.contract import CompiledLoss
from tests.runtime.conftest import example

Make = Callable[[str, str], CompiledLoss]
TARGETS = ["c", "torch", "triton"]
NAMES = ["cross_entropy", "per_weight", "kl", "huber"]


@settings(max_examples=12)
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_a_weight_repeats_its_sample(name: str, target: str, make: Make, data: st.DataObject) -> None:
    """Of all reductions; weight 0 leaves the sample out. A gradient of a repeated sample is that of all its copies."""
    fn = make(name, target)
    rows, classes = data.draw(st.sampled_from([1, 5, 40])), data.draw(st.sampled_from([3, 70]))
    classes = 3 if target == "triton" else classes  # the interpreter is slow
    times = torch.tensor(data.draw(st.lists(st.integers(0, 3), min_size=rows, max_size=rows)))
    inputs = example(fn, rows, classes)
    for place, entry in enumerate(fn.spec.inputs):
        if entry.kind == "class" and data.draw(st.booleans()):
            inputs[place][0] = -100
    reduction = data.draw(st.sampled_from(["mean", "sum", "none"]))
    origin = torch.arange(rows).repeat_interleave(times)
    repeated = [t if i.shared else t[origin] for i, t in zip(fn.spec.inputs, inputs)]
    layout = data.draw(st.sampled_from([times.float(), times.double(), times, torch.stack([times, times])[0].half()]))
    value, gradients = fn.value_and_grad(*inputs, sample_weight=layout, reduction=reduction)
    want, wanted = fn.value_and_grad(*repeated, reduction=reduction)
    if reduction == "none":
        want = torch.zeros(rows).index_add(0, origin, want)
    torch.testing.assert_close(value, want, rtol=1e-5, atol=1e-5, equal_nan=True)
    for mine, copies in zip(gradients.values(), wanted.values(), strict=True):
        total = torch.zeros_like(mine).index_add(0, origin, copies)
        torch.testing.assert_close(mine, total, rtol=1e-5, atol=1e-6, equal_nan=True)


@pytest.mark.parametrize("target", ["c", "torch"])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", NAMES)
def test_weights_have_gradients(name: str, reduction: str, target: str, make: Make) -> None:
    fn = make(name, target)
    inputs = [t.double().requires_grad_() if t.is_floating_point() else t for t in example(fn, 4, 3)]
    weight = torch.tensor([0.5, 2.0, 0.0, 1.0], dtype=torch.float64, requires_grad=True)
    free = [t for t in inputs if t.requires_grad]

    def call(weight: Tensor, *values: Tensor) -> Tensor:
        found = iter(values)
        given = [next(found) if t.requires_grad else t for t in inputs]
        return fn(*given, sample_weight=weight, reduction=reduction)

    assert torch.autograd.gradcheck(call, (weight, *free))
    assert torch.autograd.gradgradcheck(call, (weight, *free))


@pytest.mark.parametrize("target", TARGETS)
def test_by_autograd_and_without_it(target: str, make: Make) -> None:
    fn = make("cross_entropy", target)
    z, t = example(fn, 9, 4)
    weight = torch.rand(9)
    for reduction in ("mean", "sum", "none"):
        leaf = z.clone().requires_grad_()
        loss = fn(leaf, t, sample_weight=weight, reduction=reduction)
        value, gradients = fn.value_and_grad(z, t, sample_weight=weight, reduction=reduction)
        torch.testing.assert_close(loss.detach(), value)
        torch.testing.assert_close(torch.autograd.grad(loss.sum(), [leaf])[0], gradients["z"])


def test_it_broadcasts_over_the_samples(make: Make, cases: Any) -> None:
    z, t = torch.randn(2, 5, 3), torch.tensor([[0, 4, -100], [1, -100, 3]])
    fn, truth = make("cross_entropy", "c"), cases["cross_entropy"].truth(z, t, reduction="none")
    for weight in (torch.rand(2, 3), torch.rand(3), torch.rand(2, 1), torch.tensor(2.0), torch.rand(3, 2).T):
        torch.testing.assert_close(fn(z, t, sample_weight=weight, reduction="none"), truth * weight)
        want = (truth * weight).sum() / (weight.expand(2, 3) * (t != -100)).sum()
        torch.testing.assert_close(fn(z, t, sample_weight=weight), want)


def test_an_ignored_sample_is_ignored_whatever_it_weighs(make: Make) -> None:
    z, t = torch.randn(3, 4), torch.tensor([0, -100, 2])
    weight = torch.tensor([1.0, torch.nan, 2.0])
    fn = make("cross_entropy", "c")
    torch.testing.assert_close(fn(z, t, sample_weight=weight), fn(z[::2], t[::2], sample_weight=weight[::2]))


@pytest.mark.parametrize("classes", [4, 70])
@pytest.mark.parametrize("target", TARGETS)
def test_a_sample_without_weight_is_left_out_whatever_it_holds(target: str, classes: int, make: Make) -> None:
    z, t, weight = torch.randn(3, classes), torch.tensor([0, 1, 2]), torch.tensor([1.0, 0.0, 2.0])
    z[1, 0] = torch.nan
    fn = make("cross_entropy", target)
    value, gradients = fn.value_and_grad(z, t, sample_weight=weight)
    want, wanted = fn.value_and_grad(z[::2], t[::2], sample_weight=weight[::2])
    torch.testing.assert_close((value, gradients["z"][::2]), (want, wanted["z"]))
    assert not gradients["z"][1].any()
    value, gradients = make("huber", target).value_and_grad(z[:, 0], torch.zeros(3), sample_weight=weight)
    assert value.isfinite() and gradients["p"][1] == 0


@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3)])
def test_a_weight_that_does_not_fit(shape: tuple[int, ...], make: Make) -> None:
    with pytest.raises(ValueError, match=r"sample_weight has shape .* does not fit the samples: \(3,\)"):
        make("cross_entropy", "c")(torch.randn(3, 4), torch.tensor([0, 1, 2]), sample_weight=torch.ones(shape))


def test_a_module_takes_weights(make: Make) -> None:
    fn, weight = make("huber", "c"), torch.tensor([1.0, 3.0])
    p, y = torch.tensor([0.0, 3.0]), torch.zeros(2)
    torch.testing.assert_close(fn.module()(p, y, sample_weight=weight), fn(p, y, sample_weight=weight))

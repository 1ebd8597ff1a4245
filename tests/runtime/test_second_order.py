"""Derivatives of derivatives, against finite differences and PyTorch's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import glo_dsl as glo
from glo_dsl.runtime.contract import CompiledLoss

Make = Callable[[str, str], CompiledLoss]
NAMES = ["cross_entropy", "focal", "weighted", "per_weight", "kl", "huber"]


def leaves(fn: CompiledLoss, rows: int = 3, classes: int = 4) -> tuple[list[Tensor], dict[str, Tensor]]:
    """Small inputs and parameters in float64, all that can be differentiated requiring it; one row is ignored."""
    generator = torch.Generator().manual_seed(5)
    inputs = []
    for entry in fn.spec.inputs:
        shape = (rows,) * (not entry.shared) + (classes,) * entry.rows
        if entry.kind == "class":
            inputs.append(torch.tensor([1, -100, 3]))
        else:
            inputs.append(torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_())
    params = {n: torch.tensor(v, dtype=torch.float64).requires_grad_() for n, v in fn.spec.params}
    return inputs, params


@pytest.mark.parametrize("target", ["c", "torch"])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", NAMES)
def test_first_and_second_derivatives_are_those_of_finite_differences(
    name: str, reduction: str, target: str, make: Make
) -> None:
    fn = make(name, target)
    inputs, params = leaves(fn)
    free = [t for t in (*inputs, *params.values()) if t.requires_grad]

    def call(*values: Tensor) -> Tensor:
        found = iter(values)
        given = [next(found) if t.requires_grad else t for t in inputs]
        return fn(*given, reduction=reduction, **{n: next(found) for n in params})

    assert torch.autograd.gradcheck(call, free)
    assert torch.autograd.gradgradcheck(call, free)


@pytest.mark.parametrize("target", ["c", "torch", "triton"])
def test_a_gradient_penalty_trains_as_with_torch(target: str, make: Make, cases: Any) -> None:
    """Through a layer, in float32: what remains of the graph is the layer's, and the logits are gone."""
    generator = torch.Generator().manual_seed(2)
    x, t = torch.randn(6, 5, generator=generator), torch.randint(0, 4, (6,), generator=generator)

    def penalty(loss: Callable[..., Tensor], dtype: torch.dtype) -> list[Tensor]:
        weight = torch.linspace(-1, 1, 20, dtype=dtype).reshape(4, 5).requires_grad_()
        points = x.to(dtype).requires_grad_()
        value = loss(points @ weight.T, t)
        (slope,) = torch.autograd.grad(value, [points], create_graph=True)
        total = value + slope.square().sum()
        return [total.detach(), *torch.autograd.grad(total, [weight, points])]

    for mine, want in zip(penalty(make("focal", target), torch.float32),
                          penalty(cases["focal"].truth, torch.float64), strict=True):  # fmt: skip
        torch.testing.assert_close(mine.double(), want, rtol=2e-5, atol=1e-6)


def test_third_derivatives(make: Make, cases: Any) -> None:
    t = torch.tensor([0, 2])

    def third(loss: Callable[..., Tensor]) -> Tensor:
        z = torch.tensor([[0.3, -1.0, 2.0], [0.0, 1.0, -0.5]], dtype=torch.float64, requires_grad=True)
        value: Tensor = loss(z, t)
        for _ in range(3):
            (slope,) = torch.autograd.grad(value, [z], create_graph=True)
            value = slope.pow(2).sum()
        return slope.detach()

    torch.testing.assert_close(third(make("focal", "c")), third(cases["focal"].truth), rtol=1e-9, atol=1e-11)


def test_what_is_stopped_stays_stopped() -> None:
    """`stop(p) * z^2` has the slope 2 p z and, by z again, 2 p: as if p, which is exp(z), were a number."""
    fn = glo.compile(glo.loads("loss f(z: real) = stop(exp(z)) * square(z)")["f"], "c")
    z = torch.tensor([0.5, -1.0], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(fn(z, reduction="sum"), [z], create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), [z])
    torch.testing.assert_close(slope, 2 * z.exp() * z)
    torch.testing.assert_close(curvature, 2 * z.detach().exp())


def test_an_input_changed_in_place_is_noticed(make: Make) -> None:
    z = torch.randn(3, 4, requires_grad=True)
    logits = z * 2
    loss = make("cross_entropy", "c")(logits, torch.tensor([0, 1, 2]))
    logits.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        torch.autograd.grad(loss, [z], create_graph=True)

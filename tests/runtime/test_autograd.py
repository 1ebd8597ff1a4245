"""What the backward pass owes its caller: graphs kept and used twice, learnable constants, no memory held in vain."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from glo_dsl.runtime.contract import CompiledLoss

Make = Callable[[str, str], CompiledLoss]
TARGETS = ["c", "torch", "triton"]


def batch(rows: int = 6, classes: int = 5, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(rows, classes, generator=generator)
    return z, torch.randint(0, classes, (rows,), generator=generator)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_backward_twice_through_a_kept_graph(target: str, reduction: str, make: Make) -> None:
    z, t = batch()
    z.requires_grad_()
    loss = make("cross_entropy", target)(z, t, reduction=reduction)
    want = F.cross_entropy(z, t, reduction=reduction)
    for factor in (3.0, -0.5, 1.0):
        above = torch.full_like(loss, factor)
        (mine,) = torch.autograd.grad(loss, [z], above, retain_graph=True)
        torch.testing.assert_close(mine, torch.autograd.grad(want, [z], above, retain_graph=True)[0])


@pytest.mark.parametrize("target", TARGETS)
def test_gradients_accumulate_over_backward_passes(target: str, make: Make) -> None:
    z, t = batch()
    z.requires_grad_()
    loss = make("cross_entropy", target)(z, t)
    loss.backward(retain_graph=True)
    loss.backward(retain_graph=True)
    loss.backward()
    make("cross_entropy", target)(z, t).backward()
    (once,) = torch.autograd.grad(F.cross_entropy(z, t), [z])
    assert z.grad is not None
    torch.testing.assert_close(z.grad, 4 * once)


@pytest.mark.parametrize("target", ["c", "torch"])
def test_changing_a_gradient_in_place_never_changes_the_next_one(target: str, make: Make) -> None:
    """The usual upstream gradient 1 hands out what the kernel wrote: PyTorch notices when that is overwritten."""
    z, t = batch()
    z.requires_grad_()
    loss = make("cross_entropy", target)(z, t)
    (first,) = torch.autograd.grad(loss, [z], retain_graph=True)
    kept = first.clone()
    first.mul_(100)
    try:
        (second,) = torch.autograd.grad(loss, [z])
    except RuntimeError as error:
        assert "inplace" in str(error)
    else:
        torch.testing.assert_close(second, kept)


@pytest.mark.parametrize("target", TARGETS)
def test_only_the_inputs_that_ask_get_a_gradient(target: str, make: Make) -> None:
    teacher, student = batch(seed=1)[0], batch(seed=2)[0]
    fn = make("kl", target)
    whole = [teacher.clone().requires_grad_(), student.clone().requires_grad_()]
    both = torch.autograd.grad(fn(*whole), whole)
    for place in (0, 1):
        inputs = [teacher.clone(), student.clone()]
        inputs[place].requires_grad_()
        fn(*inputs).backward()
        torch.testing.assert_close(inputs[place].grad, both[place])
        assert inputs[1 - place].grad is None


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_a_learnable_parameter_has_the_gradient_of_torch(
    target: str, shape: tuple[int, ...], reduction: str, make: Make
) -> None:
    p, y = torch.tensor([0.0, 3.0, -1.0, 0.2]), torch.zeros(4)
    delta = torch.nn.Parameter(torch.full(shape, 0.5))
    make("huber", target)(p, y, delta=delta, reduction=reduction).sum().backward()
    scale = 4 if reduction == "mean" else 1
    assert delta.grad is not None and delta.grad.shape == shape
    assert delta.grad.item() == pytest.approx((2.5 + 0.5) / scale)  # beyond delta: |r| - delta


@pytest.mark.parametrize("target", ["c", "torch"])
def test_the_gradient_reaches_what_a_parameter_is_computed_from(target: str, make: Make) -> None:
    z, t = batch()
    raw = torch.tensor(0.3, requires_grad=True)
    fn = make("focal", target)
    fn(z, t, gamma=raw.exp()).backward()
    (by_gamma,) = fn.value_and_grad(z, t, wrt=["gamma"], gamma=raw.exp())[1].values()
    torch.testing.assert_close(raw.grad, by_gamma * raw.detach().exp())


@pytest.mark.parametrize("target", TARGETS)
def test_shared_class_weights_have_a_gradient(target: str, make: Make, cases: Any) -> None:
    z, t = batch(rows=9)
    w = torch.rand(5, requires_grad=True)
    (mine,) = torch.autograd.grad(make("weighted", target)(z, t, w, reduction="sum"), [w])
    (want,) = torch.autograd.grad(cases["weighted"].truth(z, t, w, reduction="sum"), [w])
    torch.testing.assert_close(mine, want)


@pytest.mark.parametrize("target", TARGETS)
def test_the_graph_ends_where_it_may(target: str, make: Make) -> None:
    z, t = batch()
    fn = make("cross_entropy", target)
    assert not fn(z, t).requires_grad
    with torch.no_grad():
        assert not fn(z.clone().requires_grad_(), t).requires_grad
    with torch.inference_mode():
        assert fn(z, t).isfinite()
    assert fn(z.clone().requires_grad_(), t).requires_grad


def test_the_logits_are_held_for_a_second_derivative_and_no_longer(make: Make) -> None:
    leaf, t = batch()
    leaf.requires_grad_()
    logits = leaf * 2
    alive = weakref.ref(logits)
    loss = make("cross_entropy", "c")(logits, t)
    del logits
    gc.collect()
    assert alive() is not None
    loss.backward()
    gc.collect()
    assert alive() is None and loss > 0
    torch.testing.assert_close(leaf.grad, torch.autograd.grad(F.cross_entropy(leaf * 2, t), [leaf])[0])


def test_gradcheck(make: Make) -> None:
    z, t = batch()
    gamma = torch.tensor(1.7, dtype=torch.float64, requires_grad=True)
    for target in ("c", "torch"):
        fn = make("focal", target)
        inputs = (z.double().requires_grad_(), gamma)
        assert torch.autograd.gradcheck(lambda a, g, fn=fn: fn(a, t, gamma=g, reduction="none"), inputs)


@pytest.mark.parametrize("target", ["c", "torch"])
def test_value_and_grad_gives_the_prediction_s_gradient_unless_told_otherwise(target: str, make: Make) -> None:
    z, t = batch()
    fn = make("focal", target)
    assert list(fn.value_and_grad(z, t)[1]) == ["z"]
    assert list(fn.value_and_grad(z, t, wrt=["gamma", "z"])[1]) == ["gamma", "z"]
    assert fn.value_and_grad(z, t, wrt=[])[1] == {}
    with pytest.raises(ValueError, match=r"focal has no gradient for t; it has: z, gamma"):
        fn.value_and_grad(z, t, wrt=["t"])


@pytest.mark.parametrize("target", TARGETS)
def test_an_input_keeps_its_contents(target: str, make: Make) -> None:
    z, t = batch()
    before = z.clone()
    make("cross_entropy", target)(z.requires_grad_(), t).backward()
    assert torch.equal(z, before)

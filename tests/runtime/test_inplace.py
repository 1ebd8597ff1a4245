"""A gradient in the memory of the logits: the same numbers, less memory, and nobody uses what is gone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

import glo_dsl as glo
from glo_codegen.plan import overwritable
from glo_dsl.passes.pipeline import whole_program

TARGETS = ["c", "triton", "torch"]
LOSSES = ["cross_entropy", "focal", "brier", "taylor3"]

TWO = glo.loads("loss two(q: real[C], p: real[C], t: class[C]) = sum((q - p) ^ 2) - log_softmax(p)[t]")["two"]


def batch(shape: tuple[int, ...] = (7, 33), dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(0)
    z, t = torch.randn(shape, generator=g).to(dtype), torch.randint(0, shape[1], (shape[0], *shape[2:]), generator=g)
    t.view(-1)[1] = -100
    return z, t


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("shape", [(7, 33), (40, 5), (3, 100), (2, 5, 3, 4)], ids=str)
def test_the_numbers_are_the_same(name: str, target: str, shape: tuple[int, ...]) -> None:
    fn, (z, t) = glo.compile(glo.zoo[name], target), batch(shape)
    with np.errstate(all="ignore"):  # Triton's interpreter computes lanes beyond the row
        value, wanted = fn.value_and_grad(z, t)
        mine, found = fn.value_and_grad(z.clone(), t, inplace=True)
        given = z.clone().requires_grad_()
        loss = fn(given, t, inplace=True)
    assert torch.equal(mine, value) and torch.equal(found["z"], wanted["z"])
    assert torch.equal(loss, value)
    (gradient,) = torch.autograd.grad(loss, given, torch.tensor(2.0), retain_graph=True)
    (again,) = torch.autograd.grad(loss, given, torch.tensor(2.0))
    torch.testing.assert_close(gradient, 2 * wanted["z"])
    assert torch.equal(gradient, again)


@pytest.mark.parametrize("target", ["c", "triton"])
@pytest.mark.parametrize("shape", [(7, 33), (2, 5, 3, 4)], ids=str)
def test_no_second_tensor_is_made(target: str, shape: tuple[int, ...]) -> None:
    fn, (z, t) = glo.compile(glo.zoo["cross_entropy"], target), batch(shape)
    _, found = fn.value_and_grad(z, t, inplace=True)
    assert found["z"].data_ptr() == z.data_ptr() and found["z"].stride() == z.stride()


@pytest.mark.parametrize("target", ["c", "triton"])
def test_where_it_cannot_be_the_gradient_is_a_tensor_of_its_own(target: str) -> None:
    fn = glo.compile(glo.zoo["cross_entropy"], target)
    z, t = batch()
    for other in (z[:, ::2].clone()[:, :], z.t().contiguous().t(), z[:1].expand(7, -1)):
        _, wanted = fn.value_and_grad(other.clone(), t.clamp(max=5))
        _, found = fn.value_and_grad(other, t.clamp(max=5), inplace=True)
        torch.testing.assert_close(found["z"], wanted["z"])
    half = z.bfloat16()
    _, found = fn.value_and_grad(half, t, inplace=True)
    assert (found["z"].data_ptr() == half.data_ptr()) == (target == "triton")


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", ["cross_entropy", "distillation", "two"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_what_a_loss_says_of_it_is_true(name: str, target: str, dtype: torch.dtype) -> None:
    fn, (z, t) = glo.compile(TWO if name == "two" else glo.zoo[name], target), batch(dtype=dtype)
    inputs = [t.clamp(min=0) if e.kind == "class" else torch.softmax(z + n, -1) for n, e in enumerate(fn.spec.inputs)]
    given = next(n for n, e in enumerate(fn.spec.inputs) if e.kind == "real")
    for wrt in ([], *([e.name] for e in fn.spec.inputs if e.kind == "real" and e.rows)):
        mine = [i.clone() for i in inputs]
        said = fn.overwritten([i[:1].clone() for i in mine], wrt)
        _, found = fn.value_and_grad(*mine, wrt=wrt, inplace=True)
        taken = [e.name for e, i in zip(fn.spec.inputs, mine)
                 if e.name in found and found[e.name].data_ptr() == i.data_ptr()]  # fmt: skip
        assert taken == ([] if said is None else [said])
        assert said in (None, fn.spec.inputs[given].name)


def test_an_input_that_another_one_shares_is_left_alone() -> None:
    fn = glo.compile(glo.zoo["mse"])
    p = torch.randn(5)
    before = p.clone()
    fn.value_and_grad(p, p, inplace=True)
    kl = glo.compile(glo.zoo["jensen_shannon"])
    row = torch.randn(4, 3)
    kept = row.clone()
    kl.value_and_grad(row, row, inplace=True)
    assert torch.equal(p, before) and torch.equal(row, kept)


def test_a_loss_that_reads_its_logits_again_keeps_them() -> None:
    """The streaming kernel's last pass is not the one that stores this gradient."""
    program = whole_program(glo.zoo["distillation"])
    assert overwritable(program) == ("v",)
    assert overwritable(whole_program(glo.zoo["cross_entropy"])) == ("z",)
    assert overwritable(whole_program(glo.zoo["nll"])) == ()  # its one load at a class is in the pass that stores


def test_who_uses_the_values_is_told() -> None:
    fn = glo.compile(glo.zoo["cross_entropy"])
    z, t = batch()
    leaf = z.clone().requires_grad_()
    hidden = leaf * 1.0
    squared = hidden.square().sum()
    loss = fn(hidden, t, inplace=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        squared.backward()
    loss.backward()


def test_it_is_differentiable_once() -> None:
    fn = glo.compile(glo.zoo["cross_entropy"])
    z, t = batch()
    leaf = z.clone().requires_grad_()
    with pytest.raises(RuntimeError, match="computed in place cannot be differentiated"):
        torch.autograd.grad(fn(leaf * 1.0, t, inplace=True), leaf, create_graph=True)


def test_a_module_can_too() -> None:
    module = glo.compile(glo.zoo["cross_entropy"]).module(inplace=True)
    z, t = batch()
    want = torch.nn.functional.cross_entropy(z, t)
    torch.testing.assert_close(module(z.clone().requires_grad_() * 1.0, t).detach(), want)

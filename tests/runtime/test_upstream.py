"""The upstream gradient on a device: a kernel that leaves at once where it is 1, and what may be changed in place."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import glo_dsl as glo
from glo_dsl.runtime import autograd, upstream


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("shape", [(0,), (5,), (3, 2000), (2, 3, 5)], ids=str)
def test_a_gradient_is_scaled_where_it_is(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    values = torch.randn(shape).to(dtype)
    for factor in (1.0, -3.0, 0.1):
        gradient = values.clone()
        assert upstream.scaled_in_place(gradient, torch.tensor(factor)) is gradient
        within = {"rtol": 2**-7 if dtype == torch.bfloat16 else 0, "atol": 0}  # Triton's interpreter cuts bits off
        torch.testing.assert_close(gradient, (values.float() * factor).to(dtype), **within)
    if len(shape) == 3:
        turned = values.transpose(1, 2).contiguous().transpose(1, 2)
        torch.testing.assert_close(upstream.scaled_in_place(turned, torch.tensor(2.0)), values * 2)


def test_a_factor_of_1_touches_nothing() -> None:
    """A signalling pattern of bits would come back changed from any arithmetic."""
    bits = torch.tensor([0x7F81], dtype=torch.int32).to(torch.int16)
    upstream.scaled_in_place(bits.view(torch.bfloat16), torch.tensor(1.0))
    assert int(bits) == 0x7F81


@pytest.fixture
def scaled(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """The CPU taken for a device; the gradients that were scaled in place."""
    seen: list[Tensor] = []

    def record(gradient: Tensor, factor: Tensor) -> Tensor:
        seen.append(gradient)
        return upstream.scaled_in_place(gradient, factor)

    monkeypatch.setattr(autograd, "on_device", lambda _: True)
    monkeypatch.setattr(autograd, "scaled_in_place", record)
    return seen


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_last_backward_changes_what_was_kept_and_no_other_does(reduction: str, scaled: list[Tensor]) -> None:
    fn = glo.compile(glo.zoo["focal"])
    z, t = torch.randn(6, 3, requires_grad=True), torch.randint(0, 3, (6,))
    gamma = torch.tensor(1.5, requires_grad=True)
    plain = glo.compile(glo.zoo["focal"], "torch")
    want = torch.autograd.grad(plain(z, t, gamma=gamma, reduction="none").sum() * 3, [z, gamma])
    want = tuple(g / 6 for g in want) if reduction == "mean" else want
    assert not scaled
    loss = fn(z, t, gamma=gamma, reduction=reduction)
    for n in range(3):
        found = torch.autograd.grad(loss, [z, gamma], torch.tensor(3.0), retain_graph=n < 2)
        torch.testing.assert_close(found, want)
        assert len(scaled) == (2 if n == 2 else 0)


def test_a_derivative_of_a_derivative_keeps_everything(scaled: list[Tensor]) -> None:
    fn = glo.compile(glo.zoo["cross_entropy"])
    z, t = torch.randn(6, 3, dtype=torch.float64, requires_grad=True), torch.randint(0, 3, (6,))
    assert torch.autograd.gradgradcheck(lambda z: fn(z, t), z)
    (first,) = torch.autograd.grad(fn(z, t), z, create_graph=True)
    assert first.requires_grad


def test_samples_of_their_own_have_factors_of_their_own(scaled: list[Tensor]) -> None:
    fn = glo.compile(glo.zoo["cross_entropy"])
    z, t, above = torch.randn(6, 3, requires_grad=True), torch.randint(0, 3, (6,)), torch.randn(6)
    (mine,) = torch.autograd.grad(fn(z, t, reduction="none"), z, above)
    (want,) = torch.autograd.grad(torch.nn.functional.cross_entropy(z, t, reduction="none"), z, above)
    torch.testing.assert_close(mine, want)
    assert not scaled

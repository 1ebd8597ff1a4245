"""A loss as `torch.nn.Module`."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch

from glo_dsl.runtime.contract import CompiledLoss

Make = Callable[[str, str], CompiledLoss]
P, Y = torch.tensor([0.0, 3.0, -1.0, 0.2]), torch.zeros(4)


def test_it_computes_what_the_function_does(make: Make) -> None:
    fn = make("huber", "c")
    for options in ({"reduction": "sum"}, {"reduction": "none", "delta": 0.5}):
        torch.testing.assert_close(fn.module(**options)(P, Y), fn(P, Y, **options))
    z, t = torch.randn(3, 2, 5), torch.tensor([[0, 1, 7], [1, 7, 0]]).T
    fn = make("cross_entropy", "c")
    module = fn.module(ignore_index=7, dim=-1)
    torch.testing.assert_close(module(z.permute(0, 1, 2), t.clone()), fn(z, t, dim=-1, ignore_index=7))


def test_training_moves_a_learnable_parameter_and_no_other(make: Make) -> None:
    module = make("huber", "c").module(learnable=["delta"], delta=0.5)
    assert [name for name, _ in module.named_parameters()] == ["param_delta"]
    assert not list(make("huber", "c").module(delta=0.5).parameters())
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    losses = []
    for _ in range(5):
        optimizer.zero_grad()
        losses.append(loss := module(P, Y))
        loss.backward()
        optimizer.step()
    assert module.param_delta.item() < 0.5 and losses[-1] < losses[0]


def test_state_travels(make: Make) -> None:
    fn = make("huber", "c")
    module, other = fn.module(learnable=["delta"], delta=0.25), fn.module(learnable=["delta"])
    assert list(module.state_dict()) == ["param_delta"]
    other.load_state_dict(module.state_dict())
    torch.testing.assert_close(other(P, Y), fn(P, Y, delta=0.25))
    assert other.to(torch.float64).param_delta.dtype == torch.float64
    copied = copy.deepcopy(other)
    assert copied.fn is other.fn and copied.param_delta is not other.param_delta
    torch.testing.assert_close(copied(P, Y), fn(P, Y, delta=0.25))


def test_it_says_what_it_is(make: Make) -> None:
    text = repr(make("huber", "c").module(reduction="sum", delta=0.5))
    for part in ("huber(p, y, delta=1)", "reduction='sum'", "delta=0.5", "learnable=[]"):
        assert part in text


def test_wrong_arguments_are_refused_when_it_is_made(make: Make) -> None:
    fn = make("huber", "c")
    with pytest.raises(TypeError, match="huber has no parameter gamma"):
        fn.module(gamma=1.0)
    with pytest.raises(TypeError, match="huber has no parameter gamma"):
        fn.module(learnable=["gamma"])
    with pytest.raises(ValueError, match="reduction must be one of"):
        fn.module(reduction="average")

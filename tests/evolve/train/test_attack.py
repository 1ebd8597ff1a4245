"""Attacks that can be worked out by hand, and what they must not touch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import glo_dsl as glo
from glo_dsl.evolve.kernels import build_candidates
from glo_dsl.evolve.tasks.task import Recipe, Task
from glo_dsl.evolve.train import feed
from glo_dsl.evolve.train.attack import attacked
from glo_dsl.evolve.train.stack import Stack, drawn
from glo_dsl.evolve.train.unit import Job, Rungs, train

LABELS = torch.tensor([0, 1, 2, 1])


def task(model: Callable[[], nn.Module], metric: Literal["accuracy", "r2"] = "accuracy", outputs: int = 3) -> Task:
    x = torch.randn(60, 5, generator=torch.Generator().manual_seed(1))
    t: Tensor = torch.arange(60) % 3
    if metric == "accuracy":
        x += 2 * F.one_hot(t, 5)
    else:
        t = x @ torch.tensor([1.0, -2.0, 0.5, 0.0, 1.0])
    parts = (x, t), (x[:30], t[:30]), (x[30:], t[30:])
    return Task("points", *parts, outputs, model, Recipe(0.3, 16, 12), metric)


def linear(outputs: int = 3) -> nn.Module:
    return nn.Linear(5, outputs)


@given(seed=st.integers(0, 2**31), size=st.floats(1e-3, 2))
def test_a_linear_classifier_loses_all_that_a_step_can_take(seed: int, size: float) -> None:
    """Its lead falls by the step times the sum of the sizes of the difference of two rows."""
    which, networks = task(linear), drawn(linear, [seed, seed + 1])
    stack, x = Stack(networks, torch.zeros(2, 5)), torch.randn(4, 5, generator=torch.Generator().manual_seed(seed))
    found = attacked(which, stack, x, LABELS, size)
    assert found.shape == (2, 4, 5) and not found.requires_grad
    for place, network in enumerate(networks):
        assert isinstance(network, nn.Linear)
        z = network(x).detach()
        rival = z.scatter(1, LABELS[:, None], -torch.inf).argmax(1)
        difference = network.weight[rival] - network.weight[LABELS]
        torch.testing.assert_close(found[place], (x + size * difference.sign()).detach())


def test_a_value_is_driven_away_from_what_it_should_be() -> None:
    which = task(lambda: linear(1), "r2", 1)
    (network,) = drawn(which.model, [0])
    assert isinstance(network, nn.Linear)
    stack, (x, y) = Stack([network], torch.zeros(2, 5)), which.validation
    (found,) = attacked(which, stack, x, y, 0.25)
    before, after = ((network(v)[:, 0] - y).abs() for v in (x, found))
    torch.testing.assert_close(after, before + 0.25 * network.weight.abs().sum())


def test_nobody_hides_behind_large_logits() -> None:
    """Softmax is one-hot to the last bit here, and the gradient of cross-entropy exactly 0."""
    which, networks = task(linear), drawn(linear, [0])
    x, _ = which.validation
    with torch.no_grad():
        for parameter in networks[0].parameters():
            parameter.mul_(1e6)
        t = networks[0](x).argmax(1)  # all right so far
    x.requires_grad_()
    (slope,) = torch.autograd.grad(F.cross_entropy(networks[0](x), t), x)
    assert float(slope.abs().max()) == 0
    found = attacked(which, Stack(networks, torch.zeros(2, 5)), x.detach(), t, 0.5)
    assert float((networks[0](found[0]).argmax(1) == t).double().mean()) < 0.9


def mixed() -> nn.Module:
    """No chain of dense layers, and one that keeps what it saw while it was trained."""
    return nn.Sequential(nn.Unflatten(1, (1, 5)), nn.Conv1d(1, 4, 3), nn.BatchNorm1d(4), nn.Flatten(), nn.Linear(12, 3))


@pytest.mark.parametrize("model", [linear, mixed])
def test_to_be_attacked_changes_no_training(model: Callable[[], nn.Module], monkeypatch: pytest.MonkeyPatch) -> None:
    """Clean metrics are the same to the last bit; attacked ones are no better, and the same in pieces."""
    which = task(model)
    losses = build_candidates([glo.zoo["cross_entropy"], glo.zoo["brier"]])
    jobs, rungs = [Job(c, 0.3) for c in losses], Rungs((0.5, 1.0), 1.0)
    plain = train(which, jobs, [3, 4], which.validation, rungs)
    harmed = train(which, jobs, [3, 4], which.validation, rungs, attack=0.4)
    monkeypatch.setattr(feed, "AT_ONCE", 700)
    assert train(which, jobs, [3, 4], which.validation, rungs, attack=0.4) == harmed
    worse = 0
    for one, other in zip(plain, harmed, strict=True):
        for before, after in zip(one, other, strict=True):
            assert (before.metric, before.steps, before.attacked) == (after.metric, after.steps, ())
            worse += sum(after.attacked) < sum(after.metric)
            assert all(a <= m for a, m in zip(after.attacked, after.metric, strict=True))
    assert worse == 4


def test_a_network_that_has_diverged_has_no_robustness_either() -> None:
    which = task(linear)
    wild = glo.loads("loss wild(z: real[C], t: class[C]) = -exp(z[t] * 40)")["wild"]
    (scores,) = train(which, [Job(build_candidates([wild])[0], 1e6)], [1], which.validation, attack=0.1)
    assert scores[-1].metric[0] != scores[-1].metric[0] and scores[-1].attacked[0] != scores[-1].attacked[0]

"""Networks computed together against the same networks one by one."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from glo_dsl.evolve.train.dense import chain
from glo_dsl.evolve.train.stack import Stack, chance, drawn


class Residual(nn.Module):
    """A network that is no chain."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(x + torch.relu(self.first(x)))


class Choosy(Residual):
    """A network that looks at numbers to decide what to do, which no transform can follow."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x if x.sum().item() > 0 else -x)


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "chain": (lambda: nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 4, bias=False), nn.GELU()), (6,)),
    "flattened": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(6, 3)), (2, 3)),
    "residual": (Residual, (6,)),
    "choosy": (Choosy, (6,)),
    "sequence": (lambda: nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)), (5, 3)),
    "convolution": (
        lambda: nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 3)), (1, 6, 6)
    ),
    "normed": (lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten()), (1, 4, 4)),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("shared", [False, True])
def test_outputs_and_gradients(name: str, shared: bool) -> None:
    make, shape = NETWORKS[name]
    networks = drawn(make, [1, 2, 3])
    alone = copy.deepcopy(networks)
    g = torch.Generator().manual_seed(0)
    x = torch.randn(*([] if shared else [3]), 8, *shape, generator=g)
    stack = Stack(networks, x[:2] if shared else x[0, :2])
    assert bool(stack.why_single) == (name == "choosy")
    outputs = stack(x)
    above = torch.randn(outputs.shape, generator=g)
    found = torch.autograd.grad(outputs, list(stack.parameters.values()), above)
    for n, network in enumerate(alone):
        want = network.train()(x if shared else x[n])
        torch.testing.assert_close(outputs[n], want)
        wanted = torch.autograd.grad(want, list(network.parameters()), above[n])
        for (key, _), gradient, expected in zip(network.named_parameters(), found, wanted):
            mine = gradient[n]
            if chain(network, 1 + len(shape)):
                mine = mine.T if key.endswith("weight") else mine[0]
            torch.testing.assert_close(mine, expected)
        for key, buffer in network.named_buffers():  # what BatchNorm has counted, once
            torch.testing.assert_close(stack.buffers[key][n], buffer)
        torch.testing.assert_close(stack(x, training=False)[n], network.eval()(x if shared else x[n]))


def test_a_network_that_cannot_be_stacked_says_why() -> None:
    stack = Stack(drawn(Choosy, [1, 2]), torch.ones(2, 6))
    assert stack.why_single.startswith("Choosy cannot be stacked: ") and "item()" in stack.why_single


def test_a_network_that_is_something_else_when_stacked_is_not_stacked() -> None:
    class Counting(Residual):
        """Its output depends on how often it has been called."""

        calls = 0

        def forward(self, x: Tensor) -> Tensor:
            self.calls += 1
            return super().forward(x) * self.calls

    assert "something else" in Stack(drawn(Counting, [1, 2]), torch.ones(2, 6)).why_single


def test_some_go_on() -> None:
    stack, x = Stack(drawn(Residual, [1, 2, 3]), torch.ones(2, 6)), torch.randn(4, 6)
    before = stack(x, training=False)
    stack.only(torch.tensor([2, 0]))
    assert len(stack) == 2
    assert torch.equal(stack(x, training=False), before[[2, 0]])


def test_weights_follow_from_the_seed_and_leave_the_global_generator_alone() -> None:
    torch.manual_seed(5)
    want = torch.rand(3)
    torch.manual_seed(5)
    first, again, other = drawn(Residual, [1, 1, 2])
    assert torch.equal(torch.rand(3), want)
    assert torch.equal(first.first.weight, again.first.weight)  # type: ignore[union-attr]
    assert not torch.equal(first.first.weight, other.first.weight)  # type: ignore[union-attr]


def test_dropout_follows_from_the_seed_and_differs_between_networks() -> None:
    network = nn.Sequential(nn.Linear(6, 30), nn.Dropout(0.5))
    found = []
    for _ in range(2):
        stack = Stack([network] * 3, torch.ones(2, 6))
        with chance(network, 7):
            found.append(stack(torch.ones(4, 6)))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0][0] == 0, found[0][1] == 0)


def test_layers_that_are_shared_or_changed_are_no_chain() -> None:
    layer = nn.Linear(3, 3)
    shared = nn.Sequential(layer, nn.Tanh(), layer)
    assert not chain(shared, 2) and not chain(nn.Sequential(nn.Linear(3, 3), nn.Softmax(-1)), 2)
    assert not chain(nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(3, 3))), 2)
    other, x = copy.deepcopy(shared), torch.randn(4, 3)
    stack = Stack([shared], torch.ones(2, 3))
    for _ in range(2):
        torch.testing.assert_close(stack(x)[0], other(x))

"""Derivatives of whole trainings: against differences, against forward mode, and what may not disturb them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import hypothesis.strategies as st
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from torch import Generator, Tensor, nn
from torch.func import functional_call, grad, jvp

import glo_dsl as glo
from glo_dsl.evolve.funnel import Funnel
from glo_dsl.evolve.kernels import build_candidates
from glo_dsl.evolve.tasks.task import Part, Recipe, Task
from glo_dsl.evolve.train import slopes as module
from glo_dsl.evolve.train.feed import batches
from glo_dsl.evolve.train.slopes import Slope, slopes, windows
from glo_dsl.evolve.train.stack import drawn
from glo_dsl.evolve.train.unit import Job, train
from glo_dsl.evolve.uphill import hill_of
from glo_dsl.lang.loss import Loss

LOSSES = glo.loads("""
loss mixed(z: real[C], t: class[C]; k = 0.7, e = 0.4) = -k * log_softmax(z)[t] + e * sum(softmax(z)^2)
loss robust(z: real[C], t: class[C]; q = 0.6 in [0.1, 1]) = (1 - softmax(z)[t] ^ q) / q
loss focus(t: class[C], z: real[C]; g = 1.5 in [0, 8]) = -(1 - 0.9 * softmax(z)[t]) ^ g * log_softmax(z)[t]
loss charbonnier(p: real, y: real; a = 0.8, s = 1.5) = a * (sqrt(1 + (p - y)^2 / s^2) - 1)
loss wild(z: real[C], t: class[C]; k = 40) = -exp(z[t] * k)
""")
RECIPES = [
    Recipe(0.4, 8, 6),
    Recipe(0.2, 8, 6, momentum=0.9, weight_decay=0.02, schedule="cosine"),
    Recipe(0.05, 8, 6, "adamw", weight_decay=0.1, schedule="steps", at=(0.5,)),
]


def points(dtype: torch.dtype = torch.float64) -> Part:
    g = Generator().manual_seed(1)
    target = torch.arange(36) % 3
    return torch.randn(36, 4, generator=g, dtype=dtype) + F.one_hot(target, 4), target


def task(recipe: Recipe, model: Callable[[], nn.Module] | None = None, dtype: torch.dtype = torch.float64) -> Task:
    x, t = points(dtype)
    x[:, 3] = 0  # weights that never have a gradient
    make = model or (lambda: nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).to(dtype))
    return Task("points", (x[:24], t[:24]), (x[24:], t[24:]), (x, t), 3, make, recipe)


def line(recipe: Recipe) -> Task:
    x, _ = points()
    y = x @ torch.tensor([1.0, -2.0, 0.5, 1.0], dtype=torch.float64)
    return Task("line", (x[:24], y[:24]), (x[24:], y[24:]), (x, y), 1, lambda: nn.Linear(4, 1).double(), recipe, "r2")


def at(loss: Loss, values: list[float]) -> Loss:
    return replace(loss, params=tuple(replace(p, default=v) for p, v in zip(loss.params, values)))


@settings(max_examples=8)
@given(
    st.sampled_from(["mixed", "robust", "focus", "charbonnier"]), st.sampled_from(RECIPES),
    st.lists(st.floats(0.3, 0.95), min_size=2, max_size=2), st.integers(0, 50),
)  # fmt: skip
def test_derivatives_are_those_of_the_whole_training(
    name: str, recipe: Recipe, values: list[float], seed: int
) -> None:  # fmt: skip
    loss = at(LOSSES[name], values)
    which = line(recipe) if name == "charbonnier" else task(recipe)

    def value(loss: Loss, rate: float) -> Tensor:
        found = [s.smooth for s in slopes(which, loss, rate, [seed, 7], which.validation)]
        return torch.tensor(found, dtype=torch.float64)

    found, h = slopes(which, loss, recipe.rate, [seed, 7], which.validation), 1e-5
    for k, param in enumerate(loss.params):
        ends = [[p.default + sign * h * (p is param) for p in loss.params] for sign in (1, -1)]
        above, below = (value(at(loss, end), recipe.rate) for end in ends)
        assert [s.by_constants[k] for s in found] == pytest.approx(((above - below) / 2 / h).tolist(), 1e-3, 1e-7)
    above, below = (value(loss, recipe.rate * math.exp(sign * h)) for sign in (1, -1))
    assert [s.by_rate for s in found] == pytest.approx(((above - below) / 2 / h).tolist(), 1e-3, 1e-7)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")  # PyTorch's own, in jvp
def test_backwards_is_as_forwards() -> None:
    """Against dual numbers through a training that anybody would write, momentum and all."""
    which, momentum = task(Recipe(0.3, 8, 7, momentum=0.8)), 0.8
    (network,) = drawn(which.model, [5])
    start = {name: p.detach() for name, p in network.named_parameters()}

    def reached(theta: Tensor) -> Tensor:
        def objective(weights: dict[str, Tensor], x: Tensor, t: Tensor) -> Tensor:
            z = functional_call(network, weights, (x,))
            chosen = z.log_softmax(-1).gather(-1, t[:, None])[:, 0]
            return (-theta[0] * chosen + theta[1] * z.softmax(-1).square().sum(-1)).mean()

        weights, velocity = start, {name: torch.zeros_like(p) for name, p in start.items()}
        for chosen in batches(which, 5):
            step = grad(objective)(weights, which.train[0][chosen], which.train[1][chosen])
            velocity = {name: momentum * v + step[name] for name, v in velocity.items()}
            weights = {name: w - 0.3 * velocity[name] for name, w in weights.items()}
        outputs = functional_call(network, weights, (which.validation[0],))
        return outputs.softmax(-1).gather(-1, which.validation[1][:, None]).mean()

    theta = torch.tensor([0.7, 0.4], dtype=torch.float64)
    (found,) = slopes(which, LOSSES["mixed"], 0.3, [5], which.validation)
    for k, direction in enumerate(torch.eye(2, dtype=torch.float64)):
        value, tangent = jvp(reached, (theta,), (direction,))
        assert found.smooth == pytest.approx(float(value)) and found.by_constants[k] == pytest.approx(float(tangent))


def test_the_metric_is_that_of_an_ordinary_training() -> None:
    which = task(RECIPES[1], dtype=torch.float32)
    (built,) = build_candidates([LOSSES["mixed"]])
    ((score,),) = train(which, [Job(built, 0.2)], [1, 2], which.validation)
    assert [s.metric for s in slopes(which, LOSSES["mixed"], 0.2, [1, 2], which.validation)] == list(score.metric)


def test_what_the_rate_takes_back_is_no_slope() -> None:
    """A factor before a loss changes nothing where the rate is divided by the scale of the gradient."""
    which, loss = task(RECIPES[0]), glo.loads("loss f(z: real[C], t: class[C]; k = 3) = -k * log_softmax(z)[t]")["f"]
    found = slopes(which, loss, 0.1, [1, 2], which.validation)
    rows = [(s.smooth, s.by_rate, *s.by_constants) for s in found]
    hill, steep = (hill_of(rows, 2, of_scale) for of_scale in (Funnel(3).slopes_of_scale(loss), (0.0,)))
    assert hill is not None and steep is not None
    assert abs(hill.slope[0]) < 1e-12 and abs(steep.slope[0]) > 1e-3


def test_one_that_diverges_has_no_slope_and_touches_no_other() -> None:
    def model() -> nn.Module:
        network = nn.Sequential(nn.Linear(4, 3)).double()
        if network[0].bias[0].item() > 0:  # type: ignore[union-attr,index]
            nn.init.constant_(network[0].weight, 1e308)  # type: ignore[arg-type]
        return network

    which = task(RECIPES[0], model)
    signs = [n[0].bias[0].item() > 0 for n in drawn(which.model, range(6))]  # type: ignore[index]
    assert 0 < sum(signs) < 6
    loss = glo.loads("loss f(z: real[C], t: class[C]; k = 0.1) = -log_softmax(z)[t] + k * sum(z^2)")["f"]
    together = slopes(which, loss, 0.1, range(6), which.validation)
    assert [s.usable for s in together] == [not math.isnan(s.metric) for s in together] == [not w for w in signs]
    good = [n for n, wild in enumerate(signs) if not wild]
    alone = slopes(which, loss, 0.1, good, which.validation)
    for n, one in zip(good, alone):
        assert together[n].by_constants == pytest.approx(one.by_constants, 1e-9)


class Noisy(nn.Module):
    """Draws while it trains, keeps a running mean, and outputs that grow with every batch that it has seen."""

    size: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Linear(6, 3)
        self.drop = nn.Dropout(0.3)
        self.register_buffer("size", torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        inner: Tensor = self.last(self.drop(torch.relu(self.norm(self.first(x)))))
        if self.training:
            self.size.mul_(1.1)
        return inner * self.size


def test_windows_are_run_again_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dropout, batch normalisation and augmentation: many windows come to the same as one that is never run again."""

    def shaken(x: Tensor, g: Generator) -> Tensor:
        return x + 0.3 * torch.randn(x.shape, generator=g, dtype=x.dtype)

    which = replace(task(RECIPES[1], lambda: Noisy().double()), augment=shaken)

    def found() -> list[Slope]:
        return slopes(which, LOSSES["mixed"], 0.2, [1, 2], which.validation)

    many = found()
    assert many == found()
    monkeypatch.setattr(module, "windows", lambda steps: [0, steps])
    for a, b in zip(many, found()):
        assert a.usable and (a.by_rate, *a.by_constants) == pytest.approx((b.by_rate, *b.by_constants), 1e-9)


class Once(torch.autograd.Function):
    """Its derivative has none."""

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def setup_context(ctx: object, inputs: object, output: object) -> None:
        pass

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: object, above: Tensor) -> Tensor:  # type: ignore[override]
        return above


class Simple(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = Once.apply(super().forward(x))
        return found


def test_a_network_that_cannot_be_differentiated_twice_is_told() -> None:
    which = task(RECIPES[0], lambda: nn.Sequential(Simple(4, 3)).double())
    with pytest.raises(
        glo.GloError, match=r"Sequential cannot be differentiated twice: .*once_differentiable"
    ) as error:
        slopes(which, LOSSES["mixed"], 0.1, [1, 2], which.validation)
    assert error.value.hint is not None and "cma" in error.value.hint


def test_other_troubles_are_not_called_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise RuntimeError("not enough memory")

    monkeypatch.setattr(module, "smooth_of", full)
    with pytest.raises(RuntimeError, match="not enough memory"):
        slopes(task(RECIPES[0]), LOSSES["mixed"], 0.1, [1], points())


@given(st.integers(1, 5000))
def test_windows_cover_all_steps(steps: int) -> None:
    edges = windows(steps)
    assert edges[0] == 0 and edges[-1] == steps and edges == sorted(set(edges))
    assert max(len(edges), edges[1]) <= 2 * math.sqrt(steps) + 2

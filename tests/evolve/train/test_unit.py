"""Many networks trained at once against one network trained in a loop that anybody would write."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

import glo_dsl as glo
from glo_dsl.evolve.kernels import Candidate, build_candidates
from glo_dsl.evolve.tasks.task import Recipe, Task
from glo_dsl.evolve.train.feed import BATCHES, batches
from glo_dsl.evolve.train.optimize import factor
from glo_dsl.evolve.train.stack import drawn
from glo_dsl.evolve.train.unit import Job, Rungs, train
from glo_dsl.lang.loss import Loss

BRIER = "loss brier(z: real[C], t: class[C]) = let p = softmax(z), y = onehot(t) in sum((p - y)^2)"
WILD = "loss wild(z: real[C], t: class[C]) = -exp(z[t] * 40)"
HUBER = "loss squares(p: real, y: real; k = 0.5) = k * (p - y)^2"


def one(text: str) -> Loss:
    (loss,) = glo.loads(text).values()
    return loss


def points(classes: int = 3, count: int = 60) -> tuple[Tensor, Tensor]:
    g = Generator().manual_seed(1)
    target = torch.arange(count) % classes
    return torch.randn(count, 5, generator=g) + 2 * F.one_hot(target, 5), target


def task(recipe: Recipe | None = None, model: Callable[[], nn.Module] | None = None) -> Task:
    x, t = points()
    make = model or (lambda: nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 3)))
    return Task("points", (x, t), (x[:30], t[:30]), (x[30:], t[30:]), 3, make, recipe or Recipe(0.3, 16, 12))


def looped(task: Task, loss: Callable[[Tensor, Tensor], Tensor], rate: float, seed: int) -> float:
    """The metric on the validation part after an ordinary training."""
    (network,) = drawn(task.model, [seed])
    recipe = task.recipe
    kind = torch.optim.AdamW if recipe.optimizer == "adamw" else torch.optim.SGD
    options = {} if recipe.optimizer == "adamw" else {"momentum": recipe.momentum}
    optimizer = kind(network.parameters(), rate, weight_decay=recipe.weight_decay, **options)
    g = Generator().manual_seed(seed + 2 * BATCHES)
    for step, chosen in enumerate(batches(task, seed)):
        optimizer.param_groups[0]["lr"] = rate * factor(recipe, step)
        x = task.train[0][chosen]
        x = x if task.augment is None else task.augment(x, g)
        optimizer.zero_grad()
        loss(network.train()(x), task.train[1][chosen]).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    with torch.no_grad():
        outputs = network.eval()(task.validation[0])
    if task.metric == "accuracy":
        return float((outputs.argmax(-1) == task.validation[1]).double().mean())
    missed = (outputs.reshape(-1) - task.validation[1]).square().sum()
    return float(1 - missed / (task.validation[1] - task.validation[1].mean()).square().sum())


def brier(z: Tensor, t: Tensor) -> Tensor:
    return (z.softmax(-1) - F.one_hot(t, z.shape[-1])).square().sum(-1).mean()


RECIPES = [
    Recipe(0.3, 16, 12),
    Recipe(0.3, 16, 12, momentum=0.9, weight_decay=0.01, schedule="cosine"),
    Recipe(0.01, 16, 12, optimizer="adamw", weight_decay=0.1, schedule="steps", at=(0.5,)),
]


@pytest.mark.parametrize("recipe", RECIPES, ids=["sgd", "momentum", "adamw"])
def test_each_network_is_trained_as_alone(recipe: Recipe) -> None:
    which, seeds = task(recipe), [3, 4]
    built = build_candidates([glo.zoo["cross_entropy"], one(BRIER)])
    jobs = [Job(c, recipe.rate * scale) for c in built for scale in (1.0, 3.0)]
    found = train(which, jobs, seeds, which.validation)
    for job, scores in zip(jobs, found):
        eager = F.cross_entropy if job.candidate.loss.name == "cross_entropy" else brier
        want = [looped(which, eager, job.rate, seed) for seed in seeds]
        assert scores[-1].metric == pytest.approx(want) and scores[-1].steps == 12


def test_augmented_images_in_a_convolution() -> None:
    def shifted(x: Tensor, g: Generator) -> Tensor:
        return x.roll(int(torch.randint(3, (), generator=g)), -1)

    x, t = points()
    images = x[:, None, None].expand(-1, 1, 5, 5).contiguous()
    which = Task(
        "images", (images, t), (images[:30], t[:30]), (images, t), 3,
        lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(36, 3)),
        Recipe(0.1, 16, 10), augment=shifted,
    )  # fmt: skip
    (built,) = build_candidates([glo.zoo["cross_entropy"]])
    ((score,),) = train(which, [Job(built, 0.1)], [5, 6], which.validation)
    assert score.metric == pytest.approx([looped(which, F.cross_entropy, 0.1, seed) for seed in (5, 6)])


def test_regression() -> None:
    x, _ = points()
    y = x @ torch.tensor([1.0, -2.0, 0.5, 0.0, 1.0])
    which = Task(
        "line", (x, y), (x[:30], y[:30]), (x, y), 1, lambda: nn.Sequential(nn.Linear(5, 1)), Recipe(0.05, 16, 40), "r2"
    )
    (built,) = build_candidates([one(HUBER)])
    ((score,),) = train(which, [Job(built, 0.05)], [1], which.validation)
    want = looped(which, lambda p, t: 0.5 * (p[:, 0] - t).square().mean(), 0.05, 1)
    assert score.metric == pytest.approx([want], abs=1e-4) and 0.5 < want < 1


def test_one_that_diverges_does_not_touch_its_neighbours() -> None:
    which = task()
    good, wild = build_candidates([glo.zoo["cross_entropy"], one(WILD)])
    alone = train(which, [Job(good, 0.3)] * 2, [1, 2], which.validation)
    among = train(which, [Job(good, 0.3), Job(wild, 9.0), Job(good, 0.3)], [1, 2], which.validation)
    assert all(math.isnan(m) for m in among[1][-1].metric) and among[1][-1].fitness == 0
    assert among[0][-1].metric == alone[0][-1].metric == among[2][-1].metric


def test_the_better_half_climbs() -> None:
    which = task()
    (built,) = build_candidates([glo.zoo["cross_entropy"]])
    rates = [1e-6, 0.3, 1e-5, 0.5]
    whole = train(which, [Job(built, rate) for rate in rates], [1, 2], which.validation)
    found = train(which, [Job(built, rate) for rate in rates], [1, 2], which.validation, Rungs((0.25, 1.0), 0.5))
    assert [len(scores) for scores in found] == [1, 2, 1, 2]
    assert [score.steps for score in found[1]] == [3, 12]
    for n in (1, 3):  # those that go on are what they would have become without the others' leaving
        assert found[n][-1].metric == whole[n][-1].metric


def test_of_equals_the_earlier_goes_on() -> None:
    which = task()
    (built,) = build_candidates([glo.zoo["cross_entropy"]])
    found = train(which, [Job(built, 0.0)] * 3, [1], which.validation, Rungs((0.5, 1.0), 0.5))
    assert [len(scores) for scores in found] == [2, 2, 1]


def test_the_same_arguments_give_the_same_bits() -> None:
    which = task(model=lambda: nn.Sequential(nn.Linear(5, 6), nn.Dropout(0.5), nn.Linear(6, 3)))
    built = build_candidates([glo.zoo["cross_entropy"], one(BRIER)])
    jobs = [Job(c, 0.3) for c in built]
    state = torch.get_rng_state()
    first = train(which, jobs, [1, 2], which.validation)
    assert train(which, jobs, [1, 2], which.validation) == first
    assert torch.equal(torch.get_rng_state(), state)


def test_without_a_compiler() -> None:
    which = task()
    built = build_candidates([glo.zoo["focal"]])
    eager = [Candidate(c.loss, c.params, None) for c in built]
    found, want = (train(which, [Job(c[0], 0.3)], [1, 2], which.validation) for c in (eager, built))
    assert found[0][0].metric == pytest.approx(want[0][0].metric)


def test_nothing_to_do() -> None:
    assert train(task(), [], [1], points()) == []


def test_losses_that_differ_in_constants_are_built_once() -> None:
    loss = one("loss f(z: real[C], t: class[C]; k = 1) = -k * log_softmax(z)[t]")
    other = one("loss g(z: real[C], t: class[C]; k = 2) = -k * log_softmax(z)[t]")
    built = build_candidates([loss, other])
    assert built[0].kernel is built[1].kernel and [c.params for c in built] == [(1.0,), (2.0,)]

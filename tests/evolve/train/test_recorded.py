"""Steps that are recorded: what is replayed is what would have been done. Without a GPU the operations of PyTorch are
recorded, with all numbers in them as they were, as a graph would have them."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from dataclasses import replace
from types import MethodType
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx

import glo_dsl as glo
from glo_dsl.evolve.kernels import build_candidates
from glo_dsl.evolve.tasks.task import Recipe, Task
from glo_dsl.evolve.train import recorded
from glo_dsl.evolve.train.recorded import WARM, Recorded
from glo_dsl.evolve.train.unit import Job, Rungs, Score, _Unit, train
from glo_dsl.runtime import spec
from tests.evolve.train.test_unit import BRIER, WILD, one, points, task

CPU = torch.device("cpu")
PARTS = Rungs((0.5, 1.0), 0.5)


def state_of(unit: Any) -> list[Tensor]:
    """All that a step changes and the next one reads."""
    found = [*unit.stack.parameters.values(), *unit.stack.buffers.values(), unit._place]
    unit._optimizer.mapped(lambda tensor: found.append(tensor) or tensor)
    return found


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The units whose steps were recorded, as aten's operations on the very tensors; recording is no step itself."""
    made: list[Any] = []

    def replay_of(work: MethodType, device: torch.device) -> Callable[[], None]:
        unit: Any = work.__self__
        before = [t.detach().clone() for t in state_of(unit)]
        try:
            graph = make_fx(lambda: work())()
        except RuntimeError as error:
            raise AssertionError("the step asks for a number") from error
        with torch.no_grad():
            for tensor, kept in zip(state_of(unit), before):
                tensor.copy_(kept)
        made.append(unit)

        def replay() -> None:
            with torch.no_grad():
                graph()

        return replay

    monkeypatch.setattr(recorded, "GRAPHS", ("cpu",))
    monkeypatch.setattr(recorded, "replay_of", replay_of)
    monkeypatch.setattr(spec, "_refuse_bad_classes", lambda *_: None)  # a GPU is not asked for them either
    return made


def trained(which: Task, *texts: str, rungs: Rungs = PARTS) -> list[list[Score]]:
    """By losses in PyTorch's operations, which can be recorded here."""
    losses = [glo.zoo["cross_entropy"], *map(one, texts)]
    jobs = [Job(c, rate) for c, rate in zip(build_candidates(losses, interpreted=False), (0.3, 0.1, 0.05))]
    return train(which, jobs, [1, 2], which.validation, rungs)


RECIPES = [
    Recipe(0.3, 16, 24),
    Recipe(0.3, 16, 24, momentum=0.9, weight_decay=0.01, schedule="cosine"),
    Recipe(0.3, 16, 24, "adamw", weight_decay=0.01, schedule="steps", at=(0.3, 0.7)),
]


@pytest.mark.parametrize("recipe", RECIPES, ids=["sgd", "momentum", "adamw"])
def test_a_recorded_training_is_the_training(
    recipe: Recipe, graphs: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = trained(task(recipe), BRIER)
    assert len(graphs) == 2, "one for each rung"
    monkeypatch.setattr(recorded, "GRAPHS", ())
    assert trained(task(recipe), BRIER) == found


def test_normalised_layers_keep_their_averages(graphs: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def model() -> nn.Module:
        return nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 3))

    which = task(RECIPES[0], model)
    found = trained(which, BRIER)
    assert graphs
    monkeypatch.setattr(recorded, "GRAPHS", ())
    assert trained(which, BRIER) == found


def test_augmented_inputs_are_new_in_every_step(graphs: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    which = replace(task(RECIPES[1]), augment=lambda x, g: x + torch.randn(x.shape, generator=g))
    found = trained(which)
    assert graphs
    monkeypatch.setattr(recorded, "GRAPHS", ())
    assert trained(which) == found


def test_one_that_diverges_rests_in_a_recording_too(graphs: list[Any]) -> None:
    whole = Rungs((1.0,))
    good, wild = trained(task(replace(RECIPES[0], steps=60)), WILD, rungs=whole)
    assert graphs and wild[0].fitness == 0
    (unit,) = graphs
    unit._place.fill_(3)
    unit._recorded(unit._one)
    for parameter in unit.stack.parameters.values():
        assert parameter[:2].any() and not parameter[2:].any()
    (alone,) = trained(task(replace(RECIPES[0], steps=60)), rungs=whole)
    assert good == alone


def test_layers_that_draw_are_not_recorded(graphs: list[Any]) -> None:
    trained(task(RECIPES[0], lambda: nn.Sequential(nn.Linear(5, 6), nn.Dropout(0.5), nn.Linear(6, 3))))
    assert not graphs


def test_what_cannot_be_recorded_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(work: Callable[[], None], device: torch.device) -> Callable[[], None]:
        raise RuntimeError("CUDA error: operation not permitted when stream is capturing\nmore")

    monkeypatch.setattr(recorded, "GRAPHS", ("cpu",))
    monkeypatch.setattr(recorded, "replay_of", refused)
    found = trained(task(RECIPES[0]), BRIER)
    monkeypatch.undo()
    assert found == trained(task(RECIPES[0]), BRIER)


def test_steps_are_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(recorded, "GRAPHS", ("cpu",))
    monkeypatch.setattr(recorded, "replay_of", lambda work, device: lambda: seen.append("replayed"))
    step = Recorded(CPU)
    for _ in range(WARM + 2):
        step(lambda: seen.append("done"))
    assert seen == ["done"] * WARM + ["replayed"] * 2 and not step.why_not


def test_a_cpu_has_none() -> None:
    seen: list[str] = []
    step = Recorded(CPU)
    for _ in range(WARM + 2):
        step(lambda: seen.append("done"))
    assert seen == ["done"] * (WARM + 2) and step.why_not == "cpu has no graphs"


def test_what_has_been_trained_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not with the next collection of garbage: its networks may fill a GPU."""
    left: list[weakref.ref[Any]] = []
    original = _Unit.advance

    def advance(unit: _Unit, *rest: Any) -> None:
        left.append(weakref.ref(unit))
        original(unit, *rest)

    monkeypatch.setattr(_Unit, "advance", advance)
    gc.disable()
    try:
        trained(task(RECIPES[0]), BRIER)
        assert left and all(unit() is None for unit in left)
    finally:
        gc.enable()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("recipe", RECIPES, ids=["sgd", "momentum", "adamw"])
def test_on_a_gpu_it_is_the_training_of_the_cpu(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    gpu, made = torch.device("cuda"), []
    whole = recorded.replay_of

    def replay_of(work: Callable[[], None], device: torch.device) -> Callable[[], None]:
        made.append(whole(work, device))
        return made[-1]

    monkeypatch.setattr(recorded, "replay_of", replay_of)
    which = task(recipe)
    built = build_candidates([glo.zoo["cross_entropy"], one(BRIER)], interpreted=False)
    jobs = [Job(c, rate) for c, rate in zip(built, (0.3, 0.1))]
    on_gpu, on_cpu = (train(which, jobs, [1, 2], points(count=3000), PARTS, device) for device in (gpu, CPU))
    assert len(made) == 2
    for mine, other in zip(on_gpu, on_cpu):
        for a, b in zip(mine, other):
            assert a.steps == b.steps and a.metric == pytest.approx(b.metric, abs=0.002)

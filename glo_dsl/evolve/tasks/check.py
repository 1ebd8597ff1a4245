"""Is a task fit to judge losses? What is wrong with it is said in one sentence."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import get_args, get_type_hints

import torch
from torch import Generator, Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from glo_dsl.errors import GloError
from glo_dsl.evolve.tasks.task import GLOBAL_GENERATOR, Recipe, Task

Problem = tuple[str, str]
"""What is wrong, and what would be right."""

_SAMPLES = 2
"""In the batch that models are tried on: more than one, for batch normalisation."""


def check_task(task: Task) -> None:
    """Tries all that training will rely on.

    Raises:
        GloError: what is wrong first: shapes, types, numbers that are not finite, classes out of range, a recipe that
            makes no sense, a model that gives other shapes, depends on more than PyTorch's seed, or cannot be stacked
            by `torch.func`.

    >>> from dataclasses import replace
    >>> from glo_dsl.evolve.tasks.named import task_named
    >>> check_task(replace(task_named("wine"), outputs=2))
    Traceback (most recent call last):
    glo_dsl.errors.GloError: task wine: targets of train go up to 2
      with outputs=2, classes are 0 to 1
    """
    for problems in (_fields, _data, _recipe, _augment, _model):
        for message, hint in problems(task):
            raise GloError(f"task {task.name}: {message}", hint=hint)


def _parts(task: Task) -> Iterator[tuple[str, Tensor, Tensor]]:
    for name in ("train", "validation", "test"):
        inputs, targets = getattr(task, name)
        yield name, inputs, targets


def _fields(task: Task) -> Iterator[Problem]:
    """Of the right kind, so that the rest can look inside."""
    if not isinstance(task.name, str) or not task.name:
        yield "its name is not a text", "Task(name='mine', ...)"
    for name in ("train", "validation", "test"):
        part = getattr(task, name)
        if not (isinstance(part, tuple) and len(part) == 2 and all(isinstance(t, Tensor) for t in part)):
            yield f"{name} is not a pair of tensors", f"{name}=(inputs, targets)"
    if not isinstance(task.recipe, Recipe):
        yield f"its recipe is {_kind(task.recipe)}", "recipe=Recipe(rate=0.1, batch=128, steps=200)"
    if task.metric not in ("accuracy", "r2"):
        yield f"its metric is {task.metric!r}", "metrics are accuracy, r2"
    if not _whole(task.outputs) or task.outputs < 1:
        yield f"outputs is {task.outputs!r}", "the number of classes, or 1 with metric r2"
    elif task.metric == "r2" and task.outputs != 1:
        yield f"outputs is {task.outputs} with metric r2", "a regression has one output"
    elif task.metric == "accuracy" and task.outputs < 2:
        yield "outputs is 1 with metric accuracy", "there are at least two classes"
    if not callable(task.model):
        yield f"its model is {_kind(task.model)}", "model is a function without arguments that makes a network"
    if isinstance(task.model, nn.Module):
        yield "its model is a network", "model makes a new network at each call: model=lambda: Network()"


def _data(task: Task) -> Iterator[Problem]:
    for name, inputs, targets in _parts(task):
        if inputs.ndim < 2 or targets.ndim != 1:
            shapes = f"{list(inputs.shape)} with targets {list(targets.shape)}"
            yield f"{name} has inputs {shapes}", "inputs are [samples, ...], targets [samples]"
        if len(inputs) != len(targets):
            yield f"{name} has {len(inputs)} inputs for {len(targets)} targets", "one target for each input"
        if len(inputs) == 0:
            yield f"{name} has no samples", "each part needs some"
        if inputs.dtype != torch.float32:
            yield f"inputs of {name} are {inputs.dtype}", "inputs are float32: inputs.float()"
        if not torch.isfinite(inputs).all():
            yield f"inputs of {name} are not all finite", "remove or replace missing values"
        yield from _targets(task, name, targets)
    if task.validation[0].shape[1:] != task.test[0].shape[1:]:
        shapes = f"{list(task.validation[0].shape[1:])} and {list(task.test[0].shape[1:])}"
        yield f"samples of validation and test have shapes {shapes}", "one model judges both"


def _targets(task: Task, name: str, targets: Tensor) -> Iterator[Problem]:
    if task.metric == "r2":
        if targets.dtype != torch.float32:
            yield f"targets of {name} are {targets.dtype}", "targets of a regression are float32"
        elif not torch.isfinite(targets).all():
            yield f"targets of {name} are not all finite", "remove samples without a value"
        elif targets.min() == targets.max():
            yield f"targets of {name} are all equal", "r2 compares with their variance"
    elif targets.dtype != torch.int64:
        yield f"targets of {name} are {targets.dtype}", "classes are int64: targets.long()"
    elif targets.max() >= task.outputs:
        right = f"with outputs={task.outputs}, classes are 0 to {task.outputs - 1}"
        yield f"targets of {name} go up to {targets.max().item()}", right
    elif targets.min() < 0:
        yield f"targets of {name} go down to {targets.min().item()}", "classes are counted from 0"


def _recipe(task: Task) -> Iterator[Problem]:
    recipe, samples = task.recipe, len(task.train[0])
    if not _number(recipe.rate) or recipe.rate <= 0:
        yield f"its rate is {recipe.rate!r}", "a learning rate is above 0"
    if not _whole(recipe.steps) or recipe.steps < 1:
        yield f"its steps are {recipe.steps!r}", "a whole number, at least 1"
    if not _whole(recipe.batch) or not 1 <= recipe.batch <= samples:
        yield f"its batch is {recipe.batch!r}", f"a whole number from 1 to {samples}, the samples of train"
    if not _number(recipe.momentum) or not 0 <= recipe.momentum < 1:
        yield f"its momentum is {recipe.momentum!r}", "at least 0 and below 1"
    if not _number(recipe.weight_decay) or recipe.weight_decay < 0:
        yield f"its weight decay is {recipe.weight_decay!r}", "at least 0"
    if not _number(recipe.factor) or recipe.factor <= 0:
        yield f"its factor is {recipe.factor!r}", "above 0"
    kinds = get_type_hints(Recipe)
    for field in ("optimizer", "schedule"):
        known, found = get_args(kinds[field]), getattr(recipe, field)
        if found not in known:
            yield f"its {field} is {found!r}", f"{field} is one of {', '.join(known)}"
    yield from _decays(recipe)


def _decays(recipe: Recipe) -> Iterator[Problem]:
    right = "fractions of the steps, rising, above 0 and below 1"
    fractions = isinstance(recipe.at, tuple) and all(_number(a) and 0 < a < 1 for a in recipe.at)
    if not fractions or list(recipe.at) != sorted(set(recipe.at)):
        yield f"its rate changes at {recipe.at!r}", right
    elif bool(recipe.at) != (recipe.schedule == "steps"):
        yield f"its rate changes at {recipe.at!r} with schedule {recipe.schedule}", 'at belongs to schedule="steps"'


def _augment(task: Task) -> Iterator[Problem]:
    seen, wanted = tuple(task.train[0].shape[1:]), tuple(task.validation[0].shape[1:])
    if task.augment is None:
        if seen != wanted:
            shapes = f"{list(seen)} and {list(wanted)}"
            yield f"samples of train and validation have shapes {shapes}", "only augment may change a shape"
        return
    try:
        first, second = _training_batch(task), _training_batch(task)
    except Exception as error:
        yield f"augment failed: {_said(error)}", "it is called with a batch of inputs and a torch.Generator"
        return
    if not isinstance(first, Tensor) or first.dtype != torch.float32 or not torch.isfinite(first).all():
        yield "augment gives no finite float32 tensor", "it gives a batch of inputs"
    elif (len(first), *first.shape[1:]) != (min(_SAMPLES, len(task.train[0])), *wanted):
        yield f"augment gives a batch {list(first.shape)}", f"samples have the shape of validation, {list(wanted)}"
    elif not torch.equal(first, second):
        yield "augment gives something else for the same generator", "draw all chance from the generator"


def _model(task: Task) -> list[Problem]:
    """All of them at once: nobody else may draw meanwhile, and a generator that waits would keep the lock."""
    with GLOBAL_GENERATOR:
        return list(_tried(task))


def _tried(task: Task) -> Iterator[Problem]:
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        try:
            networks = [_seeded(task, seed) for seed in (0, 0, 1)]
        except Exception as error:
            yield f"model failed: {_said(error)}", "model is a function without arguments that makes a network"
            return
        if not isinstance(networks[0], nn.Module):
            yield f"model makes {_kind(networks[0])}", "it makes a torch.nn.Module"
            return
        states = [network.state_dict() for network in networks[:2]]
        if states[0].keys() != states[1].keys() or any(not torch.equal(states[0][k], states[1][k]) for k in states[0]):
            yield "model has other weights for the same seed", "draw them from PyTorch's global generator"
        yield from _network(task, networks[0])
        yield from _stacked(task, networks[1:])


def _network(task: Task, network: nn.Module) -> Iterator[Problem]:
    trained = [p for p in network.parameters() if p.requires_grad]
    if not trained:
        yield "model has nothing to train", "a network has parameters"
    if any(p.dtype != torch.float32 for p in trained):
        yield "model is not all float32", "network.float()"
    for mode, x in ((True, _training_batch(task)), (False, task.validation[0][:_SAMPLES])):
        try:
            found = network.train(mode)(x)
        except Exception as error:
            yield f"model fails on inputs {list(x.shape)}: {_said(error)}", "it takes a batch of inputs"
            return
        if not isinstance(found, Tensor) or tuple(found.shape) != (len(x), task.outputs):
            shape = list(found.shape) if isinstance(found, Tensor) else _kind(found)
            yield f"model gives {shape} for inputs {list(x.shape)}", f"it gives [{len(x)}, {task.outputs}]"
            return
        if not torch.isfinite(found).all():
            yield "model gives numbers that are not finite before any training", "scale inputs or weights"


def _stacked(task: Task, networks: list[nn.Module]) -> Iterator[Problem]:
    """Candidates are trained side by side, with their parameters and buffers stacked."""
    train, x = _training_batch(task), task.validation[0][:_SAMPLES]
    right = "all that a network keeps is a parameter or a buffer, and no branch depends on data"
    parameters, buffers = stack_module_state(networks)
    network = networks[0]

    def output(p: Mapping[str, Tensor], b: Mapping[str, Tensor], x: Tensor) -> Tensor:
        return functional_call(network, (dict(p), dict(b)), (x,))  # type: ignore[no-any-return]

    stacked = vmap(output, in_dims=(0, 0, None), randomness="different")
    try:
        network.eval()
        together = stacked(parameters, buffers, x)
        alone = torch.stack([each.eval()(x) for each in networks])
        network.train()
        stacked(parameters, buffers, train)
    except Exception as error:
        yield f"model cannot be stacked by torch.func: {_said(error)}", right
        return
    if not torch.allclose(together, alone, rtol=1e-3, atol=1e-4):
        yield "model gives something else when it is stacked by torch.func", right


def _seeded(task: Task, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return task.model()


def _training_batch(task: Task) -> Tensor:
    batch = task.train[0][:_SAMPLES]
    return batch if task.augment is None else task.augment(batch.clone(), Generator().manual_seed(0))


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _kind(value: object) -> str:
    return f"of type {type(value).__name__}"


def _said(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__

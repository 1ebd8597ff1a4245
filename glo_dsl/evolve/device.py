"""Where networks are trained: the CPU, or a GPU by its name in PyTorch."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Generator

from glo_dsl.errors import GloError
from glo_dsl.evolve.tasks.task import Part, Task


def device_named(name: str) -> torch.device:
    """A device of this machine; `name` as `Config.device` has it.

    Raises:
        GloError: it is not there.

    >>> device_named("cpu")
    device(type='cpu')
    """
    found = torch.device(name)
    if found.type == "cpu":
        return found
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not count:
        hint = "train on the CPU with --device cpu, or install a PyTorch that is made for this GPU"
        raise GloError(f"device is {name}, and PyTorch sees no GPU here", hint=hint)
    place = found.index or 0
    if place >= count:
        raise GloError(f"there is no {name}", hint=f"PyTorch sees {count}, counted from cuda:0")
    return torch.device("cuda", place)


def placed(task: Task, device: torch.device) -> Task:
    """The same with its data on a device; on the CPU it is the task itself.

    Raises:
        GloError: its augmentation works on the CPU alone.
    """
    if device.type == "cpu":
        return task
    train, validation, test = (_moved(part, device) for part in (task.train, task.validation, task.test))
    if task.augment is not None:
        try:
            task.augment(train[0][:2], Generator(device).manual_seed(0))
        except (RuntimeError, TypeError) as error:
            why = str(error).strip().splitlines()[0][:200]
            hint = "what it draws lies where its generator is: torch.rand(..., generator=g, device=g.device)"
            raise GloError(f"the augmentation of {task.name} does not work on {device}: {why}", hint=hint) from None
    return replace(task, train=train, validation=validation, test=test)


def _moved(part: Part, device: torch.device) -> Part:
    inputs, targets = part
    return inputs.to(device), targets.to(device)

"""Inputs that are changed a little so that a network errs: what its metric is then tells how robust it is."""

from __future__ import annotations

import torch
from torch import Tensor

from glo_dsl.evolve.tasks.task import Task
from glo_dsl.evolve.train.stack import Stack


def attacked(task: Task, stack: Stack, inputs: Tensor, targets: Tensor, size: float) -> Tensor:
    """`inputs` [samples, ...] as M networks would least like them, [M, samples, ...]: every number is moved by `size`,
    in units of the inputs, in the direction that hurts (the fast gradient sign method, Goodfellow, Shlens & Szegedy
    2015, arXiv:1412.6572).

    What is to grow is the lead of another class over the target, or the distance from a value that was to be predicted:
    the same for every loss that a network was trained with, and never flat. The gradient of the loss itself, even of
    cross-entropy, is 0 in float32 where a network is sure enough, and who has large logits would look robust (Carlini &
    Wagner 2017, arXiv:1608.04644). Inputs are not clipped, for data that are centred or scaled have no bounds.
    """
    given = inputs.expand(len(stack), *inputs.shape).clone().requires_grad_()
    outputs = stack(given, training=False, differentiable=True)
    (slope,) = torch.autograd.grad(_error(task, outputs, targets).sum(), given)
    return given.detach().add_(slope.sign(), alpha=size)


def _error(task: Task, outputs: Tensor, targets: Tensor) -> Tensor:
    """How wrong outputs are, [M, samples]."""
    if task.metric != "accuracy":
        return (outputs.reshape(len(outputs), -1) - targets).abs()
    label = targets.expand(len(outputs), -1)[..., None]
    others = outputs.scatter(-1, label, -torch.inf)
    return others.amax(-1) - outputs.gather(-1, label)[..., 0]

"""Many small networks trained at once: candidates x seeds x learning rates, in a few matrix products per step.

All models of one seed start from the same weights and see the same batches, so that candidates differ in nothing but
the loss. Models never mix: one that diverges fills with NaN by itself.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from glo_dsl.evolve.kernels import Candidate, Step
from glo_dsl.evolve.task import Part, Task

MODELS_AT_ONCE = 40
"""Models in one set of buffers: enough to fill a matrix product, few enough to keep every core busy."""

WORKERS = os.cpu_count() or 1
"""Sets of buffers in work at a time, each on one thread: whole populations side by side need no barrier per product."""


def train(task: Task, candidates: Sequence[Candidate], rates: Tensor, seeds: Sequence[int], part: Part) -> Tensor:
    """Accuracy on `part` after training, as [candidates, seeds, rates per candidate] in [0, 1]; 0 for a diverged model.

    `rates` [candidates, rates per candidate] are SGD learning rates for the mean loss of a batch.
    """
    if not candidates:
        return torch.zeros(0, len(seeds), rates.shape[-1])
    per_candidate = len(seeds) * rates.shape[1]
    some_seeds = _even(len(seeds), max(1, MODELS_AT_ONCE // rates.shape[1]))
    some_candidates = _even(len(candidates), max(1, MODELS_AT_ONCE // per_candidate))
    with ThreadPoolExecutor(WORKERS, initializer=_worker) as pool:
        parts = [
            [pool.submit(_train, task, candidates[c], rates[c], seeds[s], part) for s in some_seeds]
            for c in some_candidates
        ]
        return torch.cat([torch.cat([p.result() for p in row], dim=1) for row in parts])


def _worker() -> None:
    """One thread for one set of buffers; numbers below the normal range, which stall the processor, become 0."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)


def _even(count: int, most: int) -> list[slice]:
    """Slices of nearly equal length that cover `count` things, each at most `most` long."""
    parts = -(-count // most)
    ends = [count * n // parts for n in range(parts + 1)]
    return [slice(a, b) for a, b in pairwise(ends)]


def _train(task: Task, candidates: Sequence[Candidate], rates: Tensor, seeds: Sequence[int], part: Part) -> Tensor:
    population = _Population(task, len(candidates), seeds, rates)
    losses = population.bind(candidates)
    with torch.no_grad():
        for step in range(task.steps):
            population.step(step, losses)
        return population.accuracy(part)


@dataclass
class _Weights:
    """S seeds, M = candidates x seeds x rates models. The first layer of a seed is one matrix, for one big product."""

    first: Tensor  # [S, features, candidates * rates * hidden]
    first_bias: Tensor  # [S, 1, candidates * rates * hidden]
    second: Tensor  # [M, hidden, classes]
    second_bias: Tensor  # [M, 1, classes]


class _Population:
    """Models in candidate-major order, so that a candidate's logits are one block of rows for its kernel."""

    def __init__(self, task: Task, candidates: int, seeds: Sequence[int], rates: Tensor) -> None:
        self.task = task
        self.candidates, self.seeds, self.rates = candidates, len(seeds), rates.shape[1]
        self.models = candidates * self.seeds * self.rates
        self.weights = _initial(task, seeds, candidates, self.rates)
        self.order = torch.stack([_batches(task, seed) for seed in seeds], dim=1)  # [steps, S, batch]
        self.batch = self.order.shape[-1]
        self.logits = torch.zeros(self.models, self.batch, task.classes)
        self.gradient = torch.zeros_like(self.logits)
        self.target = torch.zeros(self.seeds, self.rates, self.batch, dtype=torch.int64)
        sizes = rates.to(torch.float32)[:, None, :].expand(candidates, self.seeds, self.rates)
        self.step_size = (sizes / self.batch).reshape(self.models, 1, 1)

    def bind(self, candidates: Sequence[Candidate]) -> list[Step]:
        """Each candidate on its part of the buffers."""
        rows = (self.seeds * self.rates * self.batch, self.task.classes)
        target = self.target.view(-1)
        logits, gradient = (buffer.view(self.candidates, *rows) for buffer in (self.logits, self.gradient))
        return [candidate.bind(logits[n], target, gradient[n]) for n, candidate in enumerate(candidates)]

    def step(self, number: int, losses: Sequence[Step]) -> None:
        """One SGD step of every model."""
        chosen = self.order[number % len(self.order)]
        x = self.task.train[0][chosen]
        self.target[:] = self.task.train[1][chosen][:, None, :]
        hidden = self._hidden(x)
        torch.baddbmm(self.weights.second_bias, hidden, self.weights.second, out=self.logits)
        for loss in losses:
            loss()
        self._descend(x, hidden)

    def _hidden(self, x: Tensor) -> Tensor:
        """[S, samples, features] to [M, samples, hidden]."""
        flat = torch.baddbmm(self.weights.first_bias, x, self.weights.first).tanh_()
        split = flat.view(self.seeds, -1, self.candidates, self.rates, self.task.hidden)
        return split.permute(2, 0, 3, 1, 4).reshape(self.models, -1, self.task.hidden)

    def _descend(self, x: Tensor, hidden: Tensor) -> None:
        """Plain SGD; the learning rate goes into the gradient before it is propagated, which is linear."""
        g = self.gradient.mul_(self.step_size)
        back = torch.bmm(g, self.weights.second.transpose(1, 2)).mul_(1 - hidden * hidden)
        self.weights.second.baddbmm_(hidden.transpose(1, 2), g, alpha=-1)
        self.weights.second_bias -= g.sum(1, keepdim=True)
        split = back.view(self.candidates, self.seeds, self.rates, self.batch, self.task.hidden)
        flat = split.permute(1, 3, 0, 2, 4).reshape(self.seeds, self.batch, -1)
        self.weights.first.baddbmm_(x.transpose(1, 2), flat, alpha=-1)
        self.weights.first_bias -= flat.sum(1, keepdim=True)

    def accuracy(self, part: Part) -> Tensor:
        """[candidates, seeds, rates]"""
        x = part[0].expand(self.seeds, *part[0].shape)
        logits = torch.baddbmm(self.weights.second_bias, self._hidden(x), self.weights.second)
        right = (logits.argmax(-1) == part[1]).float().mean(-1)
        right[~torch.isfinite(logits).all(-1).all(-1)] = 0.0
        return right.view(self.candidates, self.seeds, self.rates)


def _initial(task: Task, seeds: Sequence[int], candidates: int, rates: int) -> _Weights:
    """One network for each seed, drawn as `torch.nn.Linear` draws it, repeated for every candidate and rate."""
    drawn = [_one_network(task, seed) for seed in seeds]
    first, first_bias, second, second_bias = (torch.stack(layer) for layer in zip(*drawn))
    many = candidates * rates
    return _Weights(
        first.repeat(1, 1, many), first_bias[:, None].repeat(1, 1, many),
        _every_model(second, candidates, rates), _every_model(second_bias[:, None], candidates, rates),
    )  # fmt: skip


def _one_network(task: Task, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape: int, fan_in: int) -> Tensor:
        return (torch.rand(*shape, generator=generator) * 2 - 1) / math.sqrt(fan_in)

    return (
        uniform(task.features, task.hidden, fan_in=task.features), uniform(task.hidden, fan_in=task.features),
        uniform(task.hidden, task.classes, fan_in=task.hidden), uniform(task.classes, fan_in=task.hidden),
    )  # fmt: skip


def _every_model(per_seed: Tensor, candidates: int, rates: int) -> Tensor:
    """[S, ...] to [candidates * S * rates, ...]"""
    seeds, *rest = per_seed.shape
    return per_seed[None, :, None].expand(candidates, seeds, rates, *rest).reshape(-1, *rest).contiguous()


def _batches(task: Task, seed: int) -> Tensor:
    """Indices [steps, batch]: every epoch a new permutation, the incomplete last batch left out."""
    generator = torch.Generator().manual_seed(seed + 1_000_003)
    samples = task.train[0].shape[0]
    batch = min(task.batch, samples)
    per_epoch = samples // batch
    epochs = -(-task.steps // per_epoch)
    orders = [torch.randperm(samples, generator=generator)[: per_epoch * batch] for _ in range(epochs)]
    return torch.cat(orders).view(-1, batch)[: task.steps]

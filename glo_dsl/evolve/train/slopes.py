"""How far a training gets, and how that changes with the constants of its loss and with its learning rate.

The derivative of a whole training is taken backwards through its steps (Maclaurin, Duvenaud & Adams 2015,
arXiv:1502.03492), at a cost that does not depend on how many constants there are. So that memory does not grow with the
number of steps but with its root, the training is run once and only its state at the start of every window is kept;
then each window, from the last to the first, is run again and differentiated (Griewank 1992,
doi:10.1080/10556789208805505).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from glo_codegen.torch_ import LAUNCH, emit_torch
from glo_dsl.errors import GloError
from glo_dsl.evolve.predictions import derived, logits_name
from glo_dsl.evolve.tasks.task import Part, Task
from glo_dsl.evolve.train.feed import Feed, pieces
from glo_dsl.evolve.train.optimize import Optimizer, factor, optimizer_of
from glo_dsl.evolve.train.stack import Stack, chance, drawn, draws
from glo_dsl.evolve.train.unit import Stopped, metric_of, smooth_of
from glo_dsl.lang.loss import Loss
from glo_dsl.passes.pipeline import program_of
from glo_dsl.runtime.load_module import load_module

IGNORED = -100
"""A class index that no task has."""

Pull = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Outputs, targets, constants to the gradient of the loss by the outputs, differentiable by outputs and constants."""


@dataclass(frozen=True)
class Slope:
    """What one training came to.

    Attributes:
        metric: of the task; NaN for a network that has diverged.
        smooth: what was differentiated, see `smooth_of`.
        by_constants: its derivative by each parameter of the loss, at the learning rate as it is.
        by_rate: by the logarithm of the learning rate, the constants as they are.
    """

    metric: float
    smooth: float
    by_constants: tuple[float, ...]
    by_rate: float

    @property
    def usable(self) -> bool:
        """Whether the training ended well, with derivatives that are numbers."""
        return all(map(math.isfinite, (self.metric, self.smooth, self.by_rate, *self.by_constants)))


@dataclass
class _State:
    """Networks somewhere in their training. Tensors are never changed in place: a later state has its own."""

    parameters: dict[str, Tensor]
    buffers: dict[str, Tensor]
    optimizer: Optimizer

    def mapped(self, change: Callable[[Tensor], Tensor]) -> _State:
        parameters = {name: change(p) for name, p in self.parameters.items()}
        return _State(parameters, self.buffers, self.optimizer.mapped(change))

    def tensors(self) -> list[Tensor]:
        """What a derivative runs through; buffers, such as a running mean, count as constant."""
        found = list(self.parameters.values())

        def noted(tensor: Tensor) -> Tensor:
            found.append(tensor)
            return tensor

        self.optimizer.mapped(noted)
        return found


def slopes(
    task: Task, loss: Loss, rate: float, seeds: Sequence[int], part: Part,
    stopped: Callable[[], bool] = lambda: False,
) -> list[Slope]:  # fmt: skip
    """One `Slope` for each seed: networks trained with a loss, its parameters at their defaults, judged on `part`.

    The trainings are those of `train` up to rounding. Networks never mix: one that diverges has no usable slope and
    touches no other. On the CPU, in float64 where the data of the task and its networks are. `stopped` is asked before
    every step.

    Raises:
        GloError: an operation of the network cannot be differentiated twice.
        Stopped: it said yes.
    """
    run = _Run(task, loss, rate, seeds, stopped)
    try:
        with chance(run.stack.network, seeds[0]):
            return run.slopes(part)
    except (RuntimeError, NotImplementedError) as error:
        if not any(word in str(error) for word in ("derivative", "differentia", "inplace operation")):
            raise
        name, why = type(run.stack.network).__name__, str(error).strip().splitlines()[0][:200]
        raise GloError(
            f"{name} cannot be differentiated twice: {why}", hint="tune by cma, a method that needs no derivatives"
        ) from None


class _Run:
    def __init__(self, task: Task, loss: Loss, rate: float, seeds: Sequence[int], stopped: Callable[[], bool]) -> None:
        self._task, self._stopped = task, stopped
        self._feed = Feed(task, seeds, torch.device("cpu"))
        self.stack = Stack(drawn(task.model, seeds), self._feed.example)
        self._pull = pull_of(loss)
        dtype = next(iter(self.stack.parameters.values())).dtype
        defaults = torch.tensor([p.default for p in loss.params], dtype=dtype)
        self._constants = defaults.expand(len(seeds), -1).clone().requires_grad_()  # [M, constants]
        self._stretch = torch.zeros(len(seeds), dtype=dtype, requires_grad=True)  # of log rate
        self._rate = rate

    def slopes(self, part: Part) -> list[Slope]:
        edges = windows(self._task.recipe.steps)
        optimizer = optimizer_of(self._task.recipe)
        self._terms = optimizer.terms(self._task.recipe.steps)
        state = _State(self.stack.parameters, self.stack.buffers, optimizer)
        starts = []
        for first, last in pairwise(edges):
            state = state.mapped(torch.Tensor.detach)
            starts.append((state, self._chance()))
            state = self._advanced(state, first, last, kept=False)
        metric, value, pulls = self._judged(state, part)
        for (first, last), (start, chances) in zip(reversed(list(pairwise(edges))), reversed(starts)):
            self._again(chances)
            pulls = self._back(start, first, last, pulls)
        columns = torch.cat([value[:, None], _slope(self._stretch)[:, None], _slope(self._constants)], dim=1)
        return [
            Slope(m, smooth, tuple(by), rate)
            for m, (smooth, rate, *by) in zip(metric.tolist(), columns.double().tolist())
        ]

    def _back(self, start: _State, first: int, last: int, pulls: list[Tensor]) -> list[Tensor]:
        """From the derivatives by the state at the end of a window those by the state at its start; those by constants
        and rate along it are added to what their leaves have."""
        begun = start.mapped(lambda t: t.detach().requires_grad_())
        ends = self._advanced(begun, first, last, kept=True).tensors()
        # not `grad`, which would pass over a function of a user's that may be differentiated once only
        torch.autograd.backward(ends, pulls)
        return [_slope(t) for t in begun.tensors()]

    def _advanced(self, state: _State, first: int, last: int, kept: bool) -> _State:
        """The state after steps, with what a derivative needs if `kept`."""
        for step in range(first, last):
            if self._stopped():
                raise Stopped
            state = self._one(state, step, kept)
        return state

    def _one(self, state: _State, step: int, kept: bool) -> _State:
        inputs, targets = self._feed(step)
        if not kept:
            state = state.mapped(lambda t: t.detach().requires_grad_())
        self.stack.parameters = state.parameters
        self.stack.buffers = {name: b.clone() for name, b in state.buffers.items()}
        outputs = self.stack(inputs)  # [M, batch, ...]
        shaped = outputs if self._task.metric == "accuracy" else outputs.reshape(targets.shape)
        with torch.set_grad_enabled(kept):
            above = self._pull(shaped, targets, self._constants) / self._feed.batch
        found = torch.autograd.grad(outputs, list(state.parameters.values()), above.reshape(outputs.shape),
                                    create_graph=kept)  # fmt: skip
        with torch.set_grad_enabled(kept):
            after = state.mapped(torch.Tensor.clone)  # the optimiser changes in place
            rates = self._rate * factor(self._task.recipe, step) * self._stretch.exp()
            after.optimizer.step(after.parameters, dict(zip(after.parameters, found)), rates, self._terms[step])
        return _State(after.parameters, self.stack.buffers, after.optimizer)

    def _judged(self, state: _State, part: Part) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Metric [M], what stands for it [M], and its derivatives by the state."""
        ended = state.mapped(lambda t: t.detach().requires_grad_())
        self.stack.parameters, self.stack.buffers = ended.parameters, ended.buffers
        inputs, targets = part
        every = [self.stack(x, training=False, differentiable=True) for x in pieces(inputs, len(self.stack))]
        outputs = torch.cat(every, dim=1)
        value = smooth_of(self._task, outputs, targets)
        found = torch.autograd.grad(value.sum(), ended.tensors(), allow_unused=True)
        metric = metric_of(self._task, outputs.detach(), targets)
        metric[~outputs.detach().flatten(1).isfinite().all(1)] = float("nan")
        pulls = [torch.zeros_like(t) if f is None else f for t, f in zip(ended.tensors(), found)]
        return metric, value.detach(), pulls

    def _chance(self) -> tuple[list[Tensor], Tensor | None]:
        return self._feed.chance, torch.get_rng_state() if draws(self.stack.network) else None

    def _again(self, chances: tuple[list[Tensor], Tensor | None]) -> None:
        self._feed.chance, layers = chances
        if layers is not None:
            torch.set_rng_state(layers)


def _slope(leaf: Tensor) -> Tensor:
    return torch.zeros_like(leaf) if leaf.grad is None else leaf.grad


def windows(steps: int) -> list[int]:
    """Where windows begin, and where the last ends: about as many as each has steps.

    >>> windows(10)
    [0, 3, 6, 9, 10]
    """
    size = max(1, round(math.sqrt(steps)))
    return [*range(0, steps, size), steps]


def pull_of(loss: Loss) -> Pull:
    """The gradient of a loss by the predictions, with constants [M, constants] of each network's own."""
    launch = getattr(load_module(emit_torch(program_of(loss, derived(loss)))), LAUNCH)
    name = logits_name(loss)
    first = loss.inputs[0].name == name

    def pull(outputs: Tensor, targets: Tensor, constants: Tensor) -> Tensor:
        inputs = (outputs, targets) if first else (targets, outputs)
        _, gradients = launch(inputs, [c[:, None, None] for c in constants.unbind(1)], (name,), 1.0, IGNORED)
        found: Tensor = gradients[name]
        return found

    return pull

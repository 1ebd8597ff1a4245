"""The training of a unit of work: candidates x seeds at once, in rungs that only the better half climbs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from glo_dsl.evolve.kernels import Candidate
from glo_dsl.evolve.tasks.task import Part, Task
from glo_dsl.evolve.train.attack import attacked
from glo_dsl.evolve.train.feed import Feed, pieces
from glo_dsl.evolve.train.losses import bound
from glo_dsl.evolve.train.optimize import factors, optimizer_of
from glo_dsl.evolve.train.recorded import Recorded
from glo_dsl.evolve.train.stack import Stack, chance, drawn, draws

KEPT = 16
"""How many times its inputs a network is taken to keep until it is differentiated."""

LOOK = 20
"""Steps after which networks that have diverged are looked for."""


@dataclass(frozen=True)
class Job:
    """A candidate and the learning rate that it is trained with."""

    candidate: Candidate
    rate: float


@dataclass(frozen=True)
class Rungs:
    """Shares of the training at whose ends candidates are judged, the last of them 1; at each but the last the better
    `keep` of a unit goes on, one at least (successive halving, Jamieson & Talwalkar 2016)."""

    shares: tuple[float, ...] = (1.0,)
    keep: float = 0.5


@dataclass(frozen=True)
class Score:
    """How a job did at a rung.

    Attributes:
        rung: its number. steps: of training until then.
        metric: of the task, one number for each seed; NaN for a network that has diverged.
        attacked: the same on inputs that are changed against each network, see `attack`; nothing if that is not asked.
    """

    rung: int
    steps: int
    metric: tuple[float, ...]
    attacked: tuple[float, ...] = ()

    @property
    def fitness(self) -> float:
        """The mean, in which a network that has diverged counts as one that has learnt nothing."""
        return sum(0.0 if m != m else m for m in self.metric) / len(self.metric)


class Stopped(Exception):
    """A training was given up because it was asked to."""


def train(
    task: Task, jobs: Sequence[Job], seeds: Sequence[int], part: Part, rungs: Rungs = Rungs(),
    device: torch.device | None = None, stopped: Callable[[], bool] = lambda: False, attack: float = 0.0,
) -> list[list[Score]]:  # fmt: skip
    """The scores of every job on `part`, one for each rung that it has reached; with an `attack` of that size, too.

    All networks of one seed start from the same weights and see the same batches, so that candidates differ in nothing
    but the loss. Networks never mix: one that diverges is set to rest and does not touch its neighbours. The result
    depends on nothing but the arguments, on the CPU bit for bit. `stopped` is asked before every step.

    Raises:
        Stopped: it said yes.
    """
    if not jobs:
        return []
    unit = _Unit(task, jobs, seeds, device or torch.device("cpu"))
    found: list[list[Score]] = [[] for _ in jobs]
    with chance(unit.stack.network, seeds[0]):
        for rung, share in enumerate(rungs.shares):
            until = round(share * task.recipe.steps)
            unit.advance(until, stopped)
            scores = unit.scores(rung, part, attack)
            for place, score in zip(unit.jobs, scores):
                found[place].append(score)
            if rung + 1 < len(rungs.shares):
                unit.only(_better(scores, rungs.keep))
    return found


def _better(scores: Sequence[Score], keep: float) -> list[int]:
    """The places of the better ones, in their order; of equals the earlier."""
    order = sorted(range(len(scores)), key=lambda n: -scores[n].fitness)
    return sorted(order[: max(1, round(keep * len(scores)))])


class _Unit:
    """Networks in job-major order, so that the outputs of a candidate are one block of rows for its kernel."""

    def __init__(self, task: Task, jobs: Sequence[Job], seeds: Sequence[int], device: torch.device) -> None:
        self.task, self.seeds, self.device = task, tuple(seeds), device
        self.jobs = list(range(len(jobs)))
        self._all = list(jobs)
        self._feed = Feed(task, seeds, device)
        networks = [n.to(device) for n in drawn(task.model, seeds)]
        self.stack = Stack(networks * len(jobs), self._feed.example)
        self._optimizer = optimizer_of(task.recipe)
        self._factors = factors(task.recipe).to(device)
        self._terms = self._optimizer.terms(task.recipe.steps).to(device)
        self._alive = torch.ones(len(self.stack), device=device)
        self._step = 0
        self._place = torch.zeros(1, dtype=torch.int64, device=device)
        self._shown: tuple[Tensor, ...] = ()
        self._bind()

    def _bind(self) -> None:
        """Buffers for as many candidates as there are, and nothing recorded yet of the work on them."""
        rows = len(self.seeds) * self._feed.batch
        shape = (len(self.jobs), rows, *[self.task.outputs] * (self.task.metric == "accuracy"))
        self._outputs = torch.zeros(shape, device=self.device)
        self._gradients = torch.zeros_like(self._outputs)
        self._target = torch.zeros(rows, dtype=self.task.train[1].dtype, device=self.device)
        chosen = [self._all[n] for n in self.jobs]
        rates = [job.rate for job in chosen for _ in self.seeds]
        self._rates = torch.tensor(rates, device=self.device)
        self._losses = bound([job.candidate for job in chosen], self._outputs, self._target, self._gradients)
        random = draws(self.stack.network)
        self._recorded = Recorded(self.device, "layers that draw are not recorded" if random else "")

    def advance(self, until: int, stopped: Callable[[], bool]) -> None:
        """Trains until a step."""
        for step in range(self._step, until):
            if stopped():
                raise Stopped
            if not self._feed.plain:
                self._show(*self._feed(step))
            self._recorded(self._one)
            if step % LOOK == LOOK - 1:
                self._rest()
        self._step = until

    def _show(self, inputs: Tensor, targets: Tensor) -> None:
        """What the step is to be done with, in tensors that stay."""
        if not self._shown:
            self._shown = torch.empty_like(inputs), torch.empty_like(targets)
        for kept, new in zip(self._shown, (inputs, targets)):
            kept.copy_(new)

    def _one(self) -> None:
        """A step that asks the host for nothing: where it stands is a tensor, too."""
        inputs, targets = self._shown or self._feed.at(self._place)
        self._target.copy_(targets.reshape(-1))
        every = inputs.expand(len(self.jobs), *inputs.shape).flatten(0, 1)
        outputs = self.stack(every)  # [M, batch, ...]
        self._outputs.copy_(outputs.detach().reshape(self._outputs.shape))
        self._losses()
        above = self._gradients.div_(self._feed.batch).reshape(outputs.shape)
        found = torch.autograd.grad(outputs, list(self.stack.parameters.values()), above)
        with torch.no_grad():
            rates = self._rates * self._alive * self._factors.index_select(0, self._place)[0]
            terms = self._terms.index_select(0, self._place)[0]
            self._optimizer.step(self.stack.parameters, dict(zip(self.stack.parameters, found)), rates, terms)
            self._place.add_(1)

    def _rest(self) -> None:
        """Networks that have diverged are set to 0 and stay there: NaN is slow on some processors, and says no more."""
        good = torch.ones(len(self.stack), dtype=torch.bool, device=self.device)
        for parameter in self.stack.parameters.values():
            good &= parameter.detach().isfinite().flatten(1).all(1)
        good &= self._outputs.reshape(len(self.stack), -1).isfinite().all(1)
        self._alive *= good
        if self.device.type == "cpu" and good.all():
            return  # a GPU would have to be waited for to know
        for kept in (self.stack.parameters, self.stack.buffers):
            for tensor in kept.values():
                tensor.detach().masked_fill_(~good.reshape(-1, *[1] * (tensor.dim() - 1)), 0)

    def only(self, kept: Sequence[int]) -> None:
        """Goes on with the jobs of these places."""
        seeds = len(self.seeds)
        members = torch.tensor([n * seeds + s for n in kept for s in range(seeds)], device=self.device)
        self.jobs = [self.jobs[n] for n in kept]
        self.stack.only(members)
        self._optimizer = self._optimizer.mapped(lambda state: state[members])
        self._alive = self._alive[members]
        self._bind()

    def scores(self, rung: int, part: Part, attack: float = 0.0) -> list[Score]:
        """Those of every job as it is now."""
        self._rest()
        found = self._metrics(part)
        harmed = self._metrics(part, attack) if attack else [()] * len(found)
        return [Score(rung, self._step, m, a) for m, a in zip(found, harmed)]

    def _metrics(self, part: Part, attack: float = 0.0) -> list[tuple[float, ...]]:
        """[jobs][seeds]"""
        inputs, targets = (t.to(self.device) for t in part)
        shown = pieces(inputs, len(self.stack) * (KEPT if attack else 1))
        if attack:
            parts = zip(shown, torch.split(targets, len(shown[0])))
            shown = [attacked(self.task, self.stack, x, t, attack) for x, t in parts]
        outputs = torch.cat([self.stack(x, training=False) for x in shown], dim=1)
        found = metric_of(self.task, outputs, targets)
        found[~(self._alive.bool() & outputs.flatten(1).isfinite().all(1))] = float("nan")
        return [tuple(row) for row in found.reshape(len(self.jobs), len(self.seeds)).double().tolist()]


def metric_of(task: Task, outputs: Tensor, targets: Tensor) -> Tensor:
    """The metric of networks [M]; `outputs` [M, samples, classes], or [M, samples, 1] or [M, samples] of one value."""
    if task.metric == "accuracy":
        return (outputs.argmax(-1) == targets).double().mean(-1)
    values, targets = outputs.reshape(len(outputs), -1).double(), targets.double()
    missed = (values - targets).square().sum(-1)
    return 1 - missed / (targets - targets.mean()).square().sum()


def smooth_of(task: Task, outputs: Tensor, targets: Tensor) -> Tensor:
    """What stands for the metric [M] where it has to have a derivative; arguments as in `metric_of`.

    Accuracy becomes the mean probability of the label. It is bounded, so a wrong label costs no more than one that is
    missed: the likelihood of noisy labels is highest for a loss that is sure of nothing.
    """
    if task.metric != "accuracy":
        return metric_of(task, outputs, targets)
    labels = targets.expand(len(outputs), -1)[..., None]
    return outputs.softmax(-1).gather(-1, labels).mean((1, 2))

"""What a worker of a search does: it has a task and the kernels of the losses that it met, and trains units of work."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal

from glo_dsl.evolve.device import device_named, placed
from glo_dsl.evolve.kernels import Candidate, build_candidates
from glo_dsl.evolve.tasks.named import task_named
from glo_dsl.evolve.tasks.task import Part, Task
from glo_dsl.evolve.train.slopes import slopes
from glo_dsl.evolve.train.unit import Job, Rungs, Score, train
from glo_dsl.lang.definitions import losses_of
from glo_dsl.lang.loss import Loss

Options = Mapping[str, Any]
"""Arguments of `task_named`, as JSON has them."""

PartName = Literal["validation", "test"]

REMEMBERED = 512
"""Kernels that a worker keeps."""

TEXTS = 4096
"""Texts whose losses a process keeps."""


class Trainer:
    """Trains units of one task on a device; see `Evaluator`.

    A unit is {"jobs": [{"text", "rate"}, ...], "seeds", "steps", "keep", "part"}: losses as `.glo` text with their
    learning rates; seeds of the networks; after how many steps they are judged; the share that goes on after each but
    the last; the part that they are judged on. Its result is {"scores": [[[steps, [metric of each seed]], ...] of each
    job], "built": seconds of building kernels, "seconds": all of them}; None stands for a network that has diverged.

    With "attack": a size above 0, [metric of each seed] is followed by another list: the metric of each seed on inputs
    that are changed by so much, see `train.attack`.

    With "slopes": True it has one job, the parameters of whose loss it differentiates by. Its result has "slopes" too:
    for each seed [what stands for the metric, its derivative by the logarithm of the rate, that by each parameter], or
    None. Such a unit is trained on the CPU.

    Raises:
        GloError: there is no such task, or no such device here.
    """

    def __init__(self, task: str, options: Options, device: str = "cpu") -> None:
        self._device = device_named(device)
        self._task = task_named(task, **options)
        self._placed = placed(self._task, self._device)
        self._kernels: dict[str, Candidate] = {}
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Ends the unit that runs, which raises; called by another thread."""
        self._stopped.set()

    def evaluate(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """The result of a unit."""
        start = time.perf_counter()
        if payload.get("slopes"):
            return self._slopes(payload, start)
        texts = [job["text"] for job in payload["jobs"]]
        self._build(texts)
        built = time.perf_counter() - start
        jobs = [Job(self._kernels[text], float(job["rate"])) for text, job in zip(texts, payload["jobs"])]
        steps, seeds = payload["steps"], payload["seeds"]
        task, part = _shown(self._placed, payload)
        rungs = Rungs(tuple(n / steps[-1] for n in steps), payload["keep"])
        attack = payload.get("attack", 0.0)
        scores = train(task, jobs, seeds, part, rungs, self._device, self._stopped.is_set, attack)
        found = [[_written(score) for score in each] for each in scores]
        return {"scores": found, "built": built, "seconds": time.perf_counter() - start}

    def _slopes(self, payload: Mapping[str, Any], start: float) -> dict[str, Any]:
        (job,) = payload["jobs"]
        task, part = _shown(self._task, payload)
        loss, rate = loss_of(job["text"]), float(job["rate"])
        found = slopes(task, loss, rate, payload["seeds"], part, stopped=self._stopped.is_set)
        each = [[s.smooth, s.by_rate, *s.by_constants] if s.usable else None for s in found]
        scores = [[[payload["steps"][-1], [_number(s.metric) for s in found]]]]
        return {"scores": scores, "slopes": each, "built": 0.0, "seconds": time.perf_counter() - start}

    def _build(self, texts: Sequence[str]) -> None:
        if len(self._kernels) > REMEMBERED:
            self._kernels.clear()
        new = [text for text in dict.fromkeys(texts) if text not in self._kernels]
        interpreted = self._device.type == "cpu"
        for text, candidate in zip(new, build_candidates([loss_of(text) for text in new], interpreted=interpreted)):
            self._kernels[text] = candidate


def trainer_of(task: str, options: Options, device: str = "cpu") -> partial[Trainer]:
    """A factory of trainers, which can be sent to other processes."""
    return partial(Trainer, task, dict(options), device)


def _shown(task: Task, payload: Mapping[str, Any]) -> tuple[Task, Part]:
    """The task with the steps of a unit, and the part that it is judged on."""
    return task.shortened(payload["steps"][-1]), {"validation": task.validation, "test": task.test}[payload["part"]]


_KNOWN: OrderedDict[str, Loss] = OrderedDict()
_LOCK = threading.Lock()


def loss_of(text: str) -> Loss:
    """The one loss of a text."""
    with _LOCK:
        found = _KNOWN.get(text)
    if found is None:
        (found,) = losses_of(text).values()
        remember(text, found)
    return found


def remember(text: str, loss: Loss) -> None:
    """Spares trainers of this process the reading of a text that was made from a loss."""
    with _LOCK:
        _KNOWN[text] = loss
        while len(_KNOWN) > TEXTS:
            _KNOWN.popitem(last=False)


def _written(score: Score) -> list[Any]:
    more = [[_number(m) for m in score.attacked]] if score.attacked else []
    return [score.steps, [_number(m) for m in score.metric], *more]


def _number(metric: float) -> float | None:
    return None if math.isnan(metric) else metric

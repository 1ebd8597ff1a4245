"""Workers that are actors of a Ray cluster, on this machine or on many."""

from __future__ import annotations

import logging
import socket
import time
from typing import Any

from glo_dsl.errors import GloError
from glo_dsl.evolve.executors.dispatch import News
from glo_dsl.evolve.executors.executor import Factory
from glo_dsl.evolve.executors.worker import ONE_THREAD, Trouble, Worker

LOOK = 0.5
"""Seconds that Ray is waited for at a time, so that Ctrl-C is heard."""


class Actors:
    """Actors of one core each, and of one GPU if they need it. One that died is replaced by a new one, wherever the
    cluster has room.

    A cluster that this process is connected to already is used as it is, and stays connected.

    Args:
        factory: makes an evaluator; its module must be there on every machine of the cluster.
        address: of a cluster that runs; without one, Ray is started here, with `workers` cores.
        gpu: whether each has a GPU of its own, which is its `cuda:0`.

    Raises:
        GloError: Ray is not installed, or does not answer at the address, or its cluster has no GPU.
        TypeError: the factory cannot be pickled.
    """

    def __init__(
        self, factory: Factory, time_limit: float | None = None, address: str | None = None,
        workers: int | None = None, gpu: bool = False,
    ) -> None:  # fmt: skip
        self._ray = _ray()
        try:
            self._factory: bytes = self._ray.cloudpickle.dumps(factory)
        except Exception as error:
            raise TypeError(f"the factory cannot be pickled: {error}") from error
        self._time_limit = time_limit
        self._ours = not self._ray.is_initialized()
        if self._ours:
            _connect(self._ray, address, workers)
        self._actors: dict[int, Any] = {}
        self._calls: dict[Any, int] = {}
        self._ends: dict[int, float] = {}
        self._resource = "GPU" if gpu else "CPU"
        if gpu and not self._ray.cluster_resources().get("GPU"):
            self.close()
            raise GloError("the Ray cluster has no GPU", hint="--device cpu trains on its cores")
        options = {
            "num_cpus": 1, "num_gpus": int(gpu), "max_restarts": 0, "max_task_retries": 0,
            "runtime_env": {"env_vars": ONE_THREAD},
        }  # fmt: skip
        self._actor = self._ray.remote(**options)(Worker)

    def room(self) -> int:
        """How many actors the whole cluster has GPUs for, or cores, now."""
        return max(1, int(self._ray.cluster_resources().get(self._resource, 1)))

    def start(self, worker: int) -> None:
        self._actors[worker] = actor = self._actor.remote()
        self._calls[actor.prepare.remote(self._factory)] = worker

    def begin(self, worker: int, payload: bytes) -> None:
        self._calls[self._actors[worker].run.remote(payload)] = worker
        if self._time_limit is not None:
            self._ends[worker] = time.monotonic() + self._time_limit

    def news(self, wait: float | None) -> list[News]:
        until = float("inf") if wait is None else time.monotonic() + wait
        while True:
            pause = max(0.0, min([LOOK, *(end - time.monotonic() for end in (until, *self._ends.values()))]))
            ready, _ = self._ray.wait(list(self._calls), num_returns=1, timeout=pause)
            if ready:  # and those that came with it
                ready, _ = self._ray.wait(list(self._calls), num_returns=len(self._calls), timeout=0)
            news = [self._told(call) for call in ready] + self._overdue()
            if news or time.monotonic() >= until:
                return news

    def _told(self, call: Any) -> News:
        worker = self._calls.pop(call)
        self._ends.pop(worker, None)
        try:
            return self._settled(News.answer(worker, self._ray.get(call)))
        except self._ray.exceptions.RayError as error:
            return self._settled(News(worker, "died", trouble=Trouble(f"the worker died ({_why(error)})", "")))

    def _overdue(self) -> list[News]:
        now = time.monotonic()
        late = [worker for worker, end in self._ends.items() if end <= now]
        self._calls = {call: worker for call, worker in self._calls.items() if worker not in late}
        limit = f"over the time limit of {self._time_limit or 0:g} s"
        return [self._settled(News(worker, "timeout", trouble=Trouble(limit, ""))) for worker in late]

    def _settled(self, news: News) -> News:
        """The same, and an actor of no more use is killed."""
        if news.last:
            self._ends.pop(news.worker, None)
            self._ray.kill(self._actors.pop(news.worker))
        return news

    def close(self) -> None:
        if self._ray.is_initialized():  # else whoever connected to the cluster has left it, and the actors are gone
            for actor in self._actors.values():
                self._ray.kill(actor)
        self._actors.clear()
        self._calls.clear()
        if self._ours:
            self._ray.shutdown()


def _ray() -> Any:
    try:
        import ray
        import ray.cloudpickle
        import ray.exceptions
    except ImportError:
        raise GloError("the executor ray needs Ray", hint="pip install 'glo-dsl[ray]'") from None
    return ray


def _connect(ray: Any, address: str | None, workers: int | None) -> None:
    if address is None:
        ray.init(num_cpus=workers, include_dashboard=False, **_QUIET)
        return
    host, _, port = address.rpartition("://")[2].rpartition(":")
    try:
        if port.isdecimal():  # Ray would try for five minutes, then end the process
            socket.create_connection((host, int(port)), timeout=10).close()
        ray.init(address=address, **_QUIET)
    except (OSError, OverflowError, ValueError, RuntimeError, SystemExit) as error:
        raise GloError(f"no Ray cluster at {address}: {error}", hint="`ray status` there shows its address") from error


_QUIET = {"log_to_driver": False, "logging_level": logging.ERROR}


def _why(error: Exception) -> str:
    """The first line of what Ray says of a death; the rest is about its log files."""
    return str(error).strip().split("\n", 1)[0] or type(error).__name__

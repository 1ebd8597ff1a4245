"""Workers that are processes of this machine: they can be killed, and may die, without harm to what drives them."""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from multiprocessing.context import SpawnContext, SpawnProcess
from multiprocessing.process import parent_process
from queue import Empty, SimpleQueue
from typing import Any

from glo_dsl.errors import GloError
from glo_dsl.evolve.executors.dispatch import News
from glo_dsl.evolve.executors.executor import Factory
from glo_dsl.evolve.executors.worker import ONE_THREAD, Prepared, Trouble, Worker

LOOK = 0.2
"""Seconds between looks whether workers have gone unnoticed."""


class Processes:
    """Processes by pebble, which ends those that take too long and tells of those that died.

    Each worker is a pool of its own. In a pool of several, one that is killed while idle breaks the pool, and one that
    is killed while it holds the lock of their common pipe blocks the others.

    Raises:
        GloError: pebble is not installed.
        TypeError: the factory cannot be pickled.
    """

    def __init__(self, factory: Factory, time_limit: float | None = None) -> None:
        self._new_pool = _pools()
        try:
            self._factory = pickle.dumps(factory)
        except Exception as error:
            raise TypeError(
                f"the factory cannot be pickled: {error}; functions of a module, and functools.partial of them, can"
            ) from error
        self._time_limit = time_limit
        self._seats: dict[int, _Seat] = {}
        self._next_look = 0.0
        self._heard: SimpleQueue[tuple[int, Future[Any]]] = SimpleQueue()

    def start(self, worker: int) -> None:
        context = _Context()
        self._seats[worker] = _Seat(self._new_pool(max_workers=1, context=context), context)
        self._call(worker, _prepare, self._factory)

    def begin(self, worker: int, payload: bytes) -> None:
        self._call(worker, _run, payload, self._time_limit)

    def _call(self, worker: int, function: Callable[..., Any], argument: bytes, limit: float | None = None) -> None:
        seat = self._seats[worker]
        try:
            seat.call = seat.pool.schedule(function, args=(argument,), timeout=limit)
        except RuntimeError as error:  # the worker died while it was idle, and its pool with it
            seat.call = Future()
            seat.call.set_exception(error)
        seat.call.add_done_callback(lambda call: self._heard.put((worker, call)))

    def news(self, wait: float | None) -> list[News]:
        until = float("inf") if wait is None else time.monotonic() + wait
        while True:
            lost = self._look()
            if lost:
                return lost
            try:
                worker, call = self._heard.get(timeout=max(0.0, min(LOOK, until - time.monotonic())))
            except Empty:
                if time.monotonic() >= until:
                    return []
                continue
            seat = self._seats.get(worker)
            if seat is not None and seat.call is call:  # else it is of a worker that was given up
                return [self._settled(self._told(worker, call))]

    def _look(self) -> list[News]:
        if time.monotonic() < self._next_look:
            return []
        self._next_look = time.monotonic() + LOOK
        lost = [worker for worker, seat in self._seats.items() if seat.lost()]
        return [self._settled(self._gone(worker)) for worker in lost]

    def _told(self, worker: int, call: Future[Any]) -> News:
        """What the end of a call means. What the evaluator raised comes as a value: an exception is one of pebble's."""
        self._seats[worker].call = None
        error = call.exception()
        if isinstance(error, TimeoutError) and not self._seats[worker].context.left():
            return News(worker, "timeout", trouble=Trouble(f"over the time limit of {self._time_limit:g} s", ""))
        if error is not None:
            return self._gone(worker)
        return News.answer(worker, call.result())

    def _gone(self, worker: int) -> News:
        return News(worker, "died", trouble=Trouble(f"the worker died ({self._seats[worker].context.fate()})", ""))

    def _settled(self, news: News) -> News:
        """The same, and the pool of a worker that is no more is closed."""
        if news.last:
            pool = self._seats.pop(news.worker).pool
            pool.stop()
            pool.join()
        return news

    def close(self) -> None:
        for seat in self._seats.values():
            seat.pool.stop()
        for seat in self._seats.values():
            seat.pool.join()
        self._seats.clear()


class _Seat:
    """A worker as the driver sees it: its pool, and the call that it is at."""

    def __init__(self, pool: Any, context: _Context) -> None:
        self.pool, self.context = pool, context
        self.call: Future[Any] | None = None
        self._missed = False

    def lost(self) -> bool:
        """Whether its process has ended and pebble said nothing of it at two looks: so it is after an exit with 0."""
        ended = self.call is not None and not self.call.done() and self.context.ended()
        self._missed, before = ended, self._missed
        return ended and before


class _Context(SpawnContext):
    """Starts one worker, and keeps it in sight. What pebble starts after that is not used."""

    def __init__(self) -> None:
        self._worker: SpawnProcess | None = None

    def Process(self, *args: Any, **kwargs: Any) -> SpawnProcess:  # type: ignore[override]
        process = _Process(*args, **kwargs)
        self._worker = self._worker or process
        return process

    def ended(self) -> bool:
        return self._worker is not None and self._worker.pid is not None and not self._worker.is_alive()

    def left(self) -> bool:
        """Whether it ended by itself, and said that all was well: of this pebble takes no note."""
        return self.ended() and self._worker is not None and self._worker.exitcode == 0

    def fate(self) -> str:
        """How the worker ended."""
        code = None if self._worker is None else self._worker.exitcode
        if code is None:
            return "it did not start"
        return f"exit code {code}" if code >= 0 else f"killed by {_SIGNALS.get(-code, f'signal {-code}')}"


_SIGNALS = {int(known): known.name for known in signal.Signals}


class _Process(SpawnProcess):
    """A process that has one thread for arithmetic, and for which Ctrl-C is not meant, from its first moment on."""

    def start(self) -> None:
        with _STARTING, _environment(ONE_THREAD), _no_interrupt():
            super().start()


_STARTING = threading.Lock()


@contextmanager
def _environment(extra: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in extra}
    os.environ.update(extra)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _no_interrupt() -> Iterator[None]:
    """Blocks SIGINT, which a new process inherits: else Ctrl-C while it imports prints a traceback for each worker."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _pools() -> Callable[..., Any]:
    try:
        from pebble import ProcessPool
    except ImportError:
        raise GloError("worker processes need pebble", hint="pip install 'glo-dsl[search]'") from None
    return ProcessPool  # type: ignore[no-any-return]


_WORKER = Worker()
"""What this process is, if it is a worker: pebble passes functions, which find it here."""


def _prepare(factory: bytes) -> Prepared:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a handler in Python waits until a kernel returns; a limit does not
    threading.Thread(target=_end_with_the_driver, daemon=True).start()
    return _WORKER.prepare(factory)


def _run(payload: bytes) -> bytes | Trouble:
    return _WORKER.run(payload)


def _end_with_the_driver() -> None:
    """Idle workers end with the driver by themselves, when their pipe does. This ends one at a long unit too."""
    driver = parent_process()
    if driver is not None:
        driver.join()
        os._exit(1)

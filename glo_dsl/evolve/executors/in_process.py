"""Workers that are threads of this process: nothing to start, nothing to copy, and nothing that can be killed."""

from __future__ import annotations

from queue import Empty, SimpleQueue
from threading import Thread

from glo_dsl.evolve.executors.dispatch import News
from glo_dsl.evolve.executors.executor import Factory
from glo_dsl.evolve.executors.worker import Worker

PATIENCE = 20.0
"""Seconds that `close` waits for a thread which was asked to stop, and may have a compiler to wait for itself."""


class Threads:
    """Threads with an evaluator each. They share the cores well as long as the work is in PyTorch and in kernels.

    A thread cannot be killed: `close` asks the evaluators to stop and waits a little; a unit whose evaluator cannot, or
    does not listen, goes on to its end, unheard. One that crashes takes the process with it.
    """

    def __init__(self, factory: Factory) -> None:
        self._factory = factory
        self._inboxes: dict[int, SimpleQueue[bytes | None]] = {}
        self._news: SimpleQueue[News] = SimpleQueue()
        self._threads: list[tuple[Thread, Worker]] = []

    def start(self, worker: int) -> None:
        self._inboxes[worker] = SimpleQueue()
        serving = Worker()
        arguments = (worker, serving, self._inboxes[worker])
        thread = Thread(target=self._serve, args=arguments, name=f"glo-{worker}", daemon=True)
        self._threads.append((thread, serving))
        thread.start()

    def begin(self, worker: int, payload: bytes) -> None:
        self._inboxes[worker].put(payload)

    def news(self, wait: float | None) -> list[News]:
        try:
            return [self._news.get(timeout=wait)]
        except Empty:
            return []

    def close(self) -> None:
        for inbox in self._inboxes.values():
            inbox.put(None)
        for _, worker in self._threads:
            worker.stop()
        for thread, worker in self._threads:
            if worker.stops:  # a thread that computes while the interpreter ends takes it down
                thread.join(PATIENCE)

    def _serve(self, name: int, worker: Worker, inbox: SimpleQueue[bytes | None]) -> None:
        self._news.put(News.answer(name, worker.prepare(self._factory)))
        while (payload := inbox.get()) is not None:
            self._news.put(News.answer(name, worker.run(payload)))

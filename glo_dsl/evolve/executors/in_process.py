"""Workers that are threads of this process: nothing to start, nothing to copy, and nothing that can be killed."""

from __future__ import annotations

from queue import Empty, SimpleQueue
from threading import Thread

from glo_dsl.evolve.executors.dispatch import News
from glo_dsl.evolve.executors.executor import Factory
from glo_dsl.evolve.executors.worker import Worker


class Threads:
    """Threads with an evaluator each. They share the cores well as long as the work is in PyTorch and in kernels.

    A thread cannot be stopped: after `close` a unit that runs goes on to its end, unheard, and one that crashes takes
    the process with it.
    """

    def __init__(self, factory: Factory) -> None:
        self._factory = factory
        self._inboxes: dict[int, SimpleQueue[bytes | None]] = {}
        self._news: SimpleQueue[News] = SimpleQueue()

    def start(self, worker: int) -> None:
        self._inboxes[worker] = SimpleQueue()
        Thread(target=self._serve, args=(worker, self._inboxes[worker]), name=f"glo-{worker}", daemon=True).start()

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

    def _serve(self, name: int, inbox: SimpleQueue[bytes | None]) -> None:
        worker = Worker()
        self._news.put(News.answer(name, worker.prepare(self._factory)))
        while (payload := inbox.get()) is not None:
            self._news.put(News.answer(name, worker.run(payload)))

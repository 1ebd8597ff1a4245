"""Logs a search, without ever being in its way: each logger has a thread of its own, and may fail.

What a search has said is put in line. A server that does not answer, or a disk that is full, costs the points that it
would have got, and one warning.
"""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Self

from glo_dsl.evolve.config import Config
from glo_dsl.evolve.progress import Progress
from glo_dsl.evolve.verify import Outcome
from glo_dsl.evolve.writers.figures import figures_of, result_of, settings_of
from glo_dsl.evolve.writers.named import OPENINGS
from glo_dsl.evolve.writers.notes import Notes
from glo_dsl.evolve.writers.writer import Opening, Writer

PATIENCE = 60.0
"""Seconds that are waited, when the search has ended, for what is in line; a tenth of it if it was stopped, or if the
logger has failed before."""

Job = Callable[[], None]


class Log:
    """Logs a search to loggers by their names, in `with`.

    Raises:
        GloError: the notes of an earlier log are damaged.
    """

    def __init__(
        self, names: Sequence[str], directory: Path, config: Config,
        openings: Mapping[str, Opening] = OPENINGS,
    ) -> None:  # fmt: skip
        notes = Notes(directory, names) if names else None
        self._threads = [
            _Thread(name, directory, config, openings[name], notes) for name in dict.fromkeys(names) if notes
        ]
        self._generation = -1
        self._since = time.monotonic(), 0

    def show(self, step: Progress) -> None:
        """Takes note of what the search says: a generation is logged when it has ended."""
        if self._threads and step.generation is not None and step.generation.number > self._generation:
            self._generation = number = step.generation.number
            figures = figures_of(step, self._speed(step.fresh))
            for thread in self._threads:
                thread.put_figures(number, step.trainings, figures)

    def _speed(self, fresh: int) -> float | None:
        """Trainings a second since the generation before; None where all are out of the book."""
        (then, before), self._since = self._since, (time.monotonic(), fresh)
        return (fresh - before) / max(1e-9, self._since[0] - then) if fresh > before else None

    def end(self, outcome: Outcome, texts: dict[str, str]) -> None:
        """Logs what was found, and files by their names."""
        for thread in self._threads:
            thread.put_result(outcome.in_all, result_of(outcome), texts)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for thread in self._threads:
            thread.end(kind is None)
        for thread in self._threads:
            thread.wait(PATIENCE if kind is None else PATIENCE / 10)


class _Thread:
    """Writes to one logger what it is given, one after the other."""

    def __init__(self, name: str, directory: Path, config: Config, opening: Opening, notes: Notes) -> None:
        self._name, self._directory, self._config, self._opening, self._notes = name, directory, config, opening, notes
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._writer: Writer | None = None
        self._trouble = ""
        self._warned = False
        self._finished = False
        self._thread = threading.Thread(target=self._serve, name=f"glo-log-{name}", daemon=True)
        self._thread.start()

    def put_figures(self, generation: int, at: int, figures: dict[str, float]) -> None:
        def job() -> None:
            if generation > self._notes.of(self._name).generation:
                writer = self._open()
                self._notes.change(self._name, generation=generation)  # first, so that none is written twice
                writer.figures(at, figures)

        self._put(job)

    def put_result(self, at: int, figures: dict[str, float], texts: dict[str, str]) -> None:
        def job() -> None:
            if not self._notes.of(self._name).ended:
                writer = self._open()
                self._notes.change(self._name, ended=True)
                writer.figures(at, figures)
                for name, text in texts.items():
                    writer.text(name, text)

        self._put(job)

    def _put(self, job: Job) -> None:
        self._jobs.put(job)
        self._warn()

    def end(self, finished: bool) -> None:
        """What is in line is the last."""
        self._finished = finished
        self._jobs.put(None)

    def wait(self, seconds: float) -> None:
        """Until all is written, or the time is over."""
        self._thread.join(seconds / 10 if self._trouble else seconds)
        if self._thread.is_alive():
            self._trouble = self._trouble or f"it did not take everything within {seconds:.0f} s"
        self._warn()

    def _warn(self) -> None:
        """Once, and by the thread of the search, whose warnings they are."""
        if self._trouble and not self._warned:
            self._warned = True
            warnings.warn(f"logging to {self._name} failed: {self._trouble}; the search is not touched", stacklevel=4)

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._try(job)
        if self._writer is not None:
            writer = self._writer
            self._try(lambda: writer.close(self._finished))

    def _try(self, work: Job) -> None:
        try:
            work()
        except Exception as error:
            first = (str(error).strip() or type(error).__name__).splitlines()[0]
            self._trouble = self._trouble or "".join(c if c.isprintable() else " " for c in first)[:200]

    def _open(self) -> Writer:
        """The writer; its run is noted as soon as there is one, whatever goes wrong after."""
        if self._writer is None:
            run = self._notes.of(self._name).run
            writer = self._opening(self._directory, run or None)
            self._writer = writer
            if writer.run != run:
                self._notes.change(self._name, run=writer.run)
                self._try(lambda: writer.parameters(settings_of(self._config)))
                self._try(lambda: writer.text("space.glo", self._config.space))
        return self._writer

"""Runs sections one after the other in a process of their own, which may hang or die: the next ones get another."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from on_gpu.setting import Section, Setting, command, environment

GRACE = 20.0
"""Seconds in which a section has to notice that its time is over."""

LEAST = 10.0
"""Seconds that every section gets, however late it is."""

BUILDERS = 6
Event = dict[str, Any]


class Worker:
    """A process that runs sections; `line` starts it."""

    def __init__(self, line: Sequence[str], environment: dict[str, str], log: Path) -> None:
        self._process = started(line, environment, log, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._events: queue.Queue[Event | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with self._process.stdout as lines:
            for text in lines:
                self._events.put(json.loads(text))
        self._events.put(None)

    def run(self, section: str, seconds: float, keep: Callable[[Event], None]) -> Event:
        """Runs a section and keeps what it finds.

        Returns:
            how it ended; `dead` says that this process can run no other.
        """
        print(json.dumps({"section": section, "seconds": seconds}), file=self._process.stdin, flush=True)
        last = time.monotonic() + seconds + GRACE
        while True:
            try:
                event = self._events.get(timeout=max(0.0, last - time.monotonic()))
            except queue.Empty:
                return {"ended": f"killed: it took more than {seconds:.0f} s", "dead": True}
            if event is None:
                return {"ended": f"its process died: exit code {self._process.wait()}", "dead": True}
            if "ended" in event:
                return event
            keep(event["result"])

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> None:
        """Ends the process, whatever it does."""
        stop(self._process)
        self._reader.join()
        with suppress(OSError):  # what it did not read is lost
            self._process.stdin.close()


def started(line: Sequence[str], environment: dict[str, str], log: Path, **pipes: Any) -> subprocess.Popen[str]:
    """A process with a group of its own, whose complaints go to a log."""
    with open(log, "a") as complaints:
        return subprocess.Popen(
            line,
            env=environment,
            stderr=complaints,
            text=True,
            start_new_session=True,
            **{"stdout": complaints, **pipes},
        )


def stop(process: subprocess.Popen[str]) -> None:
    """Ends a process and whatever it has started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


class Builders:
    """Processes that build kernels for sections to come."""

    def __init__(self, setting: Setting, sections: Sequence[Section], log: Path) -> None:
        names = ",".join(section.name for section in sections)
        count = 1 if setting.rehearsal else max(1, min(BUILDERS, (os.cpu_count() or 1) // 2))
        # They need no threads of their own to compile: there are several of them.
        env = environment(setting, TORCHINDUCTOR_COMPILE_THREADS="1")
        self._processes = [
            started(command("ahead", setting, names, str(part), str(count)), env, log)
            for part in range(count * bool(names))
        ]

    def finish(self, seconds: float) -> bool:
        """Waits that long at most for all of them; whether they were done."""
        last, done = time.monotonic() + seconds, True
        for process in self._processes:
            try:
                process.wait(timeout=max(0.0, last - time.monotonic()))
            except subprocess.TimeoutExpired:
                done = False
                stop(process)
        self._processes = []
        return done


def drive(
    sections: Sequence[Section], line: Sequence[str], environment: dict[str, str], log: Path,
    begun: Callable[[Section], None], keep: Callable[[Section, Event], None], ended: Callable[[Section, Event], None],
) -> None:  # fmt: skip
    """Runs sections; what one leaves of its time is for those after it, what it takes too much is theirs."""
    worker: Worker | None = None
    start, given = time.monotonic(), 0.0
    for section in sections:
        begun(section)
        given += section.seconds
        if worker is None or not worker.alive:
            worker = Worker(line, environment, log)
        began = time.monotonic()
        seconds = max(LEAST, given - (began - start))
        end = worker.run(section.name, seconds, lambda event, section=section: keep(section, event))
        ended(section, {**end, "seconds": round(time.monotonic() - began, 1)})
        if end.get("dead"):
            worker.stop()
    if worker is not None:
        worker.stop()

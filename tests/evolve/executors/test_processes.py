"""Worker processes when their driver ends: by Ctrl-C, or without warning."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Driver = Callable[..., tuple["subprocess.Popen[str]", list[int]]]


def until(condition: Callable[[], object]) -> None:
    """Returns when it holds; a test that waits for ever fails."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it does not come true"
        time.sleep(0.02)


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[Driver]:
    """Starts a driver with two workers; gives it, and the processes of its workers once both are at their units."""
    started: list[subprocess.Popen[str]] = []
    workers: list[int] = []

    def start(kind: str, do: str, settled: bool = True) -> tuple[subprocess.Popen[str], list[int]]:
        command = [sys.executable, "-m", "tests.evolve.executors.driver", kind, do, str(tmp_path)]
        process = subprocess.Popen(
            command, cwd=Path(__file__).parents[3], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip
        started.append(process)
        assert process.stdout is not None
        process.stdout.readline()
        if not settled:
            return process, []
        until(lambda: len(list(tmp_path.glob("*/*"))) == 2)
        workers.extend(int(mark.name.rpartition("-")[2]) for mark in tmp_path.glob("*/*"))
        assert all(map(alive, workers)) and process.pid not in workers
        return process, workers

    yield start
    for process in started:
        process.kill()
        process.communicate()
    for worker in filter(alive, workers):
        os.kill(worker, signal.SIGKILL)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("do", ["hang", "spin"])
def test_workers_end_with_a_driver_that_is_killed(driver: Driver, do: str) -> None:
    process, workers = driver("processes", do)
    process.kill()
    until(lambda: not any(map(alive, workers)))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_ctrl_c_interrupts_the_driver_alone_and_ends_its_workers(driver: Driver) -> None:
    process, workers = driver("processes", "spin")
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert errors.count("Traceback") == 1 and errors.rstrip().endswith("KeyboardInterrupt")
    assert not any(map(alive, workers))


def test_ctrl_c_does_not_reach_workers_that_are_just_started(driver: Driver) -> None:
    process, _ = driver("processes", "spin", settled=False)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert errors.count("Traceback") == 1 and errors.rstrip().endswith("KeyboardInterrupt")

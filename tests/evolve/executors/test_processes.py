"""Worker processes whose driver ends, by Ctrl-C or without warning; and those that end in odd ways themselves."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from glo_dsl.evolve.executors.executor import Finished
from glo_dsl.evolve.executors.named import executor_named
from tests.evolve.executors.workload import Workload

Driver = Callable[[str, str], tuple["subprocess.Popen[str]", list[int]]]


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

    def start(kind: str, do: str) -> tuple[subprocess.Popen[str], list[int]]:
        command = [sys.executable, "-m", "tests.evolve.executors.driver", kind, do, str(tmp_path)]
        process = subprocess.Popen(
            command, cwd=Path(__file__).parents[3], stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        started.append(process)
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


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_ctrl_c_does_not_reach_workers_from_their_first_moment_on() -> None:
    """Blocked, so that they do not hear of it while they import; Python ignores it only after that."""
    with executor_named("processes", 1, Workload) as executor:
        executor.submit(1, {"do": "who"})
        ((process, *_),) = [unit.result for unit in executor.finished()]
        (blocked,) = re.findall(r"^SigBlk:\s*(\w+)$", Path(f"/proc/{process}/status").read_text(), re.M)
    assert int(blocked, 16) & 1 << (signal.SIGINT - 1)
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


@pytest.mark.parametrize("limit", [None, 0.3])
def test_a_worker_that_leaves_as_if_all_were_well_has_died(limit: float | None) -> None:
    before = multiprocessing.active_children()
    with executor_named("processes", 1, Workload, limit, retries=0) as executor:
        executor.submit(1, {"do": "leave"})
        assert list(executor.finished(60.0)) == [Finished(1, "died", failure="the worker died (exit code 0)")]
        assert set(multiprocessing.active_children()) <= set(before), "its pool goes on"


def test_a_worker_that_has_long_been_dead_is_replaced() -> None:
    with executor_named("processes", 1, Workload) as executor:
        executor.submit(1, {"do": "who"})
        ((process, *_),) = [unit.result for unit in executor.finished()]
        os.kill(process, signal.SIGKILL)
        until(lambda: process not in [child.pid for child in multiprocessing.active_children()])
        time.sleep(0.5)  # pebble notices, and gives its pool up
        executor.submit(2, {"do": "value", "value": 3})
        assert list(executor.finished(60.0)) == [Finished(2, "done", 3)]

"""Ray: a cluster of two machines, one of which is lost; a driver that is lost; a cluster that is not there."""

from __future__ import annotations

import os
import signal
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from glo_dsl import GloError
from glo_dsl.evolve.executors.executor import Finished
from glo_dsl.evolve.executors.named import executor_named
from tests.evolve.executors.test_processes import Driver, alive, driver, until  # noqa: F401
from tests.evolve.executors.workload import Workload

ray = pytest.importorskip("ray", reason="Ray is not installed: make ray")


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A head with one core, and a second node with two."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.second = cluster.add_node(num_cpus=2)
    yield cluster
    cluster.shutdown()


def test_a_node_is_lost_and_no_unit(cluster: Any, tmp_path: Path) -> None:
    """All three workers are at a unit when the node of two is killed; what they were at is done on the other."""
    go = tmp_path / "go"
    marks = [tmp_path / str(number) for number in range(9)]
    ended: list[Finished] = []
    with executor_named("ray", None, Workload, address=cluster.address) as executor:
        assert executor.capacity == 3
        for number, mark in enumerate(marks):
            executor.submit(number, {"do": "until", "value": str(go), "mark": str(mark)})
        while sum(mark.exists() for mark in marks) < 3:
            assert not list(executor.finished(0.1))
        processes = [int(one.name.rpartition("-")[2]) for mark in marks if mark.exists() for one in mark.iterdir()]
        cluster.remove_node(cluster.second, allow_graceful=False)
        until(lambda: sum(map(alive, processes)) == 1)
        go.touch()
        while len(ended) < 9:
            ended += executor.finished()
        assert not list(executor.finished())
    assert Counter(unit.number for unit in ended) == Counter(range(9))
    assert {unit.kind for unit in ended} == {"done"}
    assert sum(len(list(mark.iterdir())) for mark in marks) == 9 + 2
    assert not ray.is_initialized()


def test_what_a_driver_started_ends_when_it_is_killed(driver: Driver) -> None:  # noqa: F811
    process, workers = driver("ray", "hang")
    process.kill()
    until(lambda: not any(map(alive, workers)))


def test_ctrl_c_interrupts_the_driver_and_ends_what_it_started(driver: Driver) -> None:  # noqa: F811
    process, workers = driver("ray", "spin")
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert errors.count("Traceback") == 1 and errors.rstrip().endswith("KeyboardInterrupt")
    until(lambda: not any(map(alive, workers)))


def test_a_cluster_that_is_not_there_is_said_to_be_so() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    for wrong in (address, "auto", "127.0.0.1:99999"):
        with pytest.raises(GloError, match=f"no Ray cluster at {wrong}: ") as error:
            executor_named("ray", 1, Workload, address=wrong)
        assert error.value.hint is not None and "ray status" in error.value.hint


def test_a_cluster_without_a_gpu_is_said_to_have_none() -> None:
    with pytest.raises(GloError, match="the Ray cluster has no GPU") as error:
        executor_named("ray", 1, Workload, gpu=True)
    assert error.value.hint == "--device cpu trains on its cores"


def test_a_factory_of_the_script_itself_can_travel() -> None:
    """Ray takes along what is defined in `__main__`, or in a function."""

    class Local:
        def evaluate(self, payload: int) -> int:
            return payload + 1

    with executor_named("ray", 1, Local) as executor:
        executor.submit(0, 1)
        assert list(executor.finished()) == [Finished(0, "done", 2)]


def test_a_factory_that_cannot_travel_is_refused() -> None:
    with socket.socket() as handle, pytest.raises(TypeError, match="the factory cannot be pickled"):
        executor_named("ray", 1, lambda: handle)  # type: ignore[arg-type, return-value]

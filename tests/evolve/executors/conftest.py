"""Executors of every kind, with evaluators that do what a test says. Ray is tried where it is installed: `make ray`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from glo_dsl.evolve.executors.executor import Executor, Factory
from glo_dsl.evolve.executors.named import executor_named
from tests.evolve.executors.workload import Workload

Make = Callable[..., Executor]


@pytest.fixture(scope="module")
def ray_here() -> Iterator[None]:
    """Ray on this machine, started once for a module: executors use it as they find it."""
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=3, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> str:
    """The kind of executor that a test is run with, by the parameter `kind`."""
    if request.param == "ray":
        request.getfixturevalue("ray_here")
    return str(request.param)


@pytest.fixture
def make(kind: str) -> Iterator[Make]:
    """Makes executors of the kind, closed after the test."""
    with ExitStack() as stack:

        def made(factory: Factory, workers: int = 2, **settings: object) -> Executor:
            return stack.enter_context(executor_named(kind, workers, factory, **settings))  # type: ignore[arg-type]

        yield made


@pytest.fixture(scope="module")
def long_lived() -> Iterator[Callable[[str], Executor]]:
    """One executor of each kind for all tests that leave its workers in health: they take a second to start."""
    with ExitStack() as stack:
        kept: dict[str, Executor] = {}

        def of(kind: str) -> Executor:
            if kind not in kept:
                kept[kind] = stack.enter_context(executor_named(kind, 2, Workload))
            return kept[kind]

        yield of


@pytest.fixture
def executor(kind: str, long_lived: Callable[[str], Executor]) -> Executor:
    """The long-lived one, with nothing in flight."""
    found = long_lived(kind)
    assert not list(found.finished(0))
    return found

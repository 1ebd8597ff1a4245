"""Executors by the names that commands know them by."""

from __future__ import annotations

from glo_dsl.errors import GloError, did_you_mean
from glo_dsl.evolve.executors.dispatch import Dispatch, Place, cores
from glo_dsl.evolve.executors.executor import Executor, Factory

NAMES = ("in-process", "processes", "ray")


def executor_named(
    name: str, workers: int | None, factory: Factory, time_limit: float | None = None, address: str | None = None,
    retries: int = 2, gpu: bool = False,
) -> Executor:  # fmt: skip
    """An executor, to be used in `with`; its workers are started when there are units for them.

    Args:
        name: "in-process", threads; "processes", of this machine; "ray", actors of a Ray cluster.
        workers: how many units are worked at a time; by default one for each core, of the cluster where it is Ray.
        gpu: whether workers train on a GPU; then one is the default, and with Ray each has one of the cluster's.
        factory: makes the evaluator of each worker.
        time_limit: seconds a unit may take, after which its worker is killed; making the evaluator does not count.
        address: of a Ray cluster that runs, such as "host:6379", or "auto" on one of its machines; without one, Ray is
            started here.
        retries: how often a unit whose worker died is begun again. One that raised, or took too long, is not.

    Raises:
        GloError: there is no such executor; what it needs is not installed; it has no time limits, or no address.
        ValueError: `workers` or `time_limit` is not positive, or `retries` is negative.
        TypeError: the factory cannot be pickled.

    >>> class Square:
    ...     def evaluate(self, payload):
    ...         return payload ** 2
    >>> with executor_named("in-process", 2, Square) as executor:
    ...     for number in range(3):
    ...         executor.submit(number, number + 1)
    ...     results = {}
    ...     while len(results) < 3:
    ...         results |= {unit.number: unit.result for unit in executor.finished()}
    >>> sorted(results.items())
    [(0, 1), (1, 4), (2, 9)]
    """
    if name not in NAMES:
        raise GloError(f"no executor {name}", hint=did_you_mean(name, NAMES) or f"there are {', '.join(NAMES)}")
    if workers is not None and workers < 1:
        raise ValueError(f"workers must be at least 1, not {workers}")
    if time_limit is not None and not time_limit > 0:
        raise ValueError(f"time_limit must be positive, not {time_limit}")
    if retries < 0:
        raise ValueError(f"retries must not be negative, not {retries}")
    if address is not None and name != "ray":
        raise GloError(f"the executor {name} has no address", hint="an address is that of a Ray cluster: ray")
    if name == "ray":
        from glo_dsl.evolve.executors.ray_ import Actors

        actors = Actors(factory, time_limit, address, workers, gpu)
        return Dispatch(actors, workers or actors.room(), retries)
    return Dispatch(_here(name, factory, time_limit), workers or (1 if gpu else cores()), retries)


def _here(name: str, factory: Factory, time_limit: float | None) -> Place:
    if name == "processes":
        from glo_dsl.evolve.executors.processes import Processes

        return Processes(factory, time_limit)
    from glo_dsl.evolve.executors.in_process import Threads

    if time_limit is not None:
        raise GloError("threads have no time limit: they cannot be killed", hint="the executor processes has one")
    return Threads(factory)

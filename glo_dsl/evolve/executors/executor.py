"""What runs units of work: the same few methods whether it is this process, others of this machine, or a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Protocol, Self


class Evaluator(Protocol):
    """Does units of work, one at a time. Each worker has one of its own and keeps it: data and kernels stay warm."""

    def evaluate(self, payload: Any) -> Any:
        """The result of a unit. Both travel as pickles, so numbers, strings, lists and dicts are best.

        A unit may be begun more than once, when a worker dies, so it has no effect but its result; and the result
        depends on the payload alone, not on which worker it is or what that did before.

        An evaluator may have a method `stop` besides, without arguments: called by another thread, it makes the unit
        that runs raise soon. A thread can be stopped in no other way.
        """


Factory = Callable[[], Evaluator]
"""Makes the evaluator of a worker, there. It can be pickled: a function of a module, or `functools.partial` of one with
plain data."""

Kind = Literal["done", "raised", "timeout", "died"]


@dataclass(frozen=True)
class Finished:
    """How a unit ended.

    Attributes:
        number: the one that it was submitted under.
        kind: "done"; "raised", by the evaluator; "timeout", over the time limit; "died", its workers did.
        result: what the evaluator returned, None unless done.
        failure: what went wrong in one line, "" when done.
        details: the traceback in the worker, where there is one.
    """

    number: int
    kind: Kind
    result: Any = None
    failure: str = ""
    details: str = ""


class Executor(Protocol):
    """Runs units on its workers. Each that is submitted comes out of `finished` exactly once, however it ends.

    Used by one thread. What it is used in with `with` is closed at the end, also by Ctrl-C.
    """

    @property
    def capacity(self) -> int:
        """How many units it works at a time; more may be submitted, and wait."""

    def submit(self, number: int, payload: Any) -> None:
        """Puts a unit to work, or in line.

        Raises:
            ValueError: a unit of this number is in flight.
            TypeError: the payload cannot be pickled.
            RuntimeError: the executor is closed.
        """

    def finished(self, wait: float | None = None) -> Iterator[Finished]:
        """Blocks until a unit has ended, yields all that have by then, in any order, and stops.

        Yields nothing when none is in flight, or `wait` seconds are over. Ctrl-C interrupts it at once; a driver that
        handles SIGINT itself passes a `wait` below a second.

        Raises:
            GloError: no worker can be made, because the factory fails; once said, this holds for every later call.
        """

    def close(self) -> None:
        """Ends the workers and gives up what is in flight."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

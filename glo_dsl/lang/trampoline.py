"""Recursive functions without the recursion limit: write them as generators that `yield` their sub-calls."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeVar

T = TypeVar("T")
Steps = Generator["Steps[Any]", Any, T]


def run(call: Steps[T]) -> T:
    """The result of `call`, whose depth is limited by memory only.

    >>> def depth(n: int) -> Steps[int]:
    ...     return 0 if n == 0 else 1 + (yield depth(n - 1))
    >>> run(depth(100_000))
    100000
    """
    stack: list[Steps[Any]] = [call]
    value: Any = None
    while stack:
        try:
            stack.append(stack[-1].send(value))
            value = None
        except StopIteration as stop:
            stack.pop()
            value = stop.value
    result: T = value
    return result

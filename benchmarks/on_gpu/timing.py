"""Times of device work: contenders take turns launch by launch, and the median counts."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch

CYCLES = 2e9
"""Of a second, roughly: a device that waits a little longer or shorter than asked is as good."""

LONGEST_WAIT = 5e-3
Reading = Callable[[], float]
"""The seconds of a launch; to be asked after the clock has waited."""


class Clock(Protocol):
    """What times are taken with.

    Attributes:
        warm_up: seconds before the first reading. turns: of every contender, at least and at most.
    """

    warm_up: float
    turns: tuple[int, int]

    def launch(self, step: Callable[[], object], ahead: float) -> Reading:
        """Times one call. The device is kept busy for `ahead` seconds first, so that no launch waits for the host."""

    def wait(self) -> None:
        """Until all calls are done."""


class DeviceClock:
    """Events on the device."""

    warm_up = 0.2
    turns = (9, 200)

    def launch(self, step: Callable[[], object], ahead: float) -> Reading:
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        torch.cuda._sleep(int(ahead * CYCLES))
        begin.record()
        step()
        end.record()
        return lambda: begin.elapsed_time(end) / 1e3

    def wait(self) -> None:
        torch.cuda.synchronize()


class HostClock:
    """The host's own clock, for rehearsals: as few calls as will do."""

    warm_up = 0.0
    turns = (2, 3)

    def launch(self, step: Callable[[], object], ahead: float) -> Reading:
        del ahead
        begin = time.perf_counter()
        step()
        taken = time.perf_counter() - begin
        return lambda: taken

    def wait(self) -> None:
        pass


@dataclass(frozen=True)
class Contender:
    """Something that is timed.

    Attributes:
        step: does the work on the buffer of that number, and gives its outcome.
        prepare: what has to be done before and is not timed.
        read: the outcome as a value and gradients, where it is not; not timed either.
    """

    step: Callable[[int], Any]
    prepare: Callable[[int], object] = lambda n: None
    read: Callable[[Any], Any] = lambda outcome: outcome


def interleaved(
    contenders: Mapping[str, Contender], buffers: int, clock: Clock, seconds: float
) -> dict[str, tuple[float, float, float, float]]:
    """Microseconds by contender: median, 20th and 80th percentile, and those of the host until a call is issued.

    Every launch takes the next buffer, every contender is first in its turn.
    """
    host = {name: _issued(contender, clock) for name, contender in contenders.items()}
    turn, place = list(contenders), 0
    readings: dict[str, list[float]] = {name: [] for name in contenders}

    def round_of_all() -> dict[str, Reading]:
        nonlocal place
        turn.append(turn.pop(0))
        found = {}
        for name in turn:
            place = (place + 1) % buffers
            contenders[name].prepare(place)
            step, number = contenders[name].step, place
            ahead = min(1.5 * host[name] + 2e-5, LONGEST_WAIT)
            found[name] = clock.launch(lambda step=step, number=number: step(number), ahead)
        return found

    start, warm = time.perf_counter(), 0
    while warm < 1 or time.perf_counter() - start < clock.warm_up:
        round_of_all()
        clock.wait()
        warm += 1
    each = (time.perf_counter() - start) / warm
    for _ in range(max(clock.turns[0], min(clock.turns[1], int(seconds / each)))):
        found = round_of_all()
        clock.wait()
        for name, reading in found.items():
            readings[name].append(reading())
    return {name: (*_summary(times), round(1e6 * host[name], 2)) for name, times in readings.items()}


def _issued(contender: Contender, clock: Clock) -> float:
    """Seconds of the host until a call is issued, or done if it waits for the device."""
    times = []
    for _ in range(clock.turns[0]):
        contender.prepare(0)
        clock.wait()
        begin = time.perf_counter()
        contender.step(0)
        times.append(time.perf_counter() - begin)
    clock.wait()
    return min(times)


def _summary(times: list[float]) -> tuple[float, float, float]:
    """Median, 20th and 80th percentile, in microseconds."""
    fifths = statistics.quantiles(times, n=5, method="inclusive")
    return tuple(round(1e6 * t, 2) for t in (statistics.median(times), fifths[0], fifths[3]))

"""What a search says of itself, for a person: drawn anew on a terminal, line by line where there is none."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from glo_dsl.cli.picture import head, picture, sentence
from glo_dsl.evolve.progress import Progress
from glo_dsl.evolve.speed import Speed

REFRESHES = 4
"""A second, at most."""

PAUSE = 10.0
"""Seconds between lines of one stage where there is no terminal."""

STOPPING = "stopping; what is finished is stored. Ctrl-C again leaves at once"
"""Said while workers are waited for, which takes seconds at most."""


class Watch:
    """Follows a search: the last that it said, and how fast it is."""

    def __init__(self, executor: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.executor = executor
        self.last: Progress | None = None
        self.stopping = False
        self.share = 0.0  # of the stage; a step whose work turns out to be more than it seemed takes none of it back
        self._clock, self._began = clock, clock()
        self._trainings, self._stage = Speed(clock=clock), Speed(clock=clock)

    def show(self, step: Progress) -> None:
        """Takes note of what the search says. Shares and times of what is gone over again count for nothing."""
        before, self.last = self.last, step
        self._trainings.reached(step.fresh)
        if before is None or before.replaying or before.stage != step.stage:
            self.share = step.share
            self._stage.restart(self.share)
        else:
            self.share = max(self.share, step.share)
            self._stage.reached(self.share)

    def stop(self) -> None:
        """Shows that it is about to end. May be called by a handler of signals: it prints nothing itself."""
        self.stopping = True

    @property
    def seconds(self) -> float:
        """Since the search began, or was gone on with."""
        return self._clock() - self._began

    @property
    def trainings_per_second(self) -> float | None:
        return self._trainings.per_second()

    @property
    def left(self) -> float | None:
        """Seconds until the end of the stage, if it goes on as it did."""
        speed = self._stage.per_second()
        return (1 - self.share) / speed if speed else None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width, height = options.size
        lines = picture(self, width, max(1, height - 1))  # the cursor has the last line
        if self.stopping:
            lines[0] = Text(STOPPING, style="bold")
        for line in lines:
            line.truncate(width, overflow="ellipsis")
            line.no_wrap = True
            yield line


class _Lines:
    """A line for each stage, and one of its progress now and then."""

    def __init__(self, watch: Watch, console: Console, clock: Callable[[], float]) -> None:
        self._watch, self._console, self._clock = watch, console, clock
        self._begun = ""
        self._said = clock()

    def show(self, step: Progress) -> None:
        self._watch.show(step)
        begun = head(step)
        if begun != self._begun:
            self._say(begun)
            self._begun = begun
        elif self._clock() - self._said >= PAUSE:
            self._say(f"  {sentence(self._watch)}")

    def _say(self, text: str) -> None:
        self._said = self._clock()
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def watched(
    watch: Watch, console: Console, quiet: bool = False, clock: Callable[[], float] = time.monotonic
) -> Iterator[Callable[[Progress], None]]:
    """What is to be told how a search goes, so that a person sees it."""
    if quiet:
        yield watch.show
        return
    if not console.is_terminal or console.is_dumb_terminal:
        yield _Lines(watch, console, clock).show
        return
    with Live(watch, console=console, refresh_per_second=REFRESHES, vertical_overflow="crop"):
        yield watch.show

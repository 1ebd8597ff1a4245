"""The lines that show a search: as many, and as long, as there is room for."""

from __future__ import annotations

import textwrap
from typing import Protocol

from rich.text import Text

from glo_dsl.evolve.progress import SEARCHING, Leader, Progress

REPLAYING = "going over what the study has"
_KEPT = "\N{NO-BREAK SPACE}"

LONGEST = 8
"""Lines of the front."""


class Watched(Protocol):
    """A search, as its watch has it: see `watching.Watch`."""

    executor: str
    last: Progress | None
    share: float

    @property
    def seconds(self) -> float: ...
    @property
    def trainings_per_second(self) -> float | None: ...
    @property
    def left(self) -> float | None: ...


def picture(watch: Watched, width: int, height: int) -> list[Text]:
    """At least one line, at most `height`; those that say most are left out last."""
    step = watch.last
    if step is None:
        return [Text(f"preparing the search  {clock(watch.seconds)}", style="bold")]
    lines = [_bar(watch, step, width), _speed(watch, step, width)]
    between = [*_funnel(step, width), *_rungs(step, width)]
    kept = 2 if step.front and height >= 4 else 0  # of the front its best, whatever else there is
    lines += between[: max(0, height - len(lines) - kept)]
    room = min(height - len(lines), 1 + LONGEST)
    if step.front and room >= 2:
        lines += _front(step.front, room)
    return lines[:height]


def head(step: Progress) -> str:
    """Which stage it is."""
    if step.replaying:
        return f"{REPLAYING}: {step.replayed[1]} events"
    return f"{1 + step.stages.index(step.stage)}/{len(step.stages)} {step.stage}"


def sentence(watch: Watched) -> str:
    """The progress of a stage in a line of text."""
    step = watch.last
    if step is None:
        return ""
    if step.replaying:
        return f"{step.replayed[0]} of {step.replayed[1]} events"
    parts = [f"{_whole(watch)} %", *_left(watch), *_trained(watch, step)]
    if step.best is not None:
        parts.append(f"best {step.best:.4f}")
    if step.proposals:
        parts.append(f"{step.untrained} of {step.proposals} proposals never trained")
    return ", ".join([*parts, clock(watch.seconds)])


def clock(seconds: float) -> str:
    """Hours only where there are any.

    >>> clock(59.9), clock(3725)
    ('0:59', '1:02:05')
    """
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"


def _bar(watch: Watched, step: Progress, width: int) -> Text:
    done, all_ = step.replayed
    share = done / all_ if step.replaying else watch.share
    name = REPLAYING if step.replaying else head(step)
    right = f"event {done} of {all_}" if step.replaying else "  ".join([f"{_whole(watch)} %", *_left(watch)])
    room = width - len(name) - len(right) - 4
    line = Text(name, style="bold")
    if room >= 8:
        full = int(share * room)
        line.append("  ").append("━" * full, style="green").append("─" * (room - full), style="bright_black")
    return line.append(f"  {right}", style="not bold")


def _speed(watch: Watched, step: Progress, width: int) -> Text:
    """What fits, the first first."""
    workers = f"{watch.executor}, {step.workers} worker{'s' * (step.workers != 1)}"
    parts = [clock(watch.seconds), *_trained(watch, step), workers]
    if step.units[1]:
        parts.append(f"units {step.units[0]}/{step.units[1]}")
    text = parts[0]
    for part in parts[1:]:
        if len(text) + 2 + len(part) <= width:
            text += f"  {part}"
    return Text(text)


def _funnel(step: Progress, width: int) -> list[Text]:
    if not step.proposals:
        return []
    never = 100 * step.untrained / step.proposals
    reasons = sorted(((n, reason) for reason, n in step.counts if reason != "trained"), reverse=True)
    parts = [f"{n} {reason}".replace(" ", _KEPT) for n, reason in reasons]
    text = f"{step.proposals} proposals, {never:.0f} % never trained: {', '.join(parts)}".removesuffix(": ")
    lines = textwrap.wrap(
        text, max(20, width), subsequent_indent="  ", break_long_words=False, max_lines=3, placeholder=" …"
    )
    return [Text(line.replace(_KEPT, " ")) for line in lines]


def _rungs(step: Progress, width: int) -> list[Text]:
    if step.agreement is None:
        return []
    found = step.agreement
    text, over = f"rungs: rank correlation {found.correlation:.2f}", f"over the {found.count} that went on"
    long = f"{text}, first to last, {over}"
    return [Text(long if len(long) <= width else f"{text} {over}")]


def _front(front: tuple[Leader, ...], room: int) -> list[Text]:
    """The best first."""
    lines = [Text("   size  fitness  found at  loss", style="bright_black")]
    for leader in sorted(front, key=lambda one: -one.size)[: room - 1]:
        figures = f"{leader.size:>7}  {leader.fitness:7.4f}  {leader.trainings:>8}  "
        lines.append(Text(figures).append(_printable(leader.text), style="cyan"))
    return lines


def _left(watch: Watched) -> list[str]:
    return [] if watch.left is None else [f"{clock(watch.left)} left"]


def _trained(watch: Watched, step: Progress) -> list[str]:
    of = f" of {step.total}" if step.stage == SEARCHING else ""
    speed = watch.trainings_per_second
    return [*([] if speed is None else [f"{speed:.3g} trainings/s"]), f"{step.trainings}{of} trained"]


def _whole(watch: Watched) -> int:
    return int(100 * watch.share)


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)

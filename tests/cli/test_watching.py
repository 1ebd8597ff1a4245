"""What a person sees of a search: true, in the room that there is, and not more often than said."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from glo_dsl.cli.picture import clock
from glo_dsl.cli.watching import PAUSE, STOPPING, Watch, watched
from glo_dsl.evolve.progress import CONSTANTS, LEADERS, RATES, SEARCHING, STAGES, Agreement, Leader, Progress

REASONS = (
    ("trained", 158), ("not finite", 144), ("no gradient", 96), ("pushes away from the label", 149), ("failed", 2),
    ("gradient known", 173),
)  # fmt: skip
FRONT = (
    Leader(4, 0.9736, "x * sqrt(y)", 56),
    Leader(6, 0.9764, "(y + x) * log(y)", 56),
    Leader(51, 0.9806, " * ".join(f"(c{n} + square(y))" for n in range(9)), 1632),
)
HALFWAY = Progress(
    SEARCHING, 3000, 6000, units=(3, 5), best=0.9806, counts=REASONS, untrained=562, trainings=3000, fresh=1000,
    front=FRONT, agreement=Agreement(0.8333, 412), workers=2,
)  # fmt: skip


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def ran(steps: list[tuple[float, Progress]]) -> Watch:
    """A watch that was told each step at its second."""
    time = Clock()
    watch = Watch("in-process", time)
    for second, step in steps:
        time.now = 100 + second
        watch.show(step)
    return watch


def shown(watch: Watch, width: int, height: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True, color_system=None)
    console.print(watch)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_pictures(golden: Callable[[str, str], None]) -> None:
    """As they were looked at, in terminals of several sizes."""
    begun = replace(HALFWAY, done=2000, trainings=2000, fresh=0)
    watch = ran([(0, begun), (5, begun), (25, HALFWAY)])
    resumed = ran([(0, replace(HALFWAY, stage=RATES, done=2, total=4, replayed=(31, 120)))])
    constants = replace(HALFWAY, stage=CONSTANTS, done=0, total=26)
    later = replace(constants, done=5, units=(1, 2), trainings=9000, fresh=7000)
    tuning = ran([(0, constants), (40, later)])
    stopped = ran([(0, HALFWAY)])
    stopped.stop()
    parts = [("searching", watch, size) for size in ((80, 24), (80, 6), (48, 12), (30, 3), (12, 2))]
    parts += [("before anything", ran([]), (80, 24)), ("gone on with", resumed, (80, 5)), ("tuning", tuning, (80, 5)),
              ("stopped", stopped, (80, 5))]  # fmt: skip
    pages = [f"{name}, {w} x {h}\n" + "".join(f"|{line}\n" for line in shown(one, w, h)) for name, one, (w, h) in parts]
    golden("\n".join(pages), "watching.txt")


def test_speed_and_time_left_are_those_of_the_last_seconds() -> None:
    """10 trainings a second for a minute, then 40: what was slow before is not held against it."""
    steps = [(float(s), replace(HALFWAY, done=10 * s, trainings=10 * s, fresh=10 * s)) for s in range(60)]
    steps += [(60.0 + s, replace(HALFWAY, done=600 + 40 * s, trainings=600 + 40 * s, fresh=600 + 40 * s))
              for s in range(60)]  # fmt: skip
    watch = ran(steps)
    assert watch.trainings_per_second == pytest.approx(40)
    assert watch.left == pytest.approx((6000 - 2960) / 40)


def test_what_is_gone_over_again_is_neither_speed_nor_progress() -> None:
    """5000 of 6000 trainings come from the study within a second; then one a second is trained."""
    old = replace(HALFWAY, done=4900, trainings=4900, fresh=0, replayed=(9, 10))
    steps = [(0.5, old), (1.0, replace(old, done=5000, trainings=5000, replayed=(10, 10)))]
    steps += [(1.0 + s, replace(old, done=5000 + s, trainings=5000 + s, fresh=s, replayed=(10, 10))) for s in range(21)]
    watch = ran(steps)
    assert watch.left == pytest.approx(980) and watch.trainings_per_second == pytest.approx(1, rel=0.05)


def test_work_that_turns_out_to_be_more_takes_nothing_back() -> None:
    """A grid of rates is widened: of the same step there are units again."""
    rates = replace(HALFWAY, stage=RATES, done=1, total=4, units=(0, 4))
    watch = ran([(0, rates), (10, replace(rates, units=(3, 4))), (20, replace(rates, units=(0, 1)))])
    assert watch.share == pytest.approx(1.75 / 4)
    assert watch.left == pytest.approx((1 - 1.75 / 4) / (0.75 / 4) * 20)


@given(
    width=st.integers(10, 200), height=st.integers(1, 60), texts=st.lists(st.text(), max_size=20),
    units=st.tuples(st.integers(0, 9), st.integers(0, 9)), stage=st.sampled_from(STAGES),
    counts=st.dictionaries(st.sampled_from([r for r, _ in REASONS]), st.integers(1, 10**7)),
    replayed=st.sampled_from([(0, 0), (3, 7)]), done=st.integers(0, 10**7),
)  # fmt: skip
def test_it_never_takes_more_room_than_there_is(
    width: int, height: int, texts: list[str], units: tuple[int, int], stage: str, counts: dict[str, int],
    replayed: tuple[int, int], done: int,
) -> None:  # fmt: skip
    front = tuple(Leader(n, n / 20, text, n) for n, text in enumerate(texts))
    step = replace(
        HALFWAY, stage=stage, done=done, counts=tuple(counts.items()), untrained=0, units=units, front=front,
        replayed=replayed, agreement=HALFWAY.agreement if done % 2 else None,
    )  # fmt: skip
    lines = shown(ran([(0, step), (9, step)]), width, height)
    assert 1 <= len(lines) <= max(1, height - 1)
    assert all(cell_len(line) <= width and line.isprintable() for line in lines)


def test_losses_of_strangers_are_shown_as_they_stand() -> None:
    leader = Leader(3, 0.5, "[bold red]x[/] \x1b[2J\x07 y", 9)
    text = "\n".join(shown(ran([(0, replace(HALFWAY, front=(leader,)))]), 80, 24))
    assert "[bold red]x[/]" in text and "\x1b" not in text and "\x07" not in text


def test_without_a_terminal_there_is_a_line_now_and_then() -> None:
    time, out = Clock(), io.StringIO()
    with watched(Watch("processes", time), Console(file=out, width=20), clock=time) as show:
        show(replace(HALFWAY, fresh=0, replayed=(1, 12)))
        for second in range(100):  # ten steps a second
            for _ in range(10):
                show(replace(HALFWAY, fresh=10 * second))
            time.now += 1
        show(replace(HALFWAY, stage=LEADERS))
    lines = out.getvalue().splitlines()
    assert lines[:2] == ["going over what the study has: 12 events", "1/6 searching"] and lines[-1].startswith("2/6 ")
    assert len(lines) == 3 + 100 // PAUSE - 1
    assert "50 %" in lines[2] and "562 of 722 proposals never trained" in lines[2] and "10 trainings/s" in lines[2]


def test_a_terminal_is_drawn_anew_now_and_then_however_much_there_is_to_tell() -> None:
    out = io.StringIO()
    with watched(Watch("ray"), Console(file=out, width=80, height=24, force_terminal=True)) as show:
        for trainings in range(5000):
            show(replace(HALFWAY, trainings=trainings))
    assert "4999 of 6000 trained" in out.getvalue()
    assert out.getvalue().count("proposals") < 50


def test_quiet() -> None:
    out = io.StringIO()
    with watched(Watch("ray"), Console(file=out, force_terminal=True), quiet=True) as show:
        show(HALFWAY)
    assert out.getvalue() == ""


def test_who_stops_is_told_so() -> None:
    watch = ran([(0, HALFWAY)])
    watch.stop()
    assert shown(watch, 80, 24)[0] == STOPPING


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (60, "1:00"), (3599.9, "59:59"), (86400, "24:00:00")])
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text

"""The streaming family: a Triton kernel that walks its rows in blocks of classes, once for each phase that passes.

It takes any number of classes: blocks that are full, without masks, and what is left. A block is loaded while the one
before it is computed, for little of a row is under way at a time; every other pass walks from the last class to the
first, and finds in the cache what the one before has read last.

A value per class is computed again from its loads in every pass that needs it; a reduction accumulates lane by lane, in
tiles [ROWS, BLOCK], and becomes one number per row at the end of its loop. Of a maximum that sums of its own pass
follow there is one for every few lanes; where it grows, their sums are scaled, and at the end to the maximum of all.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeGuard

from glo_codegen.plan import Plan, recomputing
from glo_codegen.program import Load, Operand, Phase, Program, Rate, Reduce
from glo_codegen.text import Lines
from glo_codegen.triton_launch import stream_name
from glo_codegen.triton_spell import (
    EVERY,
    IDENTITY,
    add_products,
    add_start,
    add_stores,
    address,
    converted,
    kernel,
    masked,
    operand,
    spelled,
    title,
)

LANES, LARGEST = "lanes_", "largest_"
"""Before the name of a reduction: its accumulator lane by lane, or a maximum so far that sums follow."""

PART = 8
"""Lanes with a maximum in common: as many as a thread loads at once where numbers have 16 bits."""

BOUNDS = (
    "# Lane 0 is where vectors begin, `shift` lanes before the row if it begins between them.",
    "shift = (tl.program_id(0).to(tl.int64) * classes % 8).to(tl.int32) if SHIFT else 0",
    "first = BLOCK if SHIFT else 0",
    "last = tl.maximum((shift + classes) // BLOCK * BLOCK, first)",
    "final = last - first - BLOCK",
)
"""Where the blocks that are full begin and end, and until where there is one more after one. With SHIFT a program
holds one row, and all lie one after the other."""

NOW, NEXT = "now_", "next_"
"""Before the name of what is loaded: as it is in memory, for this block and for the next."""

LAST, FIRST = (f', eviction_policy="evict_{which}"' for which in ("last", "first"))
"""What the cache should keep, for a later pass, and what it need not."""

COMBINE = {"sum": "{0} + {1}", "max": "_max({0}, {1})", "min": "_min({0}, {1})"}
"""How a reduction takes up one more block, lane by lane."""


def add_streaming(program: Program, lines: Lines) -> None:
    """The kernel for rows of any length."""
    program = program.walked or program
    plan = recomputing(program)
    with kernel(program, stream_name(program), lines):
        add_start(program, lines, streams=True)
        lines.add(*BOUNDS)
        if any(r.follow for phase in program.phases for r in phase.reductions):
            lines.add(f"PART: tl.constexpr = min({PART}, BLOCK)")
        for number, phase in enumerate(program.phases):
            lines.add("", title(program, number))
            lines.add(*(spelled(program, step) for step in phase.scalars))
            if phase.passes:
                _pass(program, plan, phase, number, lines)


def streamed_spellings(program: Program) -> Iterator[str]:
    """What is called here beside the operators: for maxima that are followed."""
    phases = (program.walked or program).phases
    follows = [r.follow for phase in phases for r in phase.reductions if r.follow]
    maxima = {follow.maximum for follow in follows}
    yield from (f"_{r.op.name}()" for phase in phases for r in phase.reductions if r.out in maxima)
    if follows:
        yield "_spread()"
    if not all(follow.restarts for follow in follows):
        yield "_decay()"


def _pass(program: Program, plan: Plan, phase: Phase, number: int, lines: Lines) -> None:
    body = _Body(program, plan, phase, number)
    parts = "[ROWS, BLOCK // PART]"
    lines.add(*(f"{LARGEST}{r.out} = tl.full({parts}, {IDENTITY[r.op.name]}, tl.float32)" for r in body.maxima))
    for r in body.others:
        lines.add(f"{LANES}{r.out} = tl.full([ROWS, BLOCK], {IDENTITY[r.op.name]}, tl.float32)")
    add_products(program, phase, lines)
    parts_of_row = (_head, _blocks, _rest)
    for part in reversed(parts_of_row) if body.backwards else parts_of_row:
        part(body, lines)
    for r in body.maxima:
        _meet(r, body.following(r), lines)
    lines.add(*(f"{r.out} = {_total(r)}" for r in body.others))


class _Body:
    """What a pass does with a block of classes.

    Attributes:
        maxima: the reductions that others follow. others: all but these.
        loads: the inputs that are read block by block, each with whether a later pass reads it again.
        backwards: from the last class to the first: what the pass before has read last is still near.
    """

    def __init__(self, program: Program, plan: Plan, phase: Phase, number: int) -> None:
        self.program, self._plan, self._phase = program, plan, phase
        followed = {r.follow.maximum for r in phase.reductions if r.follow}
        self.maxima = [r for r in phase.reductions if r.out in followed]
        self.others = sorted((r for r in phase.reductions if r.out not in followed), key=lambda r: not _drifts(r))
        self._first = plan.behind([r.arg for r in self.maxima])
        self._needed = [name for name in plan.needed(phase, number) if name not in self._first]
        self.loads = {load: _read_after(program, plan, load, number) for load in self._loads()}
        self.backwards = sum(p.passes for p in program.phases[:number]) % 2 == 1

    def following(self, maximum: Reduce) -> list[Reduce]:
        """The sums that follow a maximum."""
        return [r for r in self.others if r.follow and r.follow.maximum == maximum.out]

    def _loads(self) -> Iterator[Load]:
        for name in (*self._first, *self._needed):
            step = self._plan.step[name]
            if isinstance(step, Load) and step.at is None and step.rate == Rate.CLASS:
                yield step

    def add(self, lines: Lines) -> None:
        """The steps, for the columns `col` that `col_mask` has."""
        lines.add(*(self._spelled(name) for name in self._first))
        for r in self.maxima:
            _grow(r, self.following(r), lines)
        lines.add(*(self._spelled(name) for name in self._needed))
        for r in self.others:
            lines.add(f"{LANES}{r.out} = {COMBINE[r.op.name].format(_so_far(r), masked(r))}")
        add_stores(self.program, self._phase, lines, "lane", FIRST)

    def _spelled(self, name: str) -> str:
        step = self._plan.step[name]
        if step in self.loads:
            return f"{name} = {NOW}{name}{converted(self.program, step)}"
        return spelled(self.program, step)

    def add_loads(self, name: str, lane: str, mask: str, lines: Lines) -> None:
        """Asks for the inputs at the lanes, under `name` and their own."""
        for load, again in self.loads.items():
            entry = self.program.input(load.input)
            masks = f"{mask} & row_mask" if entry.per_sample else mask
            at = address(entry, lane=lane) if entry.per_sample else address(entry, f"({lane} - shift)")
            lines.add(f"at = {at}")
            lines.add(f"{name}{load.out} = tl.load(at, mask={masks}, other=0{LAST if again else FIRST})")


def _read_after(program: Program, plan: Plan, load: Load, number: int) -> bool:
    """Whether a pass after this one reads the input again."""
    later = (plan.step[n] for k, p in enumerate(program.phases) if k > number for n in plan.needed(p, k))
    return any(isinstance(step, Load) and step.input == load.input for step in later)


def _head(body: _Body, lines: Lines) -> None:
    """The first block of a row that begins where no vector does."""
    with lines.block("if SHIFT:"):
        _masked(body, "0", "(col >= 0) & (col < classes)", lines)


def _blocks(body: _Body, lines: Lines) -> None:
    """The blocks that are full, each asked for while the one before it is computed."""
    begin, start, after = "first", "first + done", "+"
    if body.backwards:
        begin, start, after = "last - BLOCK", "last - BLOCK - done", "-"
    lines.add(f"lane = {begin} + tl.arange(0, BLOCK)[None, :]")
    body.add_loads(NEXT, "lane", "(first < last)", lines)
    with lines.block("for done in range(0, last - first, BLOCK):"):
        lines.add(f"lane = {start} + tl.arange(0, BLOCK)[None, :]", "col = lane - shift")
        lines.add(f"col_mask = {EVERY}", "mask = row_mask & col_mask")
        lines.add(*(f"{NOW}{load.out} = {NEXT}{load.out}" for load in body.loads))
        body.add_loads(NEXT, f"(lane {after} BLOCK)", "(done < final)", lines)
        body.add(lines)


def _rest(body: _Body, lines: Lines) -> None:
    """What is left of the row, less than a block."""
    with lines.block("if not FULL:"):
        _masked(body, "last", "col < classes", lines)


def _masked(body: _Body, begin: str, mask: str, lines: Lines) -> None:
    """A block that is not full."""
    lines.add(f"lane = {begin} + tl.arange(0, BLOCK)[None, :]", "col = lane - shift")
    lines.add(f"col_mask = {mask}", "mask = row_mask & col_mask")
    body.add_loads(NOW, "lane", "col_mask", lines)
    body.add(lines)


def _grow(maximum: Reduce, followers: list[Reduce], lines: Lines) -> None:
    """Takes a block into a maximum that sums follow, or a minimum. There is one for every few lanes: no thread has to
    wait for another one.

    As long as all is -inf, sums over exponentials are computed with 0 in its place.
    """
    name = maximum.out
    # Of an input that all rows share there is one row only.
    lines.add(f"block = tl.broadcast_to({masked(maximum)}, [ROWS, BLOCK])")
    parts = "tl.reshape(block, [ROWS, BLOCK // PART, PART])"
    _take(maximum, f"tl.reduce({parts}, 2, _{maximum.op.name})", followers, lines)
    largest = f"{LARGEST}{name}"
    if not all(r.follow and r.follow.restarts for r in followers):
        largest = f'tl.where({largest} == float("-inf"), 0.0, {largest})'
    lines.add(f"{name} = {_spread(largest)}")


def _meet(maximum: Reduce, followers: list[Reduce], lines: Lines) -> None:
    """The maximum of the row, and the sums that follow it as if they had known it."""
    name = maximum.out
    lines.add(f"{name} = tl.reduce({LARGEST}{name}, 1, _{maximum.op.name}, keep_dims=True)")
    _take(maximum, name, followers, lines)
    lines.add(*(f"{LANES}{r.out} = {_so_far(r)}" for r in followers))


def _take(maximum: Reduce, new: str, followers: list[Reduce], lines: Lines) -> None:
    """Lets a maximum grow, and says by how much it does."""
    name, follows = maximum.out, [r.follow for r in followers if r.follow]
    lines.add(f"before_{name} = {LARGEST}{name}")
    lines.add(f"{LARGEST}{name} = {COMBINE[maximum.op.name].format(f'before_{name}', new)}")
    lines.add(f"stays_{name} = {LARGEST}{name} == before_{name}")
    if all(follow.restarts for follow in follows):
        return
    lines.add(
        f"grown_{name} = tl.where(stays_{name}, 0.0, {LARGEST}{name} - before_{name})",
        f"shrink_{name} = _decay(-grown_{name})",
    )
    if any(follow.drifts_with or not _is_small_power(follow.degree) for follow in follows):
        lines.add(f'drift_{name} = tl.where(before_{name} == float("-inf"), 0.0, grown_{name})')


def _spread(parts: str) -> str:
    """A value for every few lanes as one per lane."""
    return f"_spread({parts}, BLOCK)"


def _so_far(reduction: Reduce) -> str:
    """What has been collected, as it would be had the maximum been known from the start."""
    lanes = f"{LANES}{reduction.out}"
    follow = reduction.follow
    if follow is None:
        return lanes
    if follow.drifts_with:
        lanes = f"({lanes} - {_spread(f'drift_{follow.maximum}')} * {LANES}{follow.drifts_with})"
    if follow.restarts:
        return f"tl.where({_spread(f'stays_{follow.maximum}')}, {lanes}, 0.0)"
    return f"{lanes} * {_spread(_power(follow.maximum, follow.degree))}" if follow.degree else lanes


def _drifts(reduction: Reduce, maximum: Reduce | None = None) -> bool:
    """Such a sum takes up a block first, for it needs its companion as that was before."""
    follow = reduction.follow
    return follow is not None and bool(follow.drifts_with) and (maximum is None or follow.maximum == maximum.out)


def _power(maximum: str, degree: Operand) -> str:
    """By how much a sum shrinks.

    >>> _power("v0", 1.0), _power("v0", 2.0), _power("v0", 0.5)
    ('shrink_v0', '(shrink_v0 * shrink_v0)', 'tl.exp(-0.5 * drift_v0)')
    """
    if not _is_small_power(degree):
        return f"tl.exp(-{operand(degree)} * drift_{maximum})"
    factors = [f"shrink_{maximum}"] * int(degree)
    return factors[0] if degree == 1 else f"({' * '.join(factors)})"


def _is_small_power(degree: Operand) -> TypeGuard[float]:
    return not isinstance(degree, str) and degree in range(5)


def _total(reduction: Reduce) -> str:
    """One number per row; with no maximum but -inf to follow there is none, as exp(-inf - -inf) has none."""
    total = reduction.op.triton.format(f"{LANES}{reduction.out}")
    if reduction.follow is None or reduction.follow.restarts:
        return total
    return f'tl.where({reduction.follow.maximum} == float("-inf"), float("nan"), {total})'

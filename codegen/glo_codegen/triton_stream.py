"""The streaming family: a Triton kernel that walks its rows in blocks of classes, once for each phase that passes.

It takes any number of classes. A value per class is computed again from its loads in every pass that needs it;
a reduction accumulates lane by lane, in tiles [ROWS, BLOCK], and becomes one number per row at the end of its loop. A
maximum that sums of its own pass follow is one number per row throughout; where it grows, they are scaled.
"""

from __future__ import annotations

from typing import TypeGuard

from glo_codegen.plan import Plan, recomputing
from glo_codegen.program import Follow, Operand, Phase, Program, Reduce
from glo_codegen.text import Lines
from glo_codegen.triton_launch import stream_name
from glo_codegen.triton_spell import IDENTITY, add_start, add_stores, kernel, masked, operand, spelled, title

LANES, LARGEST = "lanes_", "largest_"
"""Before the name of a reduction: its accumulator lane by lane, or a maximum so far that sums follow."""

COMBINE = {"sum": "{0} + {1}", "max": "_max({0}, {1})", "min": "_min({0}, {1})"}
"""How a reduction takes up one more block, lane by lane."""


def add_streaming(program: Program, lines: Lines) -> None:
    """The kernel for rows of any length."""
    program = program.walked or program
    plan = recomputing(program)
    with kernel(program, stream_name(program), lines):
        add_start(program, lines, streams=True)
        for number, phase in enumerate(program.phases):
            lines.add("", title(program, number))
            lines.add(*(spelled(program, step) for step in phase.scalars))
            if phase.passes:
                _pass(program, plan, phase, number, lines)


def _pass(program: Program, plan: Plan, phase: Phase, number: int, lines: Lines) -> None:
    followed = {r.follow.maximum for r in phase.reductions if r.follow}
    maxima = [r for r in phase.reductions if r.out in followed]
    others = sorted((r for r in phase.reductions if r.out not in followed), key=lambda r: not _drifts(r))
    lines.add(*(f"{LARGEST}{r.out} = tl.full([ROWS, 1], {IDENTITY[r.op.name]}, tl.float32)" for r in maxima))
    for r in others:
        lines.add(f"{LANES}{r.out} = tl.full([ROWS, BLOCK], {IDENTITY[r.op.name]}, tl.float32)")
    with lines.block("for start in range(0, classes, BLOCK):"):
        lines.add("col = start + tl.arange(0, BLOCK)[None, :]", "col_mask = col < classes")
        lines.add("mask = row_mask & col_mask")
        first = plan.behind([r.arg for r in maxima])
        lines.add(*(spelled(program, plan.step[name]) for name in first))
        for r in maxima:
            _grow(r, [o.follow for o in others if o.follow and o.follow.maximum == r.out], lines)
        needed = [name for name in plan.needed(phase, number) if name not in first]
        lines.add(*(spelled(program, plan.step[name]) for name in needed))
        for r in others:
            lines.add(f"{LANES}{r.out} = {COMBINE[r.op.name].format(_so_far(r), masked(r))}")
        add_stores(program, phase, lines)
    lines.add(*(f"{r.out} = {LARGEST}{r.out}" for r in maxima))
    lines.add(*(f"{r.out} = {_total(r)}" for r in others))


def _grow(maximum: Reduce, followers: list[Follow], lines: Lines) -> None:
    """Takes a block into a maximum that sums follow, or a minimum.

    As long as all is -inf, sums over exponentials are computed with 0 in its place.
    """
    name = maximum.out
    block = maximum.op.triton.format(masked(maximum))
    lines.add(f"before_{name} = {LARGEST}{name}")
    lines.add(f"{LARGEST}{name} = {COMBINE[maximum.op.name].format(f'before_{name}', block)}")
    lines.add(f"stays_{name} = {LARGEST}{name} == before_{name}")
    if all(follow.restarts for follow in followers):
        lines.add(f"{name} = {LARGEST}{name}")
        return
    lines.add(
        f'{name} = tl.where({LARGEST}{name} == float("-inf"), 0.0, {LARGEST}{name})',
        f"grown_{name} = tl.where(stays_{name}, 0.0, {LARGEST}{name} - before_{name})",
        f"shrink_{name} = tl.exp(-grown_{name})",
    )
    if any(follow.drifts_with or not _is_small_power(follow.degree) for follow in followers):
        lines.add(f'drift_{name} = tl.where(before_{name} == float("-inf"), 0.0, grown_{name})')


def _so_far(reduction: Reduce) -> str:
    """What has been collected, as it would be had the maximum been known from the start."""
    lanes = f"{LANES}{reduction.out}"
    follow = reduction.follow
    if follow is None:
        return lanes
    if follow.drifts_with:
        lanes = f"({lanes} - drift_{follow.maximum} * {LANES}{follow.drifts_with})"
    if follow.restarts:
        return f"tl.where(stays_{follow.maximum}, {lanes}, 0.0)"
    return f"{lanes} * {_power(follow.maximum, follow.degree)}" if follow.degree else lanes


def _drifts(reduction: Reduce, maximum: Reduce | None = None) -> bool:
    """Such a sum takes up a block first, for it needs its companion as that was before."""
    follow = reduction.follow
    return follow is not None and bool(follow.drifts_with) and (maximum is None or follow.maximum == maximum.out)


def _power(maximum: str, degree: Operand) -> str:
    """
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

"""The streaming family: a Triton kernel that walks its rows in blocks of classes, once for each phase that passes.

It takes any number of classes. A value per class is computed again from its loads in every pass that needs it;
a reduction accumulates lane by lane, in tiles [ROWS, BLOCK], and becomes one number per row at the end of its loop.
"""

from __future__ import annotations

from glo_codegen.plan import Plan, recomputing
from glo_codegen.program import Phase, Program
from glo_codegen.text import Lines
from glo_codegen.triton_launch import stream_name
from glo_codegen.triton_spell import IDENTITY, add_start, add_stores, kernel, masked, spelled, title

COMBINE = {"sum": "{0} + {1}", "max": "_max({0}, {1})", "min": "_min({0}, {1})"}
"""How a reduction takes up one more block, lane by lane."""


def add_streaming(program: Program, lines: Lines) -> None:
    """The kernel for rows of any length."""
    plan = recomputing(program)
    with kernel(program, stream_name(program), lines):
        lines.add(
            "row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)[:, None]",
            "row_mask = row < rows",
        )
        add_start(program, lines)
        for number, phase in enumerate(program.phases):
            lines.add("", title(program, number))
            lines.add(*(spelled(program, step) for step in phase.scalars))
            if phase.passes:
                _pass(program, plan, phase, number, lines)


def _pass(program: Program, plan: Plan, phase: Phase, number: int, lines: Lines) -> None:
    for r in phase.reductions:
        lines.add(f"lanes_{r.out} = tl.full([ROWS, BLOCK], {IDENTITY[r.op.name]}, tl.float32)")
    with lines.block("for start in range(0, classes, BLOCK):"):
        lines.add("col = start + tl.arange(0, BLOCK)[None, :]", "col_mask = col < classes")
        lines.add("mask = row_mask & col_mask")
        lines.add(*(spelled(program, plan.step[name]) for name in plan.needed(phase, number)))
        for r in phase.reductions:
            lines.add(f"lanes_{r.out} = {COMBINE[r.op.name].format(f'lanes_{r.out}', masked(r))}")
        add_stores(program, phase, lines)
    lines.add(*(f"{r.out} = {r.op.triton.format(f'lanes_{r.out}')}" for r in phase.reductions))

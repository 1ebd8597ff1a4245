"""What a kernel has to do for a row, as one number: enough to tell a cheap loss from a dear one without a machine."""

from __future__ import annotations

from glo_codegen.program import Instr, Program, Rate
from glo_codegen.traffic import traffic

CYCLES = 4
"""Cycles of one lane that a byte costs: on a core of a CPU two or three, on an H100 about eight."""


def work(program: Program, classes: int) -> float:
    """Rough cycles per class: every operator by its cost in the table, what is done once per row shared among its
    classes, one for each reduction, and the bytes that the passes move in float32. Without a class axis, per sample.

    The passes are those of a kernel that walks the row, if the program has that form: see `Program.walked`.
    """
    walked = program.walked or program
    steps = [step for step in walked.steps() if isinstance(step, Instr)]
    per_class = sum(step.op.cost for step in steps if step.rate == Rate.CLASS)
    per_row = sum(step.op.cost for step in steps if step.rate == Rate.SAMPLE)
    reductions = sum(len(phase.reductions) for phase in walked.phases)
    passes = traffic(program, "float32")
    moved = sum(done.bytes for done in passes.get("streaming", passes.get("elementwise", [])))
    return per_class + per_row / classes + reductions + CYCLES * moved

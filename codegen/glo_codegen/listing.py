"""Program to a listing for people: what happens in which pass over the row."""

from __future__ import annotations

from glo_codegen.program import Load, Operand, Program, Step
from glo_codegen.text import Lines


def emit_listing(program: Program) -> str:
    """The program line by line: inputs, code shared by all rows, phases, results."""
    lines = Lines()
    with lines.block(f"program {program.name}"):
        for entry in program.inputs:
            shared = "" if entry.per_sample else ", shared by the batch"
            lines.add(f"input {entry.name}: {entry.kind} per {entry.rate}{shared}")
        if program.params:
            lines.add(f"params {', '.join(program.params)}")
        lines.add(*(_step(step) for step in program.uniform))
        for number, phase in enumerate(program.phases):
            lines.add(f"phase {number}")
            lines.depth += 1
            lines.add(*(_step(step) for step in phase.scalars))
            if phase.passes:
                with lines.block("for each class"):
                    lines.add(*(_step(step) for step in phase.row))
                    lines.add(*(f"{r.out} = {r.op.name} of {_shown(r.arg)}" for r in phase.reductions))
                    lines.add(*(f"store {s.output} = {_shown(s.value)}" for s in phase.stores))
            lines.depth -= 1
        lines.add(*(f"result {output} = {_shown(operand)}" for output, operand in program.results))
    return lines.text()


def _step(step: Step) -> str:
    if isinstance(step, Load):
        place = f"[{step.at}]" if step.at else ""
        return f"{step.out} = load {step.input}{place}"
    return f"{step.out} = {step.op.name}({', '.join(map(_shown, step.args))})"


def _shown(operand: Operand) -> str:
    return operand if isinstance(operand, str) else f"{operand:g}"

"""Program to Triton: a module with a kernel for each family, which computes loss and gradients, and its launcher.

A program instance holds ROWS rows, classes across: values per class are tiles [ROWS, BLOCK], values per sample
[ROWS, 1]. The resident family, printed here, holds whole rows and reads them once; the streaming family, see
`triton_stream`, walks longer ones. Without a class axis everything is [BLOCK], one sample per lane.
"""

from __future__ import annotations

from collections.abc import Iterator

from glo_codegen.program import CLASSES, POSITION, Instr, Program
from glo_codegen.text import Lines
from glo_codegen.triton_helpers import helpers_of
from glo_codegen.triton_launch import add_launch, add_tile, kernel_name, tiled
from glo_codegen.triton_spell import add_start, add_stores, kernel, masked, spelled, title
from glo_codegen.triton_stream import add_streaming


def emit_triton(program: Program) -> str:
    """The text of a module that imports torch and triton only, with a kernel for each family and `launch`.

    Raises:
        ValueError: no input tells how many rows there are, or how many classes where that matters.
    """
    _check(program)
    lines = Lines()
    lines.add("import torch", "import triton", "import triton.language as tl", "")
    for helper in helpers_of(_spellings(program)):
        lines.add("", *helper.strip().splitlines(), "")
    lines.add("")
    _resident(program, lines)
    lines.add("", "")
    if tiled(program):
        add_streaming(program, lines)
        lines.add("", "")
    add_tile(program, lines)
    lines.add("", "")
    add_launch(program, lines)
    return lines.text()


def _check(program: Program) -> None:
    if not any(i.per_sample for i in program.inputs):
        raise ValueError(f"{program.name} has no input that varies over the batch")
    operands = (a for step in program.steps() if isinstance(step, Instr) for a in step.args)
    needs_classes = any(phase.passes for phase in program.phases) or any(a in (CLASSES, POSITION) for a in operands)
    if needs_classes and not tiled(program):
        raise ValueError(f"{program.name} has no input with a class axis that tells the number of classes")


def _spellings(program: Program) -> Iterator[str]:
    yield from (step.op.triton for step in program.steps() if isinstance(step, Instr))
    yield from (reduction.op.triton for phase in program.phases for reduction in phase.reductions)
    if program.walked:
        yield from _spellings(program.walked)


def _resident(program: Program, lines: Lines) -> None:
    """A row is one tile, read once; or, without a class axis, a lane."""
    with kernel(program, kernel_name(program), lines):
        (_tile_of_rows if tiled(program) else _line_of_samples)(lines)
        add_start(program, lines)
        for number, phase in enumerate(program.phases):
            lines.add("", title(program, number))
            lines.add(*(spelled(program, step) for step in (*phase.scalars, *phase.row)))
            lines.add(*(f"{r.out} = {r.op.triton.format(masked(r))}" for r in phase.reductions))
            add_stores(program, phase, lines)


def _tile_of_rows(lines: Lines) -> None:
    lines.add(
        "row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)[:, None]",
        "col = tl.arange(0, BLOCK)[None, :]",
        "row_mask = row < rows",
        "col_mask = col < classes",
        "mask = row_mask & col_mask",
    )


def _line_of_samples(lines: Lines) -> None:
    lines.add("row = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)", "row_mask = row < rows")

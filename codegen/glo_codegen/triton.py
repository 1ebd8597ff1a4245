"""Program to Triton: a module with a kernel for each family, which computes loss and gradients, and its launcher.

A program instance holds ROWS rows, classes across: values per class are tiles [ROWS, BLOCK], values per sample
[ROWS, 1]. The resident family, printed here, holds whole rows and reads them once; the streaming family, see
`triton_stream`, walks longer ones. Without a class axis everything is [BLOCK], one sample per lane.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from glo_codegen.plan import overwritable
from glo_codegen.program import CLASSES, POSITION, Instr, Program
from glo_codegen.text import Lines
from glo_codegen.triton_helpers import helpers_of
from glo_codegen.triton_launch import add_launch, add_room, kernel_name, stream_name, tiled
from glo_codegen.triton_spell import add_products, add_start, add_stores, kernel, masked, spelled, spelling, title
from glo_codegen.triton_stream import add_streaming, streamed_spellings
from glo_codegen.triton_tiles import ANY, Tile, add_tiles, cap_of, tiles

LINE = 'TILE = {"BLOCK": 1024, "num_warps": 4}'
"""How an elementwise kernel is launched."""


def emit_triton(program: Program, measured: Mapping[str, Sequence[Tile]] | None = None) -> str:
    """The text of a module that imports torch and triton only, with a kernel for each family and `launch`.

    `measured`: tables of tiles by architecture, such as `cuda:90`, in the place of the one that is derived here.

    Raises:
        ValueError: no input tells how many rows there are, or how many classes where that matters.
    """
    check(program)
    lines = Lines()
    lines.add(*["from functools import cache, lru_cache", ""] * tiled(program))
    lines.add("import torch", "import triton", "import triton.language as tl", "")
    followed = streamed_spellings(program) if tiled(program) else ()
    for helper in helpers_of([*spellings(program), *followed]):
        lines.add("", *helper.strip().splitlines(), "")
    lines.add("")
    add_resident(program, lines)
    lines.add("", "")
    if tiled(program):
        add_streaming(program, lines)
        lines.add("", "")
        tables = {ANY: tiles(program), **(measured or {})}
        add_tiles(tables, kernel_name(program), stream_name(program), cap_of(program), lines)
    else:
        lines.add(LINE)
    lines.add(f"INPLACE = {overwritable(program)!r}", "", "")
    add_room(program, lines)
    add_launch(program, lines)
    return lines.text()


def check(program: Program) -> None:
    """Whether the launcher can tell the sizes of a call from its inputs.

    Raises:
        ValueError: it cannot.
    """
    if not any(i.per_sample for i in program.inputs):
        raise ValueError(f"{program.name} has no input that varies over the batch")
    operands = (a for step in program.steps() if isinstance(step, Instr) for a in step.args)
    needs_classes = any(phase.passes for phase in program.phases) or any(a in (CLASSES, POSITION) for a in operands)
    if needs_classes and not tiled(program):
        raise ValueError(f"{program.name} has no input with a class axis that tells the number of classes")


def spellings(program: Program) -> Iterator[str]:
    """What is called, in all families."""
    yield from (spelling(program, step) for step in program.steps() if isinstance(step, Instr))
    yield from (reduction.op.triton for phase in program.phases for reduction in phase.reductions)
    if program.walked:
        yield from spellings(program.walked)


def add_resident(program: Program, lines: Lines) -> None:
    """A row is one tile, read once; or, without a class axis, a lane."""
    with kernel(program, kernel_name(program), lines):
        add_start(program, lines)
        for number, phase in enumerate(program.phases):
            lines.add("", title(program, number))
            lines.add(*(spelled(program, step) for step in (*phase.scalars, *phase.row)))
            lines.add(*(f"{r.out} = {r.op.triton.format(masked(r))}" for r in phase.reductions))
            add_products(program, phase, lines)
            add_stores(program, phase, lines)

"""What the rows of a Triton kernel are multiplied by, `scale`: given, or 1 over the rows that count."""

from __future__ import annotations

from collections.abc import Iterator

from glo_codegen.program import Program
from glo_codegen.triton_launch import tiled

LANES = 1024
"""Rows that are looked at in one go."""


def constants(program: Program) -> list[str]:
    """What a kernel knows when it is compiled, besides the sizes of its tile.

    FULL: the classes fill all blocks. EVEN, SHIFT: rows lie one after the other, and begin at multiples of 8 or
    anywhere. ALIGNED: rows side by side are loaded as vectors. COUNTS: it finds the scale.
    """
    return ["FULL", "EVEN", "SHIFT"] * tiled(program) + ["ALIGNED"] + ["COUNTS"] * bool(program.class_inputs)


def scale_lines(program: Program) -> Iterator[str]:
    """Loads it. With COUNTS every program finds it for itself, and the first of a plane stores it for who comes later;
    counts are whole numbers, so that all find the same."""
    if not program.class_inputs:
        yield "scale = tl.load(scale_ptr + plane * scale_plane_stride)"
        return
    yield "if COUNTS:"
    yield f"    counting = tl.zeros([{LANES}], tl.float32)"
    yield f"    for begin in range(0, rows, {LANES}):"
    yield f"        each = begin + tl.arange(0, {LANES}).to(tl.int64)"
    yield "        counted = each < rows"
    for entry in program.class_inputs:
        name = f"in_{entry.name}"
        yield f"        place = {name}_ptr + plane * {name}_plane_stride + each * {name}_row_stride"
        yield "        counted = counted & (tl.load(place, mask=counted, other=0).to(tl.int64) != ignore_index)"
    yield "        counting += tl.where(counted, 1.0, 0.0)"
    yield "    scale = tl.div_rn(1.0, tl.sum(counting, 0))"
    yield "    tl.store(scale_ptr + plane * scale_plane_stride, scale, mask=tl.program_id(0) % parts == 0)"
    yield "else:"
    yield "    scale = tl.load(scale_ptr + plane * scale_plane_stride)"

"""Which Triton kernel rows of so many classes get, and how much of the batch a program of it holds.

A small table per loss, made when the module is printed: nothing is searched when it runs. A table that was measured on
a machine may take its place there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from glo_codegen.plan import live_values
from glo_codegen.program import Program
from glo_codegen.text import Lines

REGISTERS = 90
"""Values per class that a lane of 16 warps can hold: a lane has 128 registers, and the rest needs some."""

LANES = 512
"""Those of 16 warps."""

FILE = 65536
"""Registers of a core. A program is given all that its threads can have: left to itself, NVIDIA's assembler would
rather spill a little than have fewer programs share a core."""

PACKED = 1024
"""Values of a program that holds several short rows."""

ACROSS = 32
"""Rows of a program at least where rows, not classes, lie side by side: less would leave memory lines half used."""

ANY = "any"
"""The table for architectures without one of their own."""

HIP = "hip"
"""What AMD's architectures are called here, all of them."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A row of the table: a kernel for programs of so many values at most.

    Attributes:
        values: of all rows that a program holds at a time.
        warps: of a program; where it is a cluster, of each of its `ctas` blocks.
        streams: whether it takes rows of any length, that many values at a time.
    """

    values: int
    warps: int
    ctas: int = 1
    streams: bool = False


def sizes(program: Program) -> tuple[int, int]:
    """The longest row that a program holds as a whole, and how much of a longer one it holds at a time.

    Both follow from how many values per class are alive at once, for what does not fit the registers is spilled.
    """
    values = REGISTERS // (1 + live_values(program.walked or program))  # 1 for the column
    each = 2 ** min(max(values.bit_length() - 1, 1), 4)
    return 2 * LANES * each, LANES * each


def tiles(program: Program) -> tuple[Tile, ...]:
    """The table of a loss with classes, from short rows to those of any length."""
    longest, block = sizes(program)
    table = [Tile(PACKED, 4)]
    while table[-1].values < longest:
        values = 2 * table[-1].values
        table.append(Tile(values, min(max(values // LANES, 4), 16)))
    return *table, Tile(block, 16, streams=True)


def add_tiles(tables: Mapping[str, Sequence[Tile]], kernel: str, stream: str, lines: Lines) -> None:
    """The tables by architecture, such as `cuda:90`, and `_tile`, which finds in them what a launch needs."""
    with lines.block("TILES = {", "}"):
        lines.add("# By architecture: values of a program at most, its kernel, and how it is launched.")
        for arch, table in tables.items():
            with lines.block(f'"{arch}": (', "),"):
                lines.add(*(_row(tile, kernel, stream) for tile in table))
    lines.add("", "", "@cache")
    with lines.block("def _arch(device):"):
        lines.add(
            'if device.type != "cuda" or torch.version.hip:',
            f'    return "{HIP}" if torch.version.hip else "{ANY}"',
            'return "cuda:{}{}".format(*torch.cuda.get_device_capability(device))',
        )
    lines.add("", "", "@lru_cache(1024)")
    with lines.block("def _tile(arch, classes, rows=1, across=False):"):
        lines.add(
            '"""The kernel for rows of that many classes, what a program of it holds, and how it is launched.',
            "",
            "That is one whole row, or as many short ones as there is room for; of a long one a block. `across`:",
            "`rows` rows lie side by side in memory, not their classes.",
            '"""',
            "block = triton.next_power_of_2(max(classes, 1))",
            f"least = min({ACROSS}, triton.next_power_of_2(max(rows, 1))) if across else 1",
            f'for most, kernel, how in TILES.get(arch, TILES["{ANY}"]):',
            '    if block * least <= most and not (across and "num_ctas" in how):',
            "        break",
            "block = min(block, most // least)",
            "height = most // block",
            "if across:",
            "    height = min(height, triton.next_power_of_2(max(rows, 1)))",
            "# AMD's warps have 64 lanes, and the registers of NVIDIA's mean nothing to it.",
            f'how = {{"num_warps": max(how["num_warps"] // 2, 1)}} if arch == "{HIP}" else how',
            "full = classes > 0 and classes % block == 0",
            'return kernel, {"ROWS": height, "BLOCK": block, "FULL": full, **how}',
        )


def _row(tile: Tile, kernel: str, stream: str) -> str:
    how = f'"num_warps": {tile.warps}'
    if tile.ctas > 1:
        how += f', "num_ctas": {tile.ctas}'
    return f"({tile.values}, {stream if tile.streams else kernel}, {{{how}}}),"

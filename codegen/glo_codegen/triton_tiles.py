"""Which Triton kernel rows of so many classes get, and how much of the batch a program of it holds.

A small table per loss, made when the module is printed: nothing is searched when it runs. A table that was measured on
a machine may take its place there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from glo_codegen.plan import holds_much, live_values
from glo_codegen.program import Program
from glo_codegen.text import Lines

MUCH, MORE, MOST = 9, 10, 12
"""Values per class that are alive at once on chip: from which on a lane gets fewer of them."""

LONGEST = 8192
"""Classes of a row on chip at most. A longer one is walked: it would take so much of a core that nothing is computed
while it is loaded."""

LIGHT, MEDIUM, HEAVY = 6, 10, 20
"""Values per class that are alive at once in a walk at most, for its blocks to be large; more take smaller ones."""

WARP = 32
"""Lanes of a warp."""

REGISTERS = 90
"""Values per class that a lane of 16 warps can hold: a lane has 128 registers, and the rest needs some."""

LANES = 512
"""Those of 16 warps."""

PACKED, SHORT = 1024, 256
"""Values of a program that holds several short rows, and classes of such a row at most."""

ACROSS = 32
"""Rows of a program at least where rows, not classes, lie side by side: less would leave memory lines half used."""

ANY = "any"
"""The table for architectures without one of their own."""

ENDLESS = 2**40
"""Classes that no row has."""

HIP = "hip"
"""What AMD's architectures are called here, all of them."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A row of the table: a kernel for programs of so many values at most.

    Attributes:
        values: of all rows that a program holds at a time.
        warps: of a program; where it is a cluster, of each of its `ctas` blocks.
        streams: whether it takes longer rows, that many values at a time.
        classes: of a row at most; 0: as many as there are values, or any number where it streams.
    """

    values: int
    warps: int
    ctas: int = 1
    streams: bool = False
    classes: int = 0


def sizes(program: Program) -> tuple[int, int]:
    """The longest row that 16 warps can hold as a whole, and how much of a longer one at a time: what a table that is
    measured begins with, and by which losses that need as many registers find it.

    Both follow from how many values per class are alive at once, for what does not fit the registers is spilled.
    """
    values = REGISTERS // (1 + live_values(program.walked or program))  # 1 for the column
    each = 2 ** min(max(values.bit_length() - 1, 1), 4)
    return 2 * LANES * each, LANES * each


def each_of(program: Program) -> int:
    """How many values per class a lane holds of a row on chip, as measured on an H200: few lanes with much to do hide
    each other's waits better than many with little, as long as nothing is spilled."""
    alive = live_values(program, sums=False)
    if holds_much(program):
        return 16 if alive <= MORE else 8
    return 32 if alive <= MOST else 16


def cap_of(program: Program) -> int:
    """Registers of a lane at most where a row is on chip; 0: as the assembler likes. It likes many where a lane holds
    much, and needs fewer: with 128 a core has room for 16 warps."""
    return 128 if each_of(program) == 32 and live_values(program, sums=False) > MUCH else 0


def tiles(program: Program) -> tuple[Tile, ...]:
    """The table of a loss with classes, from short rows to those of any length."""
    each = each_of(program)
    roomy = each == 32 and not cap_of(program)
    packed, table = Tile(PACKED, 4, classes=SHORT), [Tile(2 * SHORT, 1 if roomy else 2)]
    while table[-1].values < min(LONGEST, LANES * each):
        table.append(Tile(2 * table[-1].values, max(2 * table[-1].values // (WARP * each), 1)))
    walked = program.walked or program
    return packed, *table, *_walks(live_values(walked), holds_much(walked))


def reach(tile: Tile) -> int:
    """Classes of a row at most."""
    return tile.classes or (ENDLESS if tile.streams else tile.values)


def _walks(live: int, much: bool) -> Iterator[Tile]:
    """How rows are walked. Of long ones few may be under way: all have to stay in the cache until they are read again,
    and so each is given more of a core."""
    if live > MEDIUM or much:
        yield Tile(1024, 4 if live <= HEAVY else 8, streams=True)
        return
    light = live <= LIGHT
    yield Tile(2048, 8, streams=True, classes=16384 if light else 65536)
    if light:
        yield Tile(4096, 8, streams=True, classes=32768)
    yield Tile(8192 if light else 4096, 16, streams=True)


def add_tiles(tables: Mapping[str, Sequence[Tile]], kernel: str, stream: str, cap: int, lines: Lines) -> None:
    """The tables by architecture, such as `cuda:90`, and `_tile`, which finds in them what a launch needs."""
    with lines.block("TILES = {", "}"):
        lines.add("# By architecture: classes at most, values of a program, its kernel, and how it is launched.")
        for arch, table in tables.items():
            with lines.block(f'"{arch}": (', "),"):
                lines.add(*(_row(tile, kernel, stream, cap) for tile in table))
    lines.add("", "", "@cache")
    with lines.block("def _arch(device):"):
        lines.add(
            'if device.type != "cuda" or torch.version.hip:',
            f'    return "{HIP}" if torch.version.hip else "{ANY}"',
            'return "cuda:{}{}".format(*torch.cuda.get_device_capability(device))',
        )
    lines.add("", "", "@lru_cache(1024)")
    with lines.block("def _tile(arch, classes, rows=1, across=False, dense=False):"):
        lines.add(
            '"""The kernel for rows of that many classes, what a program of it holds, and how it is launched.',
            "",
            "That is one whole row, or as many short ones as there is room for; of a long one a block. `across`:",
            "`rows` rows lie side by side in memory, not their classes; `dense`: rows lie one after the other.",
            '"""',
            "block = triton.next_power_of_2(max(classes, 1))",
            f"least = min({ACROSS}, triton.next_power_of_2(max(rows, 1))) if across else 1",
            f'for longest, most, kernel, how in TILES.get(arch, TILES["{ANY}"]):',
            "    fits = longest > most or block * least <= most  # one that streams takes a part of a row",
            '    if fits and block <= longest and not (across and "num_ctas" in how):',
            "        break",
            "block = min(block, most // least)",
            "height = most // block",
            "if across:",
            "    height = min(height, triton.next_power_of_2(max(rows, 1)))",
            "# AMD's warps have 64 lanes, and the registers of NVIDIA's mean nothing to it.",
            f'how = {{"num_warps": max(how["num_warps"] // 2, 1)}} if arch == "{HIP}" else how',
            "shift = dense and classes % 8 > 0 and longest > most and height == 1",
            'if shift and block > 8 * 32 * how["num_warps"]:  # the blocks at both ends of a row need more registers',
            "    block //= 2",
            "full = classes > 0 and classes % block == 0",
            'lies = {"FULL": full, "EVEN": dense and classes % 8 == 0, "SHIFT": shift}',
            'return kernel, {"ROWS": height, "BLOCK": block, **lies, **how}',
        )


def _row(tile: Tile, kernel: str, stream: str, cap: int) -> str:
    how = f'"num_warps": {tile.warps}' + f', "maxnreg": {cap}' * bool(cap and not tile.streams)
    if tile.ctas > 1:
        how += f', "num_ctas": {tile.ctas}'
    return f"({reach(tile)}, {tile.values}, {stream if tile.streams else kernel}, {{{how}}}),"

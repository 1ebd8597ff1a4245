"""Tables of tiles that were measured on this machine; `tune` makes them, and kernels printed from then on have them.

They lie in one file of the cache, by architecture and by the longest row that a program of a loss would hold, which
says how many registers it needs. Nothing in that file is ever executed: it holds small numbers, or is not used.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Sequence
from dataclasses import astuple
from itertools import pairwise
from pathlib import Path

from glo_codegen.program import Program
from glo_codegen.triton_tiles import ANY, Tile, reach, sizes
from glo_dsl.runtime.cache import directory

Table = tuple[Tile, ...]

LARGEST = {"values": 2**20, "warps": 32, "ctas": 16, "classes": 2**20}
"""No tile has more."""

KINDS = (int, int, int, bool, int)
"""Of the fields of a tile, in their order."""


def path() -> Path:
    """The file."""
    return directory() / "tiles.json"


def measured(program: Program) -> dict[str, Table]:
    """The tables of a loss by architecture, such as `cuda:90`; empty where nothing was measured."""
    size = str(sizes(program)[0])
    return {arch: tables[size] for arch, tables in _read().items() if size in tables}


def keep(arch: str, size: int, table: Sequence[Tile]) -> None:
    """Adds a table to those that are kept, for losses whose longest row on chip has `size` values.

    Raises:
        ValueError: it has no end, or its numbers are none of a tile's.
    """
    rows = _stored(table)
    if _table(rows) is None:
        raise ValueError(f"not a table of tiles: {rows}")
    tables = {a: {s: _stored(kept) for s, kept in of.items()} for a, of in _read().items()}
    tables.setdefault(arch, {})[str(size)] = rows
    handle, name = tempfile.mkstemp(prefix=".tiles-", suffix=".json", dir=directory())
    with os.fdopen(handle, "w") as file:
        json.dump(tables, file)
    os.replace(name, path())


def forget() -> bool:
    """Removes what was measured; whether there was anything."""
    there = path().exists()
    path().unlink(missing_ok=True)
    return there


def _read() -> dict[str, dict[str, Table]]:
    """All tables; what is damaged is as if it were not there."""
    try:
        stored = json.loads(path().read_text())
        arches = {arch: dict(tables) for arch, tables in dict(stored).items() if _is_arch(arch)}
    except (OSError, ValueError, TypeError, RecursionError):
        return {}
    found: dict[str, dict[str, Table]] = {}
    for arch, tables in arches.items():
        checked = {str(size): _table(rows) for size, rows in tables.items()}
        found[arch] = {size: table for size, table in checked.items() if table is not None}
    return found


def _is_arch(arch: str) -> bool:
    return arch == ANY or re.fullmatch(r"cuda:[0-9]{2,3}", arch) is not None


def _stored(table: Sequence[Tile]) -> list[list[int]]:
    return [list(astuple(tile)) for tile in table]


def _table(rows: object) -> Table | None:
    """The table that was stored, or None if it is not one: for rows of growing length, first those on chip, then those
    that are walked, at the end of any length."""
    if not isinstance(rows, list) or not 1 <= len(rows) <= 32:
        return None
    table = []
    for row in rows:
        if not isinstance(row, list) or tuple(map(type, row)) != KINDS:
            return None
        values, warps, ctas, streams, classes = row
        limits = zip((values, warps, ctas, classes or 1), LARGEST.values())
        if any(n < 1 or n & (n - 1) or n > limit for n, limit in limits):
            return None
        table.append(Tile(values, warps, ctas, streams, classes))
    growing = all(reach(a) < reach(b) and a.streams <= b.streams for a, b in pairwise(table))
    ends = [t.streams and not t.classes for t in table] == [False] * (len(table) - 1) + [True]
    return tuple(table) if growing and ends and all(t.streams or t.classes <= t.values for t in table) else None

"""Which tiles are fastest on the GPU at hand: a few are tried for each length of rows, right first, then timed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

import glo_dsl
from glo_codegen.triton import emit_triton
from glo_codegen.triton_tiles import LANES, SHORT, Tile, sizes, tiles
from glo_dsl.passes.pipeline import whole_program
from glo_dsl.runtime.load_module import load_module
from glo_dsl.runtime.tiles import Table, keep

MODELS = ("nll", "focal", "taylor3", "taylor4")
"""Losses of the library that stand for all others: each needs twice the registers of the one before."""

LONGEST = 262144
BYTES = 2**28
"""Of the logits that a tile is timed with: more than any cache holds."""

Timer = Callable[[Callable[[], object]], float]
"""Seconds of a call."""


@dataclass(frozen=True)
class Trial:
    """A tile that was tried for rows of a length: the seconds it took, or why it is out of the question."""

    loss: str
    classes: int
    tile: Tile
    seconds: float = math.inf
    problem: str = ""


def candidates(classes: int, program: Any, clusters: bool) -> Iterator[Tile]:
    """The tiles to try: a whole row on chip by one block or by a cluster, or a row in parts."""
    longest, block = sizes(program)
    for ctas in (1, 2, 4, 8, 16) if clusters else (1,):
        each = classes // ctas
        if LANES <= each <= longest:
            warps = (4, 8, 16, 32) if ctas > 1 else (1, 2, 4, 8, 16, 32)
            yield from (Tile(classes, w, ctas) for w in warps if 2 <= each // (32 * w) <= 32)
    if classes > longest // 2:
        yield from (Tile(b, w, streams=True) for b in (block // 2, block, 2 * block) for w in (8, 16) if b <= classes)


def tune(
    device: torch.device, arch: str, timer: Timer, clusters: bool, report: Callable[[Trial], None] = lambda _: None,
    longest: int = LONGEST, bytes: int = BYTES, models: Sequence[str] = MODELS,
) -> dict[str, Table]:  # fmt: skip
    """Measures, and keeps the tables for all losses that are compiled on this machine from now on.

    A tile whose loss or gradient is not that of the table it would replace is never taken, nor one that does not run.

    Args:
        arch: what the device is called in tables, such as `cuda:90`.
        clusters: whether blocks that work on one row together are to be tried.
        report: is told of every trial.

    Returns:
        The tables by the losses that they were measured with.
    """
    tables = {}
    for name in models:
        program = whole_program(glo_dsl.zoo[name])
        best, streams = [], []
        for classes in _lengths(longest):
            tried = list(_trials(name, program, classes, clusters, device, arch, timer, bytes))
            for trial in tried:
                report(trial)
            streams += [t for t in tried if t.tile.streams and not t.problem]
            fastest = min(tried, key=lambda t: t.seconds, default=None)
            if fastest is None or fastest.problem or fastest.tile.streams:
                break
            best.append(fastest.tile)
        tables[name] = (tiles(program)[0], *best, _streaming(streams, tiles(program)[-1]))
        keep(arch, sizes(program)[0], tables[name])
    return tables


def _lengths(longest: int) -> Iterator[int]:
    classes = 2 * SHORT
    while classes <= longest:
        yield classes
        classes *= 2


def _streaming(trials: Sequence[Trial], usual: Tile) -> Tile:
    """The tile for rows that are longer than all others: the fastest at the longest row that was tried."""
    longest = max((t.classes for t in trials), default=0)
    last = [t for t in trials if t.classes == longest]
    return min(last, key=lambda t: t.seconds).tile if last else usual


def _trials(
    name: str, program: Any, classes: int, clusters: bool, device: torch.device, arch: str, timer: Timer, bytes: int
) -> Iterator[Trial]:
    generator = torch.Generator(device).manual_seed(0)
    rows = max(bytes // (2 * classes), 8)
    z = torch.randn(rows, classes, generator=generator, device=device).bfloat16()
    t = torch.randint(0, classes, (rows,), generator=generator, device=device)
    params = torch.tensor([p.default for p in glo_dsl.zoo[name].params], device=device)
    scale = torch.ones(1, device=device)

    def launched(measured: dict[str, Table]) -> Callable[[], tuple[Tensor, dict[str, Tensor]]]:
        launch = load_module(emit_triton(program, measured)).launch
        return lambda: launch((z, t), params, program.gradients[:1], scale)

    want = launched({})()
    for tile in dict.fromkeys(candidates(classes, program, clusters)):
        try:
            step = launched({arch: (tile,) if tile.streams else (tile, tiles(program)[-1])})
            problem = _wrong(step(), want)
        except Exception as error:  # whatever a compiler or a driver says of a tile that it does not take
            problem = f"{type(error).__name__}: {error}".splitlines()[0]
        yield Trial(name, classes, tile, math.inf if problem else timer(step), problem)


def _wrong(mine: tuple[Tensor, dict[str, Tensor]], want: tuple[Tensor, dict[str, Tensor]]) -> str:
    """What is wrong with an outcome; empty if nothing is: sums in another order may differ in the last place."""
    pairs = [("loss", mine[0], want[0])] + [(f"gradient by {n}", mine[1][n], g) for n, g in want[1].items()]
    for what, a, b in pairs:
        largest = float(b.float().abs().max())
        if not float((a.float() - b.float()).abs().max()) <= 2**-7 * max(largest, 1e-30):
            return f"its {what} is another one"
    return ""

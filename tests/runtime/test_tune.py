"""Tuning, with a clock of our own: the fastest right tile of each length wins, in Triton's interpreter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import glo_dsl as glo
from glo_codegen.triton_tiles import Tile, sizes
from glo_dsl.passes.pipeline import whole_program
from glo_dsl.runtime import tiles, tune

CPU = torch.device("cpu")
MODEL = whole_program(glo.zoo["focal"])


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(tiles, "directory", lambda: tmp_path)
    with np.errstate(all="ignore"):  # Triton's interpreter computes lanes beyond the row
        yield


def test_candidates_are_few_and_fit() -> None:
    longest, _ = sizes(MODEL)
    for classes in tune._lengths(tune.LONGEST):
        for clusters in (False, True):
            tried = list(tune.candidates(classes, MODEL, clusters))
            assert 1 <= len(tried) <= 24
            for tile in tried:
                assert tile.streams or tile.values == classes <= tile.ctas * longest
                assert tile.ctas == 1 or clusters
    assert any(t.ctas > 1 for t in tune.candidates(131072, MODEL, True))
    assert all(t.streams for t in tune.candidates(131072, MODEL, False))


def tuned(
    seconds: Callable[[Tile], float], longest: int = 2048, warps: tuple[int, ...] = (4, 8, 16), model: str = "focal"
) -> tuple[tuple[Tile, ...], list[tune.Trial]]:
    """The table of a model, and what was tried for it."""
    trials: list[tune.Trial] = []
    asked: list[Tile] = []
    original = tune.candidates

    def watched(classes: int, program: Any, clusters: bool) -> Iterator[Tile]:
        for tile in original(classes, program, clusters):
            if tile.warps in warps and (not tile.streams or tile.values in (2048, 4096)):  # the interpreter is slow
                asked.append(tile)
                yield tile

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tune, "candidates", watched)
        order = iter(range(10**6))
        tables = tune.tune(
            CPU, "any", lambda step: seconds(trials_of(asked, next(order))), clusters=False, report=trials.append,
            longest=longest, bytes=1, models=(model,),
        )  # fmt: skip
    return tables[model], trials


def trials_of(asked: list[Tile], number: int) -> Tile:
    """Candidates are all asked for before the first is timed, once for each length."""
    distinct = list(dict.fromkeys(asked))
    return distinct[number % len(distinct)]


def test_the_fastest_tile_is_taken_and_kept() -> None:
    table, trials = tuned(lambda tile: 1.0 if tile == Tile(2048, 8) else 2.0)
    assert all(not t.problem for t in trials)
    assert table[:4] == (Tile(1024, 4, classes=256), Tile(512, 4), Tile(1024, 4), Tile(2048, 8)) and table[-1].streams
    assert tiles.measured(MODEL) == {"any": table}


def test_a_tile_that_is_wrong_or_does_not_run_is_never_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """However fast it is: nor is the whole tuning lost."""
    emit = tune.emit_triton

    def bad(program: Any, measured: Any) -> str:
        text = emit(program, measured)
        first = next(iter(measured.values()), (Tile(1, 1),))[0]
        if first == Tile(2048, 4):
            return text.replace("tl.store(loss_ptr + sample,", "tl.store(loss_ptr + sample, 2 *", 1)
        return text.replace("programs = planes", "programs = no_such_name") if first == Tile(2048, 16) else text

    monkeypatch.setattr(tune, "emit_triton", bad)
    table, trials = tuned(lambda tile: 1.0)
    problems = {t.tile: t.problem for t in trials if t.problem}
    assert problems.keys() == {Tile(2048, 4), Tile(2048, 16)}
    assert "its loss is another one" in problems[Tile(2048, 4)] and "no_such_name" in problems[Tile(2048, 16)]
    assert table[3].values == 2048 and table[3] not in problems


def test_rows_stream_from_where_that_is_faster() -> None:
    longest, block = sizes(whole_program(glo.zoo["taylor4"]))
    table, trials = tuned(lambda _: 1.0, longest=2 * longest, warps=(8, 16), model="taylor4")
    assert [t.values for t in table[:-1]] == [1024, 512, 1024, 2048] and longest == 2048
    assert table[-1].streams and max(t.classes for t in trials) == 2 * longest
    assert {t.tile.values for t in trials if t.tile.streams} == {2 * block}

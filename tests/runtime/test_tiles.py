"""Tables of tiles: kept, read back, used by kernels, and nothing but small numbers whoever wrote the file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import glo_dsl as glo
from glo_codegen.triton import emit_triton
from glo_codegen.triton_tiles import Tile, sizes, tiles
from glo_dsl.passes.pipeline import whole_program
from glo_dsl.runtime import tiles as kept
from glo_dsl.runtime.compile import triton_module

FOCAL = whole_program(glo.zoo["focal"])
SIZE = sizes(FOCAL)[0]
TABLE = (Tile(1024, 2), Tile(4096, 8, ctas=2), Tile(2048, 8, streams=True))


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(kept, "directory", lambda: tmp_path)
    yield
    assert not list(tmp_path.glob(".tiles-*"))


def test_a_table_is_kept_for_its_architecture_and_losses_of_its_size() -> None:
    assert kept.measured(FOCAL) == {}
    kept.keep("cuda:90", SIZE, TABLE)
    kept.keep("cuda:80", SIZE, TABLE[:1] + TABLE[2:])
    kept.keep("cuda:90", 2 * SIZE, TABLE[2:])
    assert kept.measured(FOCAL) == {"cuda:90": TABLE, "cuda:80": TABLE[:1] + TABLE[2:]}
    assert kept.forget() and not kept.forget()
    assert kept.measured(FOCAL) == {}


def test_the_usual_table_can_be_kept_as_it_is() -> None:
    kept.keep("cuda:90", SIZE, tiles(FOCAL))
    assert kept.measured(FOCAL) == {"cuda:90": tiles(FOCAL)}


def test_kernels_have_the_table_that_was_measured() -> None:
    plain = triton_module(glo.zoo["focal"])
    kept.keep("cuda:90", SIZE, TABLE)
    module = triton_module(glo.zoo["focal"])
    assert module.TILES["any"] == plain.TILES["any"] or len(module.TILES["any"]) == len(plain.TILES["any"])
    kernel, tile = module._tile("cuda:90", 4000)
    assert kernel is module.focal_kernel and tile["num_ctas"] == 2 and tile["BLOCK"] == 4096
    assert module._tile("cuda:90", 5000)[0] is module.focal_stream_kernel
    assert "num_ctas" not in module._tile("cuda:80", 4000)[1]
    assert module._tile("cuda:90", 50, 4096, True)[1].get("num_ctas") is None  # rows side by side: no cluster


def test_what_is_no_table_is_refused() -> None:
    for table in (
        (),
        TABLE[:2],
        (*TABLE[::-1],),
        (Tile(1000, 4), TABLE[-1]),
        (Tile(1024, 64), TABLE[-1]),
        (Tile(512, 4, classes=1024), TABLE[-1]),
        (TABLE[-1], TABLE[0], TABLE[-1]),
    ):
        with pytest.raises(ValueError, match="not a table"):
            kept.keep("cuda:90", SIZE, table)


DAMAGE: list[Any] = [
    "{", "[]", "3", "null", {"cuda:90": 3}, {"cuda:90": {str(SIZE): 3}}, {"cuda:90": {str(SIZE): [[1, 2, 3]]}},
    {"cuda:90": {str(SIZE): [[1024, 4, 1, 1, 0]]}}, {"cuda:90": {str(SIZE): [["__import__('os')", 4, 1, True, 0]]}},
    {'cuda:90": __import__("os"), "': {str(SIZE): [[1024, 4, 1, True, 0]]}},
    {"cuda:90": {str(SIZE): [[True, 4, 1, True, 0]]}},
    {"cuda:90": {str(SIZE): [[2**40, 4, 1, True, 0]]}}, {"cuda:90": {str(SIZE): [[1024, -4, 1, True, 0]]}},
    {"cuda:90": {str(SIZE): [[1024, 4, 1, True, -1]]}}, {"cuda:90": {str(SIZE): [[1024, 4, 1, True, 512]]}},
    {"cuda:90": {str(SIZE): [[1024, 4, 1, True]]}}, {"cuda:90": {str(SIZE): [[1024.0, 4, 1, True, 0]]}}, "[" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("stored", DAMAGE, ids=range(len(DAMAGE)))
def test_a_file_that_was_tampered_with_is_as_if_it_were_not_there(stored: Any) -> None:
    kept.path().write_text(stored if isinstance(stored, str) else json.dumps(stored))
    assert not any(kept.measured(FOCAL).values())
    kept.keep("cuda:90", SIZE, TABLE)
    assert kept.measured(FOCAL)["cuda:90"] == TABLE


powers = st.sampled_from([2**n for n in range(12)])


@given(st.lists(st.builds(Tile, powers, powers, powers, st.booleans(), st.just(0) | powers), max_size=5))
def test_only_numbers_of_tiles_reach_a_kernel(rows: list[Tile]) -> None:
    stored = [[t.values, t.warps, t.ctas, t.streams, t.classes] for t in rows]
    found = kept._table(stored)
    assert found is None or (found == tuple(rows) and found[-1].streams and all(t.warps <= 32 for t in found))


def test_a_measured_table_changes_no_number() -> None:
    inputs = torch.randn(3, 3000), torch.randint(0, 3000, (3,))
    measured = (Tile(512, 2), Tile(1024, 4, streams=True))
    plain = glo.compile(glo.zoo["focal"], "triton").value_and_grad(*inputs)
    kept.keep("any", SIZE, measured)
    with np.errstate(all="ignore"):
        other = glo.compile(glo.zoo["focal"], "triton").value_and_grad(*inputs)
    torch.testing.assert_close(other, plain)
    assert emit_triton(FOCAL, {"any": measured}) != emit_triton(FOCAL)
    assert tiles(FOCAL)[-1].streams

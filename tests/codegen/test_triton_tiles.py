"""Tables of tiles: every row of classes finds a kernel, few registers are asked for, ends have blocks of their own."""

from __future__ import annotations

from itertools import pairwise
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

import glo_dsl as glo
from glo_codegen.triton_tiles import LANES, LONGEST, Tile, each_of, reach, tiles
from glo_dsl.passes.pipeline import whole_program
from glo_dsl.runtime.compile import triton_module

ROWS = [n for n in glo.zoo if any(v.type.per_class for v in glo.zoo[n].inputs)]


@pytest.mark.parametrize("name", ROWS)
def test_a_table_has_a_place_for_every_row(name: str) -> None:
    table = tiles(whole_program(glo.zoo[name]))
    whole, walked = [t for t in table if not t.streams], [t for t in table if t.streams]
    assert table == (*whole, *walked) and walked[-1].classes == 0 and all(t.classes for t in walked[:-1])
    assert whole[0] == Tile(1024, 4, classes=256) and whole[1].values == 512
    assert all(2 * a.values == b.values for a, b in pairwise(whole[1:]))
    assert all(reach(a) < reach(b) for a, b in pairwise(table))
    assert LONGEST // 2 <= whole[-1].values <= LONGEST


@pytest.mark.parametrize("name", ROWS)
def test_a_lane_holds_as_many_values_as_its_loss_allows(name: str) -> None:
    program = whole_program(glo.zoo[name])
    for tile in tiles(program):
        assert 4 <= tile.values // (32 * tile.warps) <= (16 if tile.streams else each_of(program))
        assert 32 * tile.warps <= LANES


@pytest.fixture(scope="module")
def module() -> ModuleType:
    return triton_module(glo.zoo["cross_entropy"])


@given(classes=st.integers(1, 2**20), rows=st.integers(1, 2**16), across=st.booleans(), dense=st.booleans())
def test_what_a_launch_is_told_of_its_rows_is_so(
    module: ModuleType, classes: int, rows: int, across: bool, dense: bool
) -> None:
    dense = dense and not across
    kernel, tile = module._tile("any", classes, rows if across else 1, across, dense)
    walks = kernel is module.cross_entropy_stream_kernel
    assert tile["FULL"] == (classes % tile["BLOCK"] == 0)
    assert tile["EVEN"] == (dense and classes % 8 == 0)
    assert tile["SHIFT"] == (dense and walks and classes % 8 > 0)
    assert not tile["SHIFT"] or (tile["ROWS"] == 1 and not tile["FULL"] and tile["BLOCK"] % 8 == 0)
    assert walks or tile["BLOCK"] >= classes


def test_short_rows_share_a_program(module: ModuleType) -> None:
    for classes, rows in ((10, 64), (256, 4), (257, 1)):
        assert module._tile("any", classes)[1]["ROWS"] == rows
    assert module._tile("any", 10, 4096, True)[1]["ROWS"] == 64  # side by side
    assert module._tile("any", 200, 4096, True)[1]["ROWS"] == 32

"""How many rows of logits exist at a time: memory is kept to what is promised, and products are as large as can be."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given
from torch import Tensor

from glo_dsl.runtime.chunk_rows import LITTLE, SHARE, TILE, one_product, rows_at_a_time

BF16, F16, F32, F64 = torch.bfloat16, torch.float16, torch.float32, torch.float64


def on_device(*shape: int, dtype: torch.dtype) -> Tensor:
    """A tensor without memory, on a device that is no CPU."""
    return torch.empty(shape, dtype=dtype, device="meta")


def of(
    rows: int, width: int, classes: int, weight: torch.dtype, logits: torch.dtype, tensors: int, learns: bool
) -> int:
    states = on_device(rows, width, dtype=weight)
    return rows_at_a_time(states, on_device(classes, width, dtype=weight), logits, tensors, learns)


KINDS = st.sampled_from([(BF16, BF16), (F16, F16), (F32, F32), (F64, F64), (F32, BF16), (BF16, F16)])


@given(
    rows=st.integers(0, 70_000), width=st.integers(1, 9000), classes=st.integers(1, 200_000), kinds=KINDS,
    tensors=st.sampled_from([1, 2]), learns=st.booleans(),
)  # fmt: skip
def test_memory_is_the_sums_and_an_eighth_of_the_logits(
    rows: int, width: int, classes: int, kinds: tuple[torch.dtype, torch.dtype], tensors: int, learns: bool
) -> None:
    weight, dtype = kinds
    found = of(rows, width, classes, weight, dtype, tensors, learns)
    logits = min(found, rows) * classes * dtype.itemsize * tensors
    gradient = classes * width * weight.itemsize if learns else 0
    sums = classes * width * 4 if learns and weight.itemsize < 4 else 0
    if found >= rows and one_product(on_device(1, 1, dtype=weight), dtype):
        most = logits + gradient
    elif sums:
        most = max(logits + sums, sums + gradient)  # rounded when the last logits are gone
    else:
        most = logits + gradient
    assert found >= 1
    little = found * classes * tensors <= LITTLE
    assert found == 1 or little or most <= gradient + sums + rows * classes * dtype.itemsize // SHARE
    assert found < TILE or found >= rows or found % TILE == 0


@pytest.mark.parametrize(
    ("rows", "kinds", "tensors", "learns", "found"),
    [
        (8192, (BF16, BF16), 1, True, 8192),  # all logits take as much as the sums would
        (9300, (BF16, BF16), 1, True, 9300),  # as much as they and an eighth
        (9400, (BF16, BF16), 1, True, 4096),  # as much as the gradient of the weight will
        (65536, (BF16, BF16), 1, True, 4096),
        (8192, (BF16, BF16), 2, True, 2048),
        (4096, (BF16, BF16), 2, True, 4096),
        (8192, (F16, F16), 1, True, 4096),  # a sum over rows is beyond float16
        (8192, (BF16, BF16), 1, False, 1024),  # no sums, and no gradient whose memory could be used
        (8192, (F32, BF16), 1, True, 1024),  # the sums are the gradient
        (8192, (F32, F32), 1, True, 1024),
        (65536, (F32, F32), 1, True, 2048),
        (1, (F32, F32), 1, True, 1),
    ],
)
def test_rows_of_a_large_layer(
    rows: int, kinds: tuple[torch.dtype, torch.dtype], tensors: int, learns: bool, found: int
) -> None:
    assert of(rows, 4096, 128256, *kinds, tensors, learns) == found


def test_the_cpu_counts_copies_in_float32_and_never_rounds_a_product() -> None:
    states, weight = torch.empty(960, 512, dtype=BF16), torch.empty(1000, 512, dtype=BF16)
    assert rows_at_a_time(states, weight, BF16, 2, learns=False) == 960 // (SHARE * 2 * 3)
    assert rows_at_a_time(states, weight, BF16, 2, learns=True) == 960 // (SHARE * 2 * 3) + 512 // 6
    assert not one_product(weight, BF16)


def test_little_is_not_cut_up() -> None:
    states, weight = torch.empty(40, 8), torch.empty(10, 8)
    assert rows_at_a_time(states, weight, F32, 1, learns=True) >= 40
    assert rows_at_a_time(states, torch.empty(10_000, 8), F32, 1, learns=True) == 5

"""Totals of losses and of rows that count, of any number of rows."""

from __future__ import annotations

import math

import pytest
import torch

from glo_dsl.runtime import totals
from glo_dsl.runtime.totals import one_over_counted, summed


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several chunks out of few rows, several blocks out of a chunk."""
    monkeypatch.setattr(totals, "CHUNK", 64)
    monkeypatch.setattr(totals, "MANY", {"BLOCK": 16, "num_warps": 4})
    monkeypatch.setattr(totals, "FEW", {"BLOCK": 8, "num_warps": 4})


def eighths(*shape: int) -> torch.Tensor:
    """Whose sums are exact in float32, in whatever order."""
    return torch.randint(-64, 64, shape) / 8


@pytest.mark.parametrize("rows", [0, 1, 5, 16, 64, 65, 200, 64 * 64 + 1])
def test_sums(short: None, rows: int) -> None:
    values = eighths(rows)
    assert summed(values).shape == ()
    assert torch.equal(summed(values), values.sum())
    assert torch.equal(summed(values, torch.tensor([0.25])), values.sum() / 4)
    planes = eighths(3, rows)
    assert torch.equal(summed(planes), planes.sum(1))
    scale = torch.tensor([1.0, -2.0, 0.5])
    assert torch.equal(summed(planes, scale), planes.sum(1) * scale)
    assert torch.equal(summed(planes, scale[:1]), planes.sum(1))
    assert torch.equal(summed(planes[:0]), torch.zeros(0))


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8, torch.bool])
@pytest.mark.parametrize("rows", [1, 7, 64, 130])
def test_rows_that_count(short: None, rows: int, dtype: torch.dtype) -> None:
    targets = torch.randint(3, (2, rows)).to(dtype)
    targets[:, 0] = 0
    for ignored in (0, 1, -100):
        want = 1.0 / (targets.long() != ignored).sum(1).float()
        assert torch.equal(one_over_counted(targets, ignored), want)
        assert torch.equal(one_over_counted(targets[1], ignored), want[1])
        turned = targets.repeat_interleave(2, 1).t().contiguous().t()[:, ::2]
        assert torch.equal(one_over_counted(turned, ignored), want)


def test_nothing_counts() -> None:
    assert one_over_counted(torch.full((5,), -100), -100) == math.inf
    assert one_over_counted(torch.zeros(0, dtype=torch.int64), -100) == math.inf
    assert math.isnan(summed(torch.zeros(0), torch.tensor(math.inf)))


def test_the_sizes_that_are_used_agree() -> None:
    values = eighths(2 * totals.CHUNK + 3)
    assert torch.equal(summed(values), values.sum())
    assert one_over_counted((values > 0).long(), 1) == 1.0 / (values <= 0).sum().float()

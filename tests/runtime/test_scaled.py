"""A gradient times what comes from above: nothing is lost, nothing is changed that is needed again."""

from __future__ import annotations

import pytest
import torch

from glo_dsl.runtime import scaled


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("shape", [(0,), (5,), (3, 2000)], ids=str)
def test_numbers_are_scaled_and_rounded(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    values = torch.randn(shape)
    before = values.clone()
    for factor in (1.0, -3.0, 0.1):
        found = scaled.rounded(values, torch.tensor(factor), dtype)
        assert found.dtype == dtype and torch.equal(values, before)
        within = {"rtol": 2**-7 if dtype == torch.bfloat16 else 0, "atol": 0}  # Triton's interpreter cuts bits off
        torch.testing.assert_close(found, (values * factor).to(dtype), **within)


@pytest.mark.parametrize("device", [False, True])
@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_what_is_kept_is_left_alone(
    dtype: torch.dtype, kept: bool, device: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scaled, "on_device", lambda _: device)
    for factor in (1.0, 2.0):
        values = torch.randn(7).to(dtype)
        before = values.clone()
        found = scaled.times(values, torch.tensor(factor), dtype, kept)
        assert found.dtype == dtype and torch.equal(found, before * factor)
        assert (found.data_ptr() == values.data_ptr()) == (not kept)
        assert not kept or torch.equal(values, before)


def test_a_device_rounds_along_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    values, factor = torch.randn(7), torch.tensor(2.0)
    assert scaled.times(values.clone(), factor, torch.bfloat16, kept=True).dtype == torch.float32
    monkeypatch.setattr(scaled, "on_device", lambda _: True)
    for kept in (True, False):
        assert scaled.times(values, factor, torch.bfloat16, kept).dtype == torch.bfloat16


def test_a_float64_is_not_scaled_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaled, "on_device", lambda _: True)
    third = torch.tensor([1 / 3], dtype=torch.float64)
    assert float(scaled.times(third.clone(), torch.tensor(3.0), torch.float64, kept=False)) == float(third * 3)

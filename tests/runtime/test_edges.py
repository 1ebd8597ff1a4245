"""The edge contract, one test per cell: infinities, NaN, ignored rows, class indices out of range, no rows at all."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import glo_dsl as glo
from glo_dsl.runtime.contract import CompiledLoss

Make = Callable[[str, str], CompiledLoss]
TARGETS = ["c", "torch", "triton"]
LOSSES = ["cross_entropy", "focal"]


def logits(rows: int = 4, classes: int = 6) -> Tensor:
    return torch.randn(rows, classes, generator=torch.Generator().manual_seed(7))


@pytest.mark.parametrize("classes", [6, 70])
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", LOSSES)
def test_a_logit_of_minus_infinity_is_a_masked_class(name: str, target: str, classes: int, make: Make) -> None:
    """It contributes nothing and gets nothing: all is as if the class were not there."""
    z, t = logits(classes=classes), torch.tensor([0, 1, 3, 1])
    z[1, 4] = z[2, 2] = z[2, 5] = -math.inf
    fn = make(name, target)
    value, grads = fn.value_and_grad(z, t, reduction="none")
    kept = [c for c in range(classes) if c not in (2, 4, 5)]
    less = z[2:3, kept]
    without, fewer = fn.value_and_grad(less, torch.tensor([kept.index(3)]), reduction="none")
    assert torch.isfinite(value).all() and torch.isfinite(grads["z"]).all()
    assert grads["z"][1, 4] == grads["z"][2, 2] == grads["z"][2, 5] == 0
    z[2, 4] = -math.inf
    value, grads = fn.value_and_grad(z, t, reduction="none")
    torch.testing.assert_close(value[2:3], without)
    torch.testing.assert_close(grads["z"][2:3, kept], fewer["z"])


@pytest.mark.parametrize("target", TARGETS)
def test_all_classes_masked_is_nan_as_in_torch(target: str, make: Make) -> None:
    z, t = logits(), torch.tensor([0, 1, 3, 1])
    z[2] = -math.inf
    value = make("cross_entropy", target)(z, t, reduction="none")
    want = torch.nn.functional.cross_entropy(z, t, reduction="none")
    assert want[2].isnan() and value[2].isnan()
    torch.testing.assert_close(value, want, equal_nan=True)


@pytest.mark.parametrize("place", [0, 3, 5])
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", LOSSES)
def test_nan_poisons_its_own_row_only(name: str, target: str, place: int, make: Make) -> None:
    z, t = logits(), torch.tensor([0, 1, 3, 1])
    fn = make(name, target)
    clean, clean_grads = fn.value_and_grad(z, t, reduction="none")
    z[1, place] = math.nan
    value, grads = fn.value_and_grad(z, t, reduction="none")
    assert value[1].isnan() and grads["z"][1].isnan().all()
    others = [0, 2, 3]
    assert torch.equal(value[others], clean[others]) and torch.equal(grads["z"][others], clean_grads["z"][others])


@pytest.mark.parametrize("classes", [6, 70])
@pytest.mark.parametrize("target", TARGETS)
def test_the_largest_of_a_row_with_nan_is_nan_wherever_it_stands(target: str, classes: int) -> None:
    z = torch.randn(classes, classes, generator=torch.Generator().manual_seed(2)).fill_diagonal_(math.nan)
    for body in ("max(z)", "min(z)"):
        fn = glo.compile(glo.loads(f"loss f(z: real[C]) = {body}")["f"], target)
        assert fn(z, reduction="none").isnan().all()


@pytest.mark.parametrize("scale", [1e4, 1e30])
@pytest.mark.parametrize("target", TARGETS)
def test_large_logits_neither_overflow_nor_lose_the_row(target: str, scale: float, make: Make) -> None:
    z, t = logits() * scale, torch.tensor([0, 1, 3, 1])
    value, grads = make("cross_entropy", target).value_and_grad(z, t, reduction="none")
    torch.testing.assert_close(value, torch.nn.functional.cross_entropy(z, t, reduction="none"))
    want = torch.softmax(z, -1) - torch.nn.functional.one_hot(t, 6)
    torch.testing.assert_close(grads["z"], want)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", LOSSES)
def test_rows_that_are_ignored_count_for_nothing(name: str, target: str, make: Make) -> None:
    z, t = logits(), torch.tensor([2, -100, 4, -100])
    z[1] = math.nan
    fn = make(name, target)
    value, grads = fn.value_and_grad(z, t)
    fewer, fewer_grads = fn.value_and_grad(z[[0, 2]], t[[0, 2]])
    torch.testing.assert_close(value, fewer)
    torch.testing.assert_close(grads["z"][[0, 2]], fewer_grads["z"])
    assert not grads["z"][[1, 3]].any()
    assert fn(z, t, reduction="none")[1] == 0


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", LOSSES)
def test_all_rows_ignored_is_a_mean_of_nothing(name: str, target: str, make: Make) -> None:
    z, t = logits(), torch.full((4,), -100)
    fn = make(name, target)
    value, grads = fn.value_and_grad(z, t, wrt=fn.spec.differentiable)
    assert value.isnan() and all(not g.any() for g in grads.values())
    assert fn(z, t, reduction="sum") == 0 and not fn(z, t, reduction="none").any()


@pytest.mark.parametrize("shape", [(0, 6), (0, 6, 3), (2, 6, 0)])
@pytest.mark.parametrize("target", TARGETS)
def test_no_rows(target: str, shape: tuple[int, ...], make: Make) -> None:
    z = torch.zeros(shape, requires_grad=True)
    t = torch.zeros(shape[0], *shape[2:], dtype=torch.int64)
    fn = make("cross_entropy", target)
    assert fn(z, t).isnan() and fn(z, t, reduction="sum") == 0
    assert fn(z, t, reduction="none").shape == t.shape
    (gradient,) = torch.autograd.grad(fn(z, t), [z])
    assert gradient.shape == shape


@pytest.mark.parametrize("shape", [(3, 0), (3, 0, 2)])
def test_no_classes(shape: tuple[int, ...], make: Make) -> None:
    z, t = torch.zeros(shape, requires_grad=True), torch.full((3, *shape[2:]), -100)
    fn = make("cross_entropy", "c")
    assert fn(z, t, reduction="sum") == 0
    assert torch.autograd.grad(fn(z, t), [z])[0].shape == shape
    with pytest.raises(IndexError, match=r"outside \[0, 0\)"):
        fn(z, torch.zeros_like(t))


@pytest.mark.parametrize("rows", [5, 5000])
@pytest.mark.parametrize("bad", [6, -1, -101, 2**40])
def test_a_class_index_out_of_range_is_named_on_c(bad: int, rows: int, make: Make) -> None:
    t = torch.zeros(rows, dtype=torch.int64)
    t[3] = bad
    with pytest.raises(IndexError, match=rf"class index {bad} in row 3 is outside \[0, 6\)"):
        make("cross_entropy", "c")(torch.zeros(rows, 6), t)


@pytest.mark.parametrize("bad", [6, -1, -101, 2**40])
def test_a_class_index_out_of_range_is_refused_by_torch(bad: int, make: Make) -> None:
    with pytest.raises(IndexError, match=r"outside \[0, 6\)"):
        make("cross_entropy", "torch")(logits(), torch.tensor([0, 1, 2, bad]))


@pytest.mark.parametrize("bad", [6, -1, 2**40])
def test_a_class_index_out_of_range_poisons_its_row_on_triton(bad: int, make: Make) -> None:
    """A device cannot raise without being waited for."""
    value, grads = make("cross_entropy", "triton").value_and_grad(
        logits(), torch.tensor([0, 1, 2, bad]), reduction="none"
    )
    assert value.isnan().tolist() == [False, False, False, True]
    assert grads["z"].isnan().all(-1).tolist() == [False, False, False, True]


@pytest.mark.parametrize("target", TARGETS)
def test_a_single_class(target: str, make: Make) -> None:
    value, grads = make("cross_entropy", target).value_and_grad(torch.randn(3, 1), torch.zeros(3, dtype=torch.int64))
    assert value == 0 and not grads["z"].any()


@pytest.mark.parametrize("dtype", [torch.int16, torch.int32, torch.uint8, torch.int64])
@pytest.mark.parametrize("target", TARGETS)
def test_any_integer_is_a_class_index(target: str, dtype: torch.dtype, make: Make) -> None:
    t = torch.tensor([0, 1, 3, 5])
    fn = make("cross_entropy", target)
    torch.testing.assert_close(fn(logits(), t.to(dtype)), fn(logits(), t))


@pytest.mark.parametrize("target", ["c", "torch"])
def test_conditions_may_be_numbers(target: str, make: Make, cases: Any) -> None:
    z, y = logits(), torch.randn(4)
    m, keep = torch.rand(4, 6) < 0.5, torch.tensor([True, False, True, True])
    fn = make("masked", target)
    want = cases["masked"].truth(z.double(), m, y.double(), keep).float()
    torch.testing.assert_close(fn(z, m, y, keep), want)
    torch.testing.assert_close(fn(z, m.int() * 256, y, keep.double() * 0.5), want)  # neither is 1, nor 0

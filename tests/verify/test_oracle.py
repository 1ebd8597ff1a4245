"""The oracle against hand-written PyTorch, NumPy, and itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch.nn import functional as F

import glo_dsl as glo
from glo_dsl.verify.oracle import noisy, oracle, reference, wrong
from glo_dsl.verify.strategies import arrays_for, losses, parameters_for

Z = torch.tensor([[1.0, 2.0, -1.0], [0.5, 0.5, 3.0]], dtype=torch.float64)
T = torch.tensor([1, 0])


def only(text: str) -> glo.Loss:
    (loss,) = glo.loads(text).values()
    return loss


def test_cross_entropy_is_pytorchs() -> None:
    z = Z.clone().requires_grad_()
    expected = F.cross_entropy(z, T, reduction="none")
    (slope,) = torch.autograd.grad(expected.sum(), z)
    value, found = oracle(only("loss ce(z: real[C], t: class[C]) = -log(softmax(z)[t])"), [Z, T], wrt=["z"])
    torch.testing.assert_close(value, expected.detach())
    torch.testing.assert_close(found["z"], slope)


def test_parameters_and_shared_inputs_get_the_gradient_of_the_sum() -> None:
    loss = only("loss f(z: real[C], w: shared real[C]; a = 2, b = 1) = a * sum(w * z)")
    w = torch.tensor([1.0, 2.0, 3.0])
    value, found = oracle(loss, [Z, w], {"a": 3.0}, ["w", "a", "b"])
    torch.testing.assert_close(value, 3 * (w * Z).sum(-1))
    torch.testing.assert_close(found["w"], 3 * Z.sum(0))
    torch.testing.assert_close(found["a"], (w * Z).sum())
    assert found["b"].item() == 0


def test_inputs_are_left_alone_and_computed_in_float64() -> None:
    z = Z.float().requires_grad_()
    value, found = oracle(only("loss f(z: real[C]) = sum(exp(z))"), [z], wrt=["z"])
    assert value.dtype == found["z"].dtype == torch.float64
    assert z.grad is None and not value.requires_grad


def test_a_loss_that_does_not_depend_has_gradient_zero() -> None:
    value, found = oracle(only("loss f(x: real) = 3"), [torch.tensor([1.0, 2.0])], wrt=["x"])
    assert value.tolist() == [3.0, 3.0] and found["x"].tolist() == [0.0, 0.0]


def test_it_differentiates_what_is_written() -> None:
    loss = only("loss f(x: real) = log(exp(x))")
    value, found = oracle(loss, [torch.tensor([1000.0])], wrt=["x"])
    assert value.item() == float("inf") and torch.isnan(found["x"]).item()


def test_ignored_rows_and_bad_classes() -> None:
    loss = only("loss ce(z: real[C], t: class[C]) = -log(softmax(z)[t])")
    value, found = oracle(loss, [Z, torch.tensor([1, -100])], wrt=["z"])
    assert value[1].item() == 0 and not found["z"][1].any()
    assert oracle(loss, [Z, torch.tensor([1, 3])])[0].isnan().tolist() == [False, True]
    with pytest.raises(glo.GloError, match="hole"):
        oracle(only("loss f(x: real) = ?h(x)"), [Z[:, 0]])


@settings(max_examples=settings().max_examples // 2)
@given(st.data())
def test_both_references_agree(data: st.DataObject) -> None:
    loss = data.draw(losses(max_depth=4))
    arrays, params = data.draw(arrays_for(loss, corners=("plain", "ties"))), data.draw(parameters_for(loss))
    value, _ = oracle(loss, [torch.from_numpy(arrays[v.name]) for v in loss.inputs], params)
    from dataclasses import replace

    nearby = [reference(replace(loss, expr=noisy(loss.expr, seed)), arrays, params) for seed in range(3)]
    assert not wrong(value.numpy(), reference(loss, arrays, params), nearby).any()


def test_noise_shows_where_a_value_is_not_determined() -> None:
    jump, smooth = only("loss f(x: real) = floor(x * 2)"), only("loss f(x: real) = exp(x) * 2")
    for loss, moves in ((jump, True), (smooth, False)):
        x = torch.tensor([1.5])
        truth, _ = oracle(loss, [x])
        from dataclasses import replace

        shifts = [abs(float(oracle(replace(loss, expr=noisy(loss.expr, n)), [x])[0] - truth)) for n in (0, 1)]
        assert (max(shifts) > 0.5) == moves and max(shifts) > 0


def test_wrong_forgives_only_what_is_not_determined() -> None:
    truth = np.array([1.0, 1.0, np.nan, np.inf, 0.0])
    mine = np.array([1.0 + 1e-6, 5.0, 3.0, 2.0, np.nan])
    assert wrong(mine, truth, []).tolist() == [True, True, False, False, True]
    assert wrong(mine, truth, [truth + 1.0]).tolist() == [False, False, False, False, True]
    assert wrong(mine, truth, [truth + 1e-10]).tolist() == [True, True, False, False, True]


NUMBERS = st.lists(st.floats(), min_size=5, max_size=5).map(np.array)


@given(NUMBERS, NUMBERS, st.lists(NUMBERS, max_size=3), NUMBERS)
def test_more_noise_never_makes_more_wrong(
    mine: NDArray[np.float64], truth: NDArray[np.float64], nearby: list[NDArray[np.float64]], more: NDArray[np.float64]
) -> None:
    """So noise need not be looked at where nothing is wrong without it."""
    assert not (wrong(mine, truth, [*nearby, more]) & ~wrong(mine, truth, nearby)).any()

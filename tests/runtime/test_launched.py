"""Means of few rows and of many: how many launches they are, and what they divide by."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

import glo_dsl as glo
from glo_dsl.runtime import launched, planes, repeated, totals
from glo_dsl.runtime.contract import CompiledLoss
from glo_dsl.runtime.spec import Constants

TEXT = "loss two(z: real[C], t: class[C], u: class[C]) = -log_softmax(z)[t] - log_softmax(z)[u] / 2"


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names of the kernels that were started, where 8 rows are few."""
    seen: list[str] = []
    start = totals.start

    def noted(kernel: Any, *rest: Any) -> object:
        seen.append(kernel.__name__)
        return start(kernel, *rest)

    for module in (repeated, totals, planes):
        monkeypatch.setattr(module, "start", noted)
    monkeypatch.setattr(launched, "COUNTED", 8)
    yield seen


def both(text: str) -> tuple[CompiledLoss, CompiledLoss]:
    (loss,) = glo.loads(text).values()
    return glo.compile(loss, "triton"), glo.compile(loss, "torch")


@pytest.mark.parametrize(("rows", "before"), [(1, 0), (8, 0), (9, 1), (20, 1), (0, 1)])
@pytest.mark.parametrize("targets", [1, 2])
def test_a_mean_of_few_rows_is_two_launches(started: list[str], rows: int, before: int, targets: int) -> None:
    text = TEXT if targets == 2 else "loss two(z: real[C], t: class[C]) = -log_softmax(z)[t]"
    mine, plain = both(text)
    z, classes = torch.randn(rows, 3), [torch.randint(3, (rows,)) for _ in range(targets)]
    for n, t in enumerate(classes):
        t[n : rows - 1 : 3] = -100
    found = mine.value_and_grad(z, *classes)
    assert started == ["total_kernel"] * before + ["two_kernel"] * (rows > 0) + ["total_kernel"]
    torch.testing.assert_close(found, plain.value_and_grad(z, *classes), equal_nan=True)


def test_long_rows_are_counted_before(started: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launched, "SHORT", 5)
    for classes, before in ((5, 0), (6, 1)):
        mine, plain = both(TEXT)
        inputs = torch.randn(4, classes), torch.tensor([0, 1, -100, 2]), torch.tensor([0, -100, -100, 4])
        started.clear()
        torch.testing.assert_close(mine.value_and_grad(*inputs), plain.value_and_grad(*inputs))
        assert started == ["total_kernel"] * before + ["two_kernel", "total_kernel"]


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_without_classes_there_is_nothing_to_count(started: list[str], reduction: str) -> None:
    mine, plain = both("loss mse(p: real, y: real) = (p - y) ^ 2")
    for rows in (5, 30):
        p, y = torch.randn(rows), torch.randn(rows)
        found = mine.value_and_grad(p, y, reduction=reduction)
        torch.testing.assert_close(found, plain.value_and_grad(p, y, reduction=reduction))
    assert started == (["mse_kernel"] + ["total_kernel"] * (reduction != "none")) * 2


def test_axes_behind_the_classes_are_counted_together(started: list[str]) -> None:
    mine, plain = both(TEXT)
    z, t, u = torch.randn(2, 3, 4), torch.randint(3, (2, 4)), torch.randint(3, (2, 4))
    t[0, :3] = -100
    torch.testing.assert_close(mine.value_and_grad(z, t, u), plain.value_and_grad(z, t, u))
    assert started == ["total_kernel", "two_kernel", "total_kernel"]


@pytest.mark.parametrize("rows", [6, 20])
def test_members_of_a_bundle_count_for_themselves(started: list[str], rows: int) -> None:
    loss = glo.zoo["focal"]
    z, t = torch.randn(3, rows, 4), torch.randint(4, (3, rows))
    t[0, :2] = t[1, 3] = -100
    gamma = [0.5, 1.0, 2.0]
    plain = glo.bundle([loss] * 3, "torch")
    for targets in (t, t[0]):
        started.clear()
        found = glo.bundle([loss] * 3, "triton").value_and_grad(z, targets, gamma=gamma)
        assert started == ["total_kernel"] * (rows > 8) + ["focal_kernel", "total_kernel"]
        torch.testing.assert_close(found, plain.value_and_grad(z, targets, gamma=gamma))


def test_a_constant_that_a_graph_reads_is_kept_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    constants, device, value = Constants(), torch.device("cuda"), torch.ones(1)
    key = (1.0,), device, torch.float32
    for capturing in (False, True):
        constants._kept[key] = value
        monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda capturing=capturing: capturing)
        assert constants.vector(*key) is value
        constants._kept.clear()
        assert list(constants._recorded) == [key] * capturing

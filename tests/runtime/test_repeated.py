"""A step once more, with the CPU taken for a device: the same launches with other memory, or none at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

import glo_dsl as glo
from glo_dsl.runtime import repeated
from glo_dsl.runtime.contract import CompiledLoss
from glo_dsl.runtime.repeated import Recorder
from glo_dsl.runtime.spec import Number
from glo_dsl.runtime.start import Argument, start


class Started:
    """Stands for a compiled kernel: starts it by Triton's interpreter, with tensors out of the pointers it is given."""

    usual = True

    def __init__(self, log: list[str], kernel: Any, values: Sequence[Argument], sizes: dict[str, int]) -> None:
        self._log, self._kernel, self._values, self._sizes = log, kernel, values, sizes

    def again(self, programs: int, passed: Sequence[int | None]) -> bool:
        if not self.usual:
            return False
        self._log.append(self._kernel.__name__)
        assert len(passed) == len(self._values)
        values = [
            _at(pointer, value) if isinstance(value, Tensor) else pointer
            for pointer, value in zip(passed, self._values)
        ]
        self._kernel[(programs,)](*values, **self._sizes)
        return True


def _at(pointer: int | None, like: Tensor) -> Tensor:
    """The memory at an address as a tensor like another."""
    import ctypes

    assert pointer is not None
    size = like.untyped_storage().nbytes() or 4
    return torch.frombuffer((ctypes.c_char * size).from_address(pointer), dtype=like.dtype)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The kernels that were started again."""
    seen: list[str] = []

    def recorded(kernel: Any, programs: int, values: Sequence[Argument], sizes: dict[str, int]) -> Started:
        start(kernel, programs, values, sizes)
        return Started(seen, kernel, values, sizes)

    monkeypatch.setattr(repeated, "start", recorded)
    yield seen
    Started.usual = True


@pytest.fixture
def make(log: list[str]) -> Callable[[str], tuple[CompiledLoss, CompiledLoss]]:
    """A loss by Triton, its steps not yet prepared, and by PyTorch."""
    return lambda name: (glo.compile(glo.zoo[name], "triton"), glo.compile(glo.zoo[name], "torch"))


def batch(rows: int, classes: int, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    t = torch.randint(classes, (rows,), generator=generator)
    return torch.randn(rows, classes, generator=generator), torch.where(t == 0, -100, t) if seed % 2 else t


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", ["cross_entropy", "focal"])
def test_other_tensors_take_their_places(
    make: Callable[[str], tuple[CompiledLoss, CompiledLoss]], log: list[str], name: str, reduction: str
) -> None:
    mine, plain = make(name)
    constants: list[dict[str, Number]] = [{}, {}, {}, {"gamma": 1.5}, {"gamma": torch.tensor(0.5)}]
    kept = []
    for seed, given in enumerate(constants if name == "focal" else [{}] * 4):
        inputs = batch(13, 4, seed)
        kept.append((inputs, given, mine.value_and_grad(*inputs, reduction=reduction, **given)))
    for inputs, given, found in kept:  # none has taken the memory of another
        torch.testing.assert_close(found, plain.value_and_grad(*inputs, reduction=reduction, **given))
    each = [f"{name}_kernel"] + ["total_kernel"] * (reduction != "none")
    assert log == each * (len(kept) - 1)


def test_gradients_of_everything(make: Callable[[str], tuple[CompiledLoss, CompiledLoss]], log: list[str]) -> None:
    mine, plain = make("focal")
    for seed in range(3):
        z, t = batch(9, 5, seed)
        leaves = [z.requires_grad_(), torch.tensor(1.0 + seed, requires_grad=True)]
        found = torch.autograd.grad(mine(leaves[0], t, gamma=leaves[1]), leaves)
        torch.testing.assert_close(found, torch.autograd.grad(plain(leaves[0], t, gamma=leaves[1]), leaves))
    assert log == ["focal_kernel", "total_kernel"] * 2


def test_elementwise_losses_and_dtypes(
    make: Callable[[str], tuple[CompiledLoss, CompiledLoss]], log: list[str]
) -> None:
    mine, plain = make("huber")
    for dtype in (torch.float32, torch.bfloat16):
        for _ in range(2):
            p, y = torch.randn(40).to(dtype), torch.randn(40).to(dtype)
            found, want = mine.value_and_grad(p, y), plain.value_and_grad(p, y)
            torch.testing.assert_close(found, want, rtol=1e-2 if dtype == torch.bfloat16 else 1e-5, atol=1e-5)
    assert log == ["huber_kernel", "total_kernel"] * 2


def test_what_differs_is_no_repetition(
    make: Callable[[str], tuple[CompiledLoss, CompiledLoss]], log: list[str]
) -> None:
    mine, plain = make("cross_entropy")
    z, t = batch(16, 3, 0)
    calls: list[tuple[Tensor, Tensor, dict[str, Any]]] = [
        (z, t, {}), (z, t, {"ignore_index": 1}), (z, t, {"sample_weight": torch.rand(16)}), (z[1:], t[1:], {}),
        (z, t, {"reduction": "sum"}), (z.double(), t, {}), (z, t.int(), {}), (z, t, {"sample_weight": torch.rand(16)}),
    ]  # fmt: skip
    for a, b, options in calls:
        value, found = mine.value_and_grad(a, b, **options)
        want, wanted = plain.value_and_grad(a, b, **options)
        torch.testing.assert_close(value.float(), want.float())
        torch.testing.assert_close(found["z"].float(), wanted["z"].float())
    assert not log
    mine.value_and_grad(z, t, ignore_index=1)
    assert log == ["cross_entropy_kernel", "total_kernel"]


def test_memory_that_is_not_aligned_is_no_repetition(
    make: Callable[[str], tuple[CompiledLoss, CompiledLoss]], log: list[str]
) -> None:
    mine, plain = make("cross_entropy")
    z, t = torch.randn(9, 3), torch.randint(3, (8,))
    for part in (z[:8], z[1:], z[1:], z[:8]):
        torch.testing.assert_close(mine.value_and_grad(part, t), plain.value_and_grad(part, t))
    assert log == ["cross_entropy_kernel", "total_kernel"]  # the last of them
    mine, _ = make("cross_entropy")
    log.clear()
    for part in (z[1:], z[1:]):
        mine.value_and_grad(part, t)
    assert not log


def test_one_tensor_in_two_places_is_not_taken_for_a_rule(
    make: Callable[[str], tuple[CompiledLoss, CompiledLoss]], log: list[str]
) -> None:
    mine, plain = make("mse")
    p, y = torch.randn(8), torch.randn(8)
    assert mine.value_and_grad(p, p)[0] == 0
    torch.testing.assert_close(mine.value_and_grad(p, y), plain.value_and_grad(p, y))
    assert not log
    torch.testing.assert_close(mine.value_and_grad(y, p), plain.value_and_grad(y, p))
    assert len(log) == 2


def test_where_nothing_can_be_repeated_all_is_as_before(
    make: Callable[[str], tuple[CompiledLoss, CompiledLoss]], log: list[str]
) -> None:
    mine, plain = make("cross_entropy")
    for usual in (True, False, True):
        Started.usual = usual
        z, t = batch(8, 3, 1)
        torch.testing.assert_close(mine.value_and_grad(z, t), plain.value_and_grad(z, t))
    assert len(log) == 2


def test_a_gradient_in_the_memory_of_its_input(
    make: Callable[[str], tuple[CompiledLoss, CompiledLoss]], log: list[str]
) -> None:
    mine, plain = make("cross_entropy")
    for seed in range(3):
        z, t = batch(8, 3, seed)
        want = plain.value_and_grad(z, t)
        found = mine.value_and_grad(z, t, inplace=True)
        torch.testing.assert_close(found, want)
        assert found[1]["z"].data_ptr() == z.data_ptr()
    assert not log


def test_nothing_was_started() -> None:
    assert Recorder().again([torch.zeros(1)]) is None

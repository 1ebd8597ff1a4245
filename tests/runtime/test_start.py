"""Kernels started again: only what Triton takes for the same kind, and by Triton where anything is unusual."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from glo_dsl.runtime import start as starting
from glo_dsl.runtime.start import start

Passed = tuple[object, ...]


class CudaLauncher:
    """Notes what it is called with."""

    def __init__(self) -> None:
        self.calls: list[Passed] = []

    def __call__(self, *passed: object) -> None:
        self.calls.append(passed)


class Compiled:
    """What Triton hands back."""

    function, packed_metadata = 17, (4, 1, 0)

    def __init__(self) -> None:
        self.run: Any = CudaLauncher()


class Kernel:
    """A kernel as Triton would have it, without a device: notes how it is launched, compiles once for each launch."""

    def __init__(self) -> None:
        def source(x_ptr, count, y_ptr, BLOCK, FAST=False): ...  # type: ignore[no-untyped-def]

        self.signature = inspect.signature(source)
        self.arg_names = list(self.signature.parameters)
        self.pre_run_hooks: list[object] = []
        self.compiled: list[Compiled] = []

    def __getitem__(self, grid: tuple[int, ...]) -> Any:
        def launch(*values: object, **sizes: object) -> Compiled:
            self.compiled.append(Compiled())
            return self.compiled[-1]

        return launch

    @property
    def again(self) -> list[Passed]:
        """Launches that Triton had nothing to do with."""
        return [call for compiled in self.compiled for call in compiled.run.calls]


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernel]:
    """The CPU taken for the first device."""
    monkeypatch.setattr(starting, "device_index", lambda tensor: 0)
    monkeypatch.setattr(starting, "current_device", lambda: 0)
    monkeypatch.setattr(starting, "stream_of", lambda index: 99)
    monkeypatch.setattr(starting, "_startable", {})
    monkeypatch.setattr(starting, "_refused", [])
    yield Kernel()


SIZES = {"BLOCK": 8, "num_warps": 4}


def test_the_second_launch_goes_to_the_launcher(kernel: Kernel) -> None:
    x, y = torch.zeros(5), torch.zeros(7)
    first = start(kernel, 3, (x, 5, None), SIZES)
    assert len(kernel.compiled) == 1 and not kernel.again
    assert start(kernel, 4, (y, 7, None), SIZES) is first
    assert kernel.again == [(4, 1, 1, 99, 17, (4, 1, 0), None, None, None, y.data_ptr(), 7, None, 8, False)]


@pytest.mark.parametrize(
    ("values", "sizes"),
    [
        ((torch.zeros(8).double(), 5, None), SIZES), ((torch.zeros(9)[1:], 5, None), SIZES),
        ((torch.zeros(8), 1, None), SIZES), ((torch.zeros(8), 16, None), SIZES), ((torch.zeros(8), 2**31, None), SIZES),
        ((torch.zeros(8), 5, torch.zeros(8)), SIZES), ((torch.zeros(8), None, None), SIZES),
        ((torch.zeros(8), 5, None), {"BLOCK": 16, "num_warps": 4}), ((torch.zeros(8), 5, None), {"BLOCK": 8}),
        ((torch.zeros(8), 5, None), {**SIZES, "FAST": True}), ((torch.zeros(8), 5, None), {"BLOCK": 8, "num_ctas": 4}),
    ],
)  # fmt: skip
def test_another_kind_is_compiled(kernel: Kernel, values: tuple[Any, ...], sizes: dict[str, int]) -> None:
    for _ in range(2):
        start(kernel, 1, (torch.zeros(8), 5, None), SIZES)
    start(kernel, 1, values, sizes)
    assert len(kernel.compiled) == 2
    start(kernel, 1, (torch.zeros(8), 5, None), SIZES)
    assert len(kernel.compiled) == 2 and len(kernel.compiled[0].run.calls) == 2


def test_another_kernel_or_device_is_compiled(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    other, values = Kernel(), (torch.zeros(8), 5, None)
    start(kernel, 1, values, SIZES)
    start(other, 1, values, SIZES)
    monkeypatch.setattr(starting, "device_index", lambda tensor: 1)
    start(kernel, 1, values, SIZES)
    assert len(kernel.compiled) == 2 and len(other.compiled) == 1 and not kernel.again
    current = [0]

    @contextmanager
    def device(index: int) -> Iterator[None]:
        current.append(index)
        yield
        current.pop()

    monkeypatch.setattr(torch.cuda, "device", device)
    monkeypatch.setattr(starting, "current_device", lambda: current[-1])
    monkeypatch.setattr(starting, "stream_of", lambda index: 1000 + current[-1])
    start(kernel, 1, values, SIZES)
    assert len(kernel.compiled) == 2 and current == [0]
    assert [call[3] for call in kernel.again] == [1001]


def _hook(*_: object) -> None: ...


@pytest.mark.parametrize(
    "what", ["interpreter", "hip", "debug", "enter", "exit", "pre-run", "other launcher", "memory"]
)
def test_what_is_unusual_goes_through_triton(kernel: Kernel, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    import triton

    runtime, values = triton.knobs.runtime, (torch.zeros(8), 5, None)
    if what != "memory":
        start(kernel, 1, values, SIZES)
    match what:
        case "interpreter":
            monkeypatch.setattr(starting, "device_index", lambda tensor: -1)
        case "hip":
            monkeypatch.setattr(torch.version, "hip", "6.0")
        case "debug":
            monkeypatch.setattr(runtime, "debug", True)
        case "enter" | "exit":
            monkeypatch.setattr(getattr(runtime, f"launch_{what}_hook"), "calls", [_hook])
        case "pre-run":
            kernel.pre_run_hooks.append(_hook)
        case "other launcher":
            kernel = Kernel()
            monkeypatch.setattr(starting, "LAUNCHER", "HIPLauncher")
            start(kernel, 1, values, SIZES)
        case "memory":  # of the host: Triton looks whether the device can reach it
            values = (torch.zeros(8), 5, torch.ones(8))
            monkeypatch.setattr(starting, "device_index", lambda tensor: -1 if tensor.sum() else 0)
            start(kernel, 1, values, SIZES)
    assert start(kernel, 1, values, SIZES) is None
    assert len(kernel.compiled) == 2 and not kernel.again


def test_a_launcher_that_takes_something_else_is_left_alone_from_then_on(kernel: Kernel) -> None:
    values = (torch.zeros(8), 5, None)
    found = start(kernel, 1, values, SIZES)
    assert found is not None
    kernel.compiled[0].run.__class__ = type("CudaLauncher", (CudaLauncher,), {"__call__": lambda self: None})
    for _ in range(3):
        start(kernel, 1, values, SIZES)
    assert len(kernel.compiled) == 4 and not kernel.again and len(starting._refused) == 1
    assert not found.again(1, [0, 5, None])


def test_few_kinds_are_remembered(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "STARTABLE", 3)
    for size in range(8):
        start(kernel, 1, (torch.zeros(8), 5, None), {"BLOCK": size})
        assert len(starting._startable) <= 3


integers = st.sampled_from([0, 1, 16, 17, -16, -1, 2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 2**32, 2**62, 2**63 - 16])


@given(a=st.none() | integers | st.integers(-(2**63), 2**63 - 1), b=st.none() | integers | st.integers(0, 64))
def test_integers_of_a_kind_are_one_to_triton(a: int | None, b: int | None) -> None:
    if starting._kind(a) == starting._kind(b):
        assert _specialization(a) == _specialization(b)


def test_there_are_few_kinds_of_integers() -> None:
    assert len({starting._kind(n) for n in range(-1000, 1000)}) == 3


def _specialization(value: Tensor | int | None) -> object:
    """What Triton makes of an argument."""
    from triton._C.libtriton import native_specialize_impl
    from triton.backends.compiler import BaseBackend

    return native_specialize_impl(BaseBackend, value, False, True, True)

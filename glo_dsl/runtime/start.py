"""Starting a Triton kernel again with arguments of the same kind, for a fraction of what Triton's own way costs.

This file is also copied, as it stands, into every module that `glo-compile` writes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

Argument = Tensor | int | None
"""An argument of a kernel: memory, a number, or nothing."""

NARROW = 2**31 - 1
"""Larger integers are no int32; they are told apart by their value."""

STARTABLE = 4096
"""Compiled kernels that are remembered."""

LAUNCHER = "CudaLauncher"
"""The launchers whose arguments are known here."""

_startable: dict[tuple[object, ...], Startable] = {}
_refused: list[str] = []
"""Why the launchers of this Triton are left alone, if they are."""


@dataclass(frozen=True, slots=True)
class Startable:
    """A kernel as Triton compiled it for arguments of some kind.

    Attributes:
        kernel: its source, which keeps its id as long as it is held here; by that it is found.
        index: of its device.
        compiled: what Triton handed back; the device forgets the kernel with it.
        run: its launcher, which takes `function` and `metadata` before the arguments.
        fixed: the last arguments, which are compiled in.
    """

    kernel: Any
    index: int
    compiled: Any
    run: Any
    function: Any
    metadata: Any
    fixed: tuple[object, ...]

    def again(self, programs: int, passed: Sequence[int | None]) -> bool:
        """Starts it with arguments of its kind, pointers as numbers; False where it has to be started by Triton.

        Nobody looks at the arguments: a pointer that is none of the device's ends the process.
        """
        if not is_usual(self.kernel):
            return False
        if self.index != current_device():
            with torch.cuda.device(self.index):
                return self.again(programs, passed)
        stream = stream_of(self.index)
        try:
            self.run(programs, 1, 1, stream, self.function, self.metadata, None, None, None, *passed, *self.fixed)
        except TypeError as error:  # before anything was launched: this Triton's launchers take something else
            _refused.append(str(error))
            return False
        return True


def start(kernel: Any, programs: int, values: Sequence[Argument], sizes: Mapping[str, int]) -> Startable | None:
    """`kernel[(programs,)](*values, **sizes)` on the device of the first value, a tensor.

    The first call with values of some kind goes through Triton, which finds out the kind, compiles, and hands back what
    it compiled. Later ones give their values to the launcher of that. A kind is what Triton tells apart, or a part of
    it: dtypes, which pointers are multiples of 16, which integers are 1 or multiples of 16, what is None, all sizes.

    Returns:
        what can be started again with values of this kind; None where anything is unusual (the interpreter, AMD,
        hooks, debugging): then every call goes through Triton.
    """
    first = values[0]
    assert isinstance(first, Tensor)
    index = device_index(first)
    if index < 0 or not is_usual(kernel):
        by_triton(kernel, programs, values, sizes)
        return None
    key: list[object] = [id(kernel), index, *sizes, *sizes.values()]
    passed: list[int | None] = []
    for value in values:
        if isinstance(value, Tensor):
            pointer = value.data_ptr()
            key += (value.dtype, pointer & 15 == 0, device_index(value))
            passed.append(pointer)
        else:
            key.append(_kind(value))
            passed.append(value)
    kind = tuple(key)
    found = _startable.get(kind)
    if found is not None and found.again(programs, passed):
        return found
    compiled = by_triton(kernel, programs, values, sizes)
    if any(isinstance(v, Tensor) and device_index(v) != index for v in values):
        return None  # memory that Triton has to look at, every time
    return _remembered(kind, kernel, index, compiled, len(values), sizes)


def _kind(value: int | None) -> int | None:
    """What Triton makes of an integer: 2 stands for 1, which it compiles in, 1 for multiples of 16, 0 for others."""
    if value is None or not -NARROW <= value <= NARROW:
        return value
    return 2 if value == 1 else int(value % 16 == 0)


def by_triton(kernel: Any, programs: int, values: Sequence[Argument], sizes: Mapping[str, int]) -> Any:
    """The usual way; what Triton compiled, if it did."""
    with torch.cuda.device_of(values[0]):  # type: ignore[no-untyped-call]
        return kernel[(programs,)](*values, **sizes)


def is_usual(kernel: Any) -> bool:
    """Whether a launch is nothing but a launch: nobody looks on, and nothing is checked besides."""
    runtime = _triton().knobs.runtime
    return not (
        _refused
        or torch.version.hip
        or runtime.debug
        or runtime.launch_enter_hook.calls
        or runtime.launch_exit_hook.calls
        or runtime.add_stages_inspection_hook
        or kernel.pre_run_hooks
    )


def _remembered(
    kind: tuple[object, ...], kernel: Any, index: int, compiled: Any, count: int, sizes: Mapping[str, int]
) -> Startable | None:
    """What Triton compiled for a kind of arguments, `count` of them before those that are compiled in."""
    run = getattr(compiled, "run", None)
    if type(run).__name__ != LAUNCHER:
        return None
    defaults = kernel.signature.parameters
    fixed = tuple([sizes[name] if name in sizes else defaults[name].default for name in kernel.arg_names[count:]])
    if len(_startable) >= STARTABLE:
        _startable.clear()
    found = _startable[kind] = Startable(
        kernel, index, compiled, run, compiled.function, compiled.packed_metadata, fixed
    )
    return found


device_index = Tensor.get_device
"""Below 0 for the CPU."""

current_device = torch.cuda.current_device


def stream_of(index: int) -> int:
    """The stream that PyTorch is at on a device."""
    return int(_triton().runtime.driver.active.get_current_stream(index))


@cache
def _triton() -> Any:
    import triton

    return triton

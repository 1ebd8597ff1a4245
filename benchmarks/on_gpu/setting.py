"""Where a run takes place: on the GPU, or rehearsed on the CPU with Triton's interpreter and tiny shapes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from on_gpu.timing import Clock, DeviceClock, HostClock

BENCHMARKS = Path(__file__).parents[1]
ROOT = BENCHMARKS.parent
FEW_ROWS, FEW_CLASSES, FEW = 4, 40, 2


@dataclass(frozen=True)
class Setting:
    """What sections have to know about a run.

    Attributes:
        rehearsal: everything is run for its own sake, on shapes so small that no figure means anything.
        compiles: torch.compile takes part.
    """

    rehearsal: bool
    compiles: bool

    @property
    def device(self) -> torch.device:
        return torch.device("cpu" if self.rehearsal else "cuda")

    @property
    def clock(self) -> Clock:
        return HostClock() if self.rehearsal else DeviceClock()

    @property
    def cache_bytes(self) -> int:
        """What the device's last cache holds; buffers that take turns are together larger."""
        return 0 if self.rehearsal else torch.cuda.get_device_properties(self.device).L2_cache_size

    def shape(self, rows: int, classes: int) -> tuple[int, int]:
        return (min(rows, FEW_ROWS), min(classes, FEW_CLASSES)) if self.rehearsal else (rows, classes)

    def count(self, many: int) -> int:
        return min(many, FEW) if self.rehearsal else many

    def wait(self) -> None:
        """Until the device has done everything.

        Raises:
            RuntimeError: a kernel has broken the process's hold of the device.
        """
        if not self.rehearsal:
            torch.cuda.synchronize()

    def free(self) -> None:
        """Gives back the memory of a case."""
        if not self.rehearsal:
            torch.cuda.empty_cache()


@dataclass
class Result:
    """One line of a section.

    Attributes:
        case: what was measured. of: the same for programs to read, if it is a loss on a shape.
        microseconds: of the device by contender: median, 20th and 80th percentile; and of the host until the call is
            issued.
        figures: anything else that is a number or a word, by name.
        notes: who was wrong, what failed.
    """

    case: str
    of: dict[str, Any] = field(default_factory=dict)
    microseconds: dict[str, tuple[float, float, float, float]] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def ratio(self, slow: str, fast: str = "glo") -> float | None:
        """How many times as long one takes as the other; None if either was not timed."""
        if slow not in self.microseconds or fast not in self.microseconds:
            return None
        return round(self.microseconds[slow][0] / self.microseconds[fast][0], 3)


Results = Generator[Result | None, None, None]
"""None stands for nothing yet."""


@dataclass(frozen=True)
class Section:
    """A question, and how long it may take.

    Attributes:
        about: what it measures, in a line.
        seconds: its share of the run; what a section leaves is for those after it.
        run: gives its results one by one, and is left when its time is over.
        timed: nothing else may run meanwhile.
        ahead: kernels that it needs, to be built by other processes before it begins.
        summary: what its results say together, however many there are.
    """

    name: str
    about: str
    seconds: float
    run: Callable[[Setting], Results]
    timed: bool = True
    ahead: Callable[[Setting], list[Callable[[], object]]] | None = None
    summary: Callable[[Sequence[Result]], list[Result]] | None = None


def environment(setting: Setting, **more: str) -> dict[str, str]:
    """What a process needs that runs a module of this folder, from a bare checkout too."""
    path = [str(BENCHMARKS), str(ROOT), str(ROOT / "codegen"), os.environ.get("PYTHONPATH", "")]
    interpreted = {"TRITON_INTERPRET": "1"} if setting.rehearsal else {}
    return {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in path if p), **interpreted, **more}


def command(module: str, setting: Setting, *arguments: str) -> list[str]:
    """A process that runs a module of this folder; `read_setting` reads its setting back."""
    return [
        sys.executable,
        "-m",
        f"on_gpu.{module}",
        str(int(setting.rehearsal)),
        str(int(setting.compiles)),
        *arguments,
    ]


def read_setting(arguments: list[str]) -> tuple[Setting, list[str]]:
    return Setting(arguments[0] == "1", arguments[1] == "1"), arguments[2:]

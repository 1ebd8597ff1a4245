"""Losses on the targets that can be compared here: built together, and called row by row of a batch."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glo_codegen.program import Program
from glo_codegen.torch_ import LAUNCH, emit_torch
from glo_dsl.errors import GloError, did_you_mean
from glo_dsl.lang.loss import Loss
from glo_dsl.runtime.build_c import NoCompiler
from glo_dsl.runtime.c_kernel import CKernel, build
from glo_dsl.runtime.load_module import load_module
from glo_dsl.verify.batch import Batch
from glo_dsl.verify.oracle import IGNORED

Array = NDArray[Any]
Rows = Callable[[tuple[Tensor, ...], tuple[float, ...], str], tuple[Tensor, dict[str, Tensor]]]
"""(inputs, params, reduction) -> loss and gradients by everything, those of shared inputs and parameters per row."""

TARGETS = ("c", "torch", "triton")
USUAL = ("c", "torch")
"""Compared when nothing else is said; without a C compiler only the second is."""

IN_ONE_UNIT = 6
"""Losses that one call of the C compiler builds."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """A loss on one target, in one precision, with all its gradients.

    Attributes:
        target: c, torch or triton.
        run: see `Rows`.
    """

    loss: Loss
    target: str
    dtype: torch.dtype
    run: Rows

    @property
    def precision(self) -> np.dtype[Any]:
        return np.dtype(np.float64 if self.dtype == torch.float64 else np.float32)

    def __str__(self) -> str:
        return f"{self.target} in {self.precision.name}"

    def rows(self, batch: Batch) -> dict[str, Array]:
        """Value, under "", and gradients of every row, in float64; rows that a kernel can take at once are one call."""
        found: dict[str, Array] = {}
        for rows in _together(self.loss, batch):
            part = batch.take(rows)
            inputs, params = self.arguments(part)
            value, gradients = self.run(inputs, params, "none")
            for name, tensor in {"": value, **gradients}.items():
                numbers = tensor.double().numpy()
                if name not in found:
                    found[name] = np.full((len(batch), *numbers.shape[1:]), np.nan)
                found[name][rows] = numbers
        return found

    def arguments(self, batch: Batch) -> tuple[tuple[Tensor, ...], tuple[float, ...]]:
        """The batch as a kernel takes it: shared inputs and parameters from the first row."""
        inputs = []
        for v in self.loss.inputs:
            column = batch.columns[v.name] if v.type.per_sample else batch.columns[v.name][0]
            tensor = torch.from_numpy(np.ascontiguousarray(column))
            inputs.append(tensor.to(self.dtype) if v.type.kind == "real" else tensor)
        return tuple(inputs), tuple(float(batch.columns[p.name][0]) for p in self.loss.params)


def _together(loss: Loss, batch: Batch) -> Iterator[Array]:
    """The rows of a batch, by equal parameters and shared inputs."""
    names = [v.name for v in batch.variables if not v.type.per_sample]
    if not names or len(batch) == 1:
        yield np.arange(len(batch))
        return
    keys = np.concatenate([batch.columns[n].reshape(len(batch), -1).astype(np.float64) for n in names], axis=1)
    _, group = np.unique(keys, axis=0, return_inverse=True)
    for number in range(int(group.max()) + 1):
        yield np.flatnonzero(group.reshape(-1) == number)


class Kernels:
    """The kernels of losses, by name, from their Programs.

    The C compiler starts at once, on all cores and a few losses at a time; whoever asks for a kernel waits for it.

    Where there is no C compiler, its kernels are missing, unless they are all that is asked for.

    Raises:
        GloError: no such target, or there is nothing to compile for it with.
    """

    def __init__(self, programs: Mapping[str, tuple[Loss, Program]], targets: Sequence[str] = USUAL) -> None:
        for target in targets:
            if target not in TARGETS:
                hint = did_you_mean(target, TARGETS)
                raise GloError(f"unknown target {target}; targets are {', '.join(TARGETS)}", hint=hint)
        self._targets = tuple(targets)
        self._programs = {name: program for name, (_, program) in programs.items()}
        self._building: dict[tuple[str, bool], tuple[Future[list[CKernel]], int]] = {}
        if "c" in targets:
            self._start(list(programs))

    def _start(self, names: Sequence[str]) -> None:
        pool = ThreadPoolExecutor(os.cpu_count())
        for first in range(0, len(names), IN_ONE_UNIT):
            group = names[first : first + IN_ONE_UNIT]
            for double in (True, False):
                future = pool.submit(build, [self._programs[name] for name in group], double)
                for place, name in enumerate(group):
                    self._building[name, double] = future, place
        pool.shutdown(wait=False)

    def of(self, loss: Loss) -> list[Kernel]:
        """The kernels of one of the losses."""
        found = []
        if "c" in self._targets:
            try:
                found += [self._c(loss, double) for double in (True, False)]
            except NoCompiler as reason:
                if self._targets == ("c",):
                    raise GloError(str(reason)) from None
        program = self._programs[loss.name]
        if "torch" in self._targets:
            found.append(Kernel(loss, "torch", torch.float64, _torch(program)))
        if "triton" in self._targets:
            found.append(Kernel(loss, "triton", torch.float32, _triton(program)))
        return found

    def _c(self, loss: Loss, double: bool) -> Kernel:
        future, place = self._building[loss.name, double]
        kernel = future.result()[place]
        dtype = torch.float64 if double else torch.float32
        return Kernel(loss, "c", dtype, lambda inputs, params, how: kernel.run(inputs, params, how, IGNORED))


def _torch(program: Program) -> Rows:
    return _launched(program, getattr(load_module(emit_torch(program)), LAUNCH), torch.float64)


def _triton(program: Program) -> Rows:
    """In Triton's interpreter, which must be chosen before triton is imported.

    Raises:
        GloError: it was imported without.
    """
    if os.environ.get("TRITON_INTERPRET") != "1":
        if "triton" in sys.modules:
            raise GloError("triton was imported without its interpreter", hint="set TRITON_INTERPRET=1 at the start")
        os.environ["TRITON_INTERPRET"] = "1"
    from glo_codegen.triton import emit_triton

    return _launched(program, load_module(emit_triton(program)).launch, torch.float32)


def _launched(program: Program, launch: Any, dtype: torch.dtype) -> Rows:
    def run(
        inputs: tuple[Tensor, ...], params: tuple[float, ...], reduction: str
    ) -> tuple[Tensor, dict[str, Tensor]]:  # fmt: skip
        vector, scale = torch.tensor(params, dtype=dtype), torch.ones(1, dtype=dtype)
        with torch.no_grad(), np.errstate(all="ignore"):  # Triton's interpreter computes lanes beyond the row
            loss, gradients = launch(inputs, vector, program.gradients, scale, IGNORED)
        return loss, gradients

    return run

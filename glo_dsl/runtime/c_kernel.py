"""A compiled C loss as a kernel: pointers and strides in, gradients out, nothing per row in Python."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain

import torch
from torch import Tensor

from glo_codegen.c import function_name, translation_unit
from glo_codegen.plan import overwritable
from glo_codegen.program import Program, Rate
from glo_dsl.runtime.build_c import load_c
from glo_dsl.runtime.spec import Number, Step, replaceable

BAD_CLASS = 1
"""What a kernel returns for a class index out of range."""

REDUCTIONS = {"none": 0, "sum": 1, "mean": 2}
GIVEN = 3
"""A mean over a divisor that the caller knows."""


class Call(ctypes.Structure):
    """The mirror of `glo_call` in the preamble."""

    _fields_ = (
        ("rows", ctypes.c_int64), ("classes", ctypes.c_int64), ("ignore_index", ctypes.c_int64),
        ("reduction", ctypes.c_int64), ("inputs", ctypes.c_void_p), ("stride", ctypes.c_void_p),
        ("params", ctypes.c_void_p), ("out", ctypes.c_void_p), ("loss", ctypes.c_void_p),
        ("bad_row", ctypes.c_int64), ("bad_class", ctypes.c_int64), ("divisor", ctypes.c_double),
        ("weight", ctypes.c_void_p), ("weight_stride", ctypes.c_int64), ("status", ctypes.c_int64),
        ("planes", ctypes.c_int64), ("plane", ctypes.c_void_p), ("n_inputs", ctypes.c_int64),
        ("n_gradients", ctypes.c_int64),
    )  # fmt: skip


STRETCH = 512
"""The longest row that is summed in one go; see the preamble. Longer ones are copied if their classes lie apart."""


@dataclass(frozen=True)
class Size:
    """Planes of rows of classes; `apart`: inputs have an axis of planes."""

    planes: int
    rows: int
    classes: int
    apart: bool = False

    @property
    def batch(self) -> tuple[int, ...]:
        return (self.planes, self.rows) if self.apart else (self.rows,)


class _Frame:
    """The arguments of a call in C's memory: sizes and strides stay, pointers and numbers change from call to call."""

    def __init__(self, kernel: CKernel, tensors: Sequence[Tensor], reduction: str) -> None:
        self.inputs = (ctypes.c_void_p * max(len(tensors), 1))()
        self.outputs = (ctypes.c_void_p * max(len(kernel.program.gradients), 1))()
        self.params = (ctypes.c_double * max(len(kernel.program.params), 1))()
        size = kernel.size(tensors)
        strides = [s for t, varies in zip(tensors, kernel.per_sample) for s in strides_of(t, varies, size.apart)]
        self.strides = (ctypes.c_int64 * max(len(strides), 1))(*strides)
        planes = kernel.plane_bytes(tensors, size)
        self.planes = (ctypes.c_int64 * max(len(planes), 1))(*planes)
        address = ctypes.addressof
        self.call = Call(
            size.rows, size.classes, 0, REDUCTIONS[reduction],
            address(self.inputs), address(self.strides), address(self.params), address(self.outputs),
            planes=size.planes, plane=address(self.planes), n_inputs=len(tensors),
            n_gradients=len(kernel.program.gradients),
        )  # fmt: skip
        self.reference = ctypes.byref(self.call)

    def fill(
        self, tensors: Sequence[Tensor], params: list[ctypes.c_double | float], loss: Tensor,
        gradients: Sequence[Tensor], ignore_index: int,
    ) -> None:  # fmt: skip
        """Sets what changes from call to call."""
        for n, tensor in enumerate(tensors):
            self.inputs[n] = tensor.data_ptr()
        for k, gradient in enumerate(gradients):
            self.outputs[k] = gradient.data_ptr()
        self.params[: len(params)] = params
        self.call.loss = loss.data_ptr()
        self.call.ignore_index = ignore_index

    def divide(self, divisor: float) -> None:
        """A mean is over `divisor`, not over the rows that count."""
        self.call.divisor, self.call.reduction = divisor, GIVEN

    def weigh(self, weights: Tensor | None) -> None:
        """`weights` [rows], contiguous or of one element, in the kernel's dtype; or None: each row counts once."""
        self.call.weight = None if weights is None else weights.data_ptr()
        self.call.weight_stride = 0 if weights is None else weights.stride(-1)

    def raise_for(self, status: int) -> None:
        """Turns what the kernel reports into an exception."""
        call = self.call
        if status == BAD_CLASS:
            raise IndexError(f"class index {call.bad_class} in row {call.bad_row} is outside [0, {call.classes})")
        raise MemoryError(f"no memory for scratch rows of {call.classes} classes")


class CKernel:
    """One Program, built; its gradients are all those the Program has. `across`: for planes, as `apart` finds them."""

    def __init__(self, program: Program, library: ctypes.CDLL, double: bool, across: bool = False) -> None:
        self.program = program
        self.across = across
        self.dtype = torch.float64 if double else torch.float32
        self.function = getattr(library, function_name(program))
        self.function.argtypes = (ctypes.POINTER(Call),)
        self.function.restype = ctypes.c_int
        self.library = library
        self._row = next((j for j, i in enumerate(program.inputs) if i.rate == Rate.CLASS), None)
        self._batch = next(j for j, i in enumerate(program.inputs) if i.per_sample)
        self._dtypes = tuple(_dtype(i.kind, self.dtype) for i in program.inputs)
        self.per_sample = tuple(i.per_sample for i in program.inputs)
        rows = {i.name for i in program.inputs if i.rate == Rate.CLASS}
        self._overwrites = overwritable(program)
        self._wide = tuple(name in rows for name in program.gradients)

    def prepare(self, inputs: Sequence[Tensor], reduction: str, inplace: str | None = None) -> Step:
        """A call for inputs of these shapes, strides and dtypes: what can be known of it is computed once.

        The gradient of the input `inplace` is left in the memory of that input, where it can be.
        The step raises IndexError for a class index out of range, MemoryError where there is no room for scratch rows.
        """
        size = self.size(inputs)
        copied = size.apart and not self.across
        exact = all(t.dtype == d for t, d in zip(inputs, self._dtypes)) and not copied
        like = self._laid(self.converted(inputs), copied)
        pattern = torch.empty((), dtype=self.dtype)  # expanded, it is a shape that `empty_like` copies and no memory
        loss_like = pattern.expand(size.batch) if reduction == "none" else pattern
        turned = self.across
        each = (size.classes, size.rows) if turned else (size.rows, size.classes)
        per_class = pattern.expand(size.planes, *each) if size.apart else pattern.expand(each)
        likes = [per_class if wide else pattern.expand(size.batch) for wide in self._wide]
        taken = self._taken(inputs, inplace)
        if taken is not None:
            likes[taken[1]] = pattern  # no room is needed
        function, empty_like, idle = self.function, torch.empty_like, [_Frame(self, like, reduction)]

        def step(
            rows: Sequence[Tensor], params: Sequence[Number], ignore_index: int, weights: Tensor | None,
            divisor: Tensor | None,
        ) -> tuple[Tensor, tuple[Tensor, ...]]:  # fmt: skip
            tensors = rows if exact else self._laid(self.converted(rows), copied)
            loss, gradients = empty_like(loss_like), tuple([empty_like(g) for g in likes])
            if taken is not None:
                given = tensors[taken[0]].transpose(1, 2) if turned else tensors[taken[0]]
                gradients = tuple([given if k == taken[1] else g for k, g in enumerate(gradients)])
            try:
                frame = idle.pop()  # a list hands out each of its items to one thread only
            except IndexError:
                frame = _Frame(self, tensors, reduction)
            frame.fill(tensors, _numbers(params), loss, gradients, ignore_index)
            if divisor is not None:
                frame.divide(divisor.item())
            if weights is not None:
                weights = weights.to(self.dtype).contiguous()
                frame.weigh(weights)
            status = function(frame.reference)
            if status:
                frame.raise_for(status)
            if weights is None and divisor is None:  # else the frame says more than its next call may mean
                idle.append(frame)
            if turned:
                gradients = tuple([g.transpose(1, 2) if wide else g for g, wide in zip(gradients, self._wide)])
            return loss, gradients

        return step

    def _laid(self, tensors: list[Tensor], copied: bool) -> list[Tensor]:
        """The inputs, those per class with their classes side by side if `copied`."""
        return [t.contiguous() if t.dim() == 3 else t for t in tensors] if copied else tensors

    def overwrites(self, inputs: Sequence[Tensor], name: str) -> bool:
        """Whether `prepare` for such inputs can leave the gradient of the input `name` in its memory."""
        return self._taken(inputs, name) is not None

    def _taken(self, inputs: Sequence[Tensor], inplace: str | None) -> tuple[int, int] | None:
        """The input that gives its memory to its gradient, and the place of that; None: there is none."""
        copied = self.size(inputs).apart and not self.across
        if copied or inplace not in self._overwrites:
            return None
        place = next(n for n, i in enumerate(self.program.inputs) if i.name == inplace)
        same = inputs[place].dtype == self.dtype and replaceable(inputs[place])
        return (place, self.program.gradients.index(inplace)) if same else None

    def run(
        self, inputs: Sequence[Tensor], params: Sequence[Number], reduction: str, ignore_index: int,
        divisor: Tensor | None = None, weights: Tensor | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:  # fmt: skip
        """Loss and gradients of a single call; see `prepare` and `spec.Step`."""
        loss, gradients = self.prepare(inputs, reduction)(inputs, params, ignore_index, weights, divisor)
        return loss, dict(zip(self.program.gradients, gradients))

    def bind(
        self, tensors: Sequence[Tensor], params: Sequence[float], reduction: str, ignore_index: int,
        loss: Tensor, gradients: Sequence[Tensor],
    ) -> Callable[[], None]:  # fmt: skip
        """A call on fixed buffers, to be made as often as their contents change: a foreign call and nothing else.

        `tensors` are in the kernel's own dtype (int64 for classes, uint8 for conditions), `gradients` contiguous and
        in the order of the Program; none of them may be resized while the call is in use.
        """
        frame = _Frame(self, tensors, reduction)
        frame.fill(tensors, list(params), loss, gradients, ignore_index)
        reference, function = frame.reference, self.function
        alive = (tensors, loss, gradients)  # the kernel holds bare addresses

        def step(_: object = alive) -> None:
            status = function(reference)
            if status:
                frame.raise_for(status)

        return step

    def size(self, tensors: Sequence[Tensor]) -> Size:
        """How many rows and classes there are, and how they lie."""
        batch = tensors[self._batch].shape
        if self._row is None:
            return Size(1, batch[0], 1)
        classes = tensors[self._row].shape[-1]
        if len(batch) == 1 + (self.program.inputs[self._batch].rate == Rate.CLASS):
            return Size(1, batch[0], classes)
        return Size(batch[0], batch[1], classes, apart=True)

    def plane_bytes(self, tensors: Sequence[Tensor], size: Size) -> list[int]:
        """From plane to plane, of inputs and of gradients; nothing where there are no planes."""
        if not size.apart:
            return []
        inputs = [t.stride(0) * t.element_size() * varies for t, varies in zip(tensors, self.per_sample)]
        each = size.rows * self.dtype.itemsize
        return inputs + [each * size.classes if wide else each for wide in self._wide]

    def converted(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """The inputs in the dtypes that the kernel reads."""
        return [t if t.dtype == d else _converted(t, d) for t, d in zip(inputs, self._dtypes)]


def _numbers(params: Sequence[Number]) -> list[ctypes.c_double | float]:
    return [p.item() if isinstance(p, Tensor) else p for p in params]


def _dtype(kind: str, real: torch.dtype) -> torch.dtype:
    """What the kernel reads an input of this kind as."""
    return {"real": real, "class": torch.int64, "bool": torch.uint8}[kind]


def _converted(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """The tensor as the kernel reads it; a condition is any number but 0."""
    if dtype != torch.uint8:
        return tensor.to(dtype)
    return (tensor if tensor.dtype == torch.bool else tensor != 0).view(torch.uint8)


def apart(inputs: Sequence[Tensor]) -> bool:
    """Whether inputs have an axis of planes, and rows that are short enough to be taken as they lie, side by side."""
    rows = [t.shape[-1] for t in inputs if t.dim() == 3]
    return bool(rows) and rows[0] <= STRETCH


def strides_of(tensor: Tensor, per_sample: bool, apart: bool = False) -> tuple[int, int]:
    """From row to row and from class to class, in elements; `apart`: there is an axis of planes before them."""
    strides = tensor.stride()[apart and per_sample :]
    if len(strides) == 2:
        return strides
    return (strides[0], 0) if per_sample else (0, strides[0])


def build(programs: Sequence[Program], double: bool = False, across: bool = False) -> list[CKernel]:
    """The kernels of several Programs, built together in one translation unit; for `across` see `CKernel`.

    Raises:
        NoCompiler: they cannot be built here.
    """
    named = [replace(program, name=f"{program.name}_{n}") for n, program in enumerate(programs)]
    library = load_c(translation_unit(named, across), double)
    return [CKernel(program, library, double, across) for program in named]


IN_ONE_UNIT = 4
"""Losses in one translation unit: what all share is compiled once, and every core has a unit of its own."""


def build_all(programs: Sequence[Program], double: bool = False) -> list[CKernel]:
    """The kernels of any number of Programs, built on all cores.

    Raises:
        NoCompiler: they cannot be built here.
    """
    groups = [programs[n : n + IN_ONE_UNIT] for n in range(0, len(programs), IN_ONE_UNIT)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(chain.from_iterable(pool.map(partial(build, double=double), groups)))

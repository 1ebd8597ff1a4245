"""A compiled C loss as a kernel: pointers and strides in, gradients out, nothing per row in Python."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from glo_codegen.c import function_name, translation_unit
from glo_codegen.program import Program, Rate
from glo_dsl.runtime.build_c import load_c
from glo_dsl.runtime.spec import Number

BAD_CLASS = 1
"""What a kernel returns for a class index out of range."""

REDUCTIONS = {"none": 0, "sum": 1, "mean": 2}
GIVEN = 3
"""A mean over a divisor that the caller knows."""


class _Call(ctypes.Structure):
    """The mirror of `glo_call` in the preamble."""

    _fields_ = (
        ("rows", ctypes.c_int64), ("classes", ctypes.c_int64), ("ignore_index", ctypes.c_int64),
        ("reduction", ctypes.c_int64), ("inputs", ctypes.c_void_p), ("stride", ctypes.c_void_p),
        ("params", ctypes.c_void_p), ("out", ctypes.c_void_p), ("loss", ctypes.c_void_p),
        ("bad_row", ctypes.c_int64), ("bad_class", ctypes.c_int64), ("divisor", ctypes.c_double),
    )  # fmt: skip


class CKernel:
    """One Program, built; its gradients are all those the Program has.

    `run` follows `contract.Run` except that `wrt` is fixed: it is the Program's.
    """

    def __init__(self, program: Program, library: ctypes.CDLL, double: bool) -> None:
        self.program = program
        self.dtype = torch.float64 if double else torch.float32
        self._function = getattr(library, function_name(program))
        self._function.argtypes = (ctypes.POINTER(_Call),)
        self._function.restype = ctypes.c_int
        self._library = library
        n, k = len(program.inputs), len(program.gradients)
        self._pointers, self._strides = ctypes.c_void_p * max(n, 1), ctypes.c_int64 * max(2 * n, 1)
        self._params, self._outputs = ctypes.c_double * max(len(program.params), 1), ctypes.c_void_p * max(k, 1)
        self._row = next((j for j, i in enumerate(program.inputs) if i.rate == Rate.CLASS), None)
        self._batch = next(j for j, i in enumerate(program.inputs) if i.per_sample)
        self._dtypes = tuple(_dtype(i.kind, self.dtype) for i in program.inputs)
        self._per_sample = tuple(i.per_sample for i in program.inputs)
        rows = {i.name for i in program.inputs if i.rate == Rate.CLASS}
        self._gradients = tuple((name, name in rows) for name in program.gradients)

    def run(
        self, inputs: Sequence[Tensor], params: Sequence[Number], reduction: str, ignore_index: int,
        divisor: Tensor | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:  # fmt: skip
        """Loss and gradients; a `divisor` is what a mean divides by, instead of the number of rows that count.

        Raises:
            IndexError: a class index is out of range.
            MemoryError: no room for scratch rows.
        """
        tensors = [t if t.dtype == d else _converted(t, d) for t, d in zip(inputs, self._dtypes)]
        rows, classes = self._size(tensors)
        both, row = (rows, classes), (rows,)
        gradients = {name: torch.empty(both if wide else row, dtype=self.dtype) for name, wide in self._gradients}
        loss = torch.empty(row if reduction == "none" else (), dtype=self.dtype)
        values = [p.item() if isinstance(p, Tensor) else p for p in params]
        given = None if divisor is None else divisor.item()
        self.bind(tensors, values, reduction, ignore_index, loss, tuple(gradients.values()), given)()
        return loss, gradients

    def _size(self, tensors: Sequence[Tensor]) -> tuple[int, int]:
        """Rows and classes."""
        classes = tensors[self._row].shape[-1] if self._row is not None else 1
        return tensors[self._batch].shape[0], classes

    def bind(
        self, tensors: Sequence[Tensor], params: Sequence[float], reduction: str, ignore_index: int,
        loss: Tensor, gradients: Sequence[Tensor], divisor: float | None = None,
    ) -> Callable[[], None]:  # fmt: skip
        """A call on fixed buffers, to be made as often as their contents change: a foreign call and nothing else.

        `tensors` are in the kernel's own dtype (int64 for classes, uint8 for conditions), `gradients` contiguous and
        in the order of the Program; none of them may be resized while the call is in use.
        """
        rows, classes = self._size(tensors)
        pointers = self._pointers(*[t.data_ptr() for t in tensors])
        strides = self._strides(*[s for t, varies in zip(tensors, self._per_sample) for s in _strides(t, varies)])
        values = self._params(*params)
        outputs = self._outputs(*[g.data_ptr() for g in gradients])
        call = _Call(
            rows, classes, ignore_index, REDUCTIONS[reduction] if divisor is None else GIVEN,
            ctypes.addressof(pointers), ctypes.addressof(strides), ctypes.addressof(values),
            ctypes.addressof(outputs), loss.data_ptr(), 0, 0, divisor or 0.0,
        )  # fmt: skip
        reference, function = ctypes.byref(call), self._function
        alive = (pointers, strides, values, outputs, tensors, loss, gradients)  # the kernel holds bare addresses

        def step() -> None:
            status = function(reference)
            if status:
                _fail(status, call, alive)

        return step


def _dtype(kind: str, real: torch.dtype) -> torch.dtype:
    """What the kernel reads an input of this kind as."""
    return {"real": real, "class": torch.int64, "bool": torch.uint8}[kind]


def _converted(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """The tensor as the kernel reads it; a condition is any number but 0."""
    if dtype != torch.uint8:
        return tensor.to(dtype)
    return (tensor if tensor.dtype == torch.bool else tensor != 0).view(torch.uint8)


def _fail(status: int, call: _Call, _: object) -> None:
    """Turns what the kernel reports into an exception."""
    if status == BAD_CLASS:
        raise IndexError(f"class index {call.bad_class} in row {call.bad_row} is outside [0, {call.classes})")
    raise MemoryError(f"no memory for scratch rows of {call.classes} classes")


def _strides(tensor: Tensor, per_sample: bool) -> tuple[int, int]:
    """From row to row and from class to class, in elements."""
    strides = tensor.stride()
    if len(strides) == 2:
        return strides
    return (strides[0], 0) if per_sample else (0, strides[0])


def build(programs: Sequence[Program], double: bool = False, draft: bool = False) -> list[CKernel]:
    """The kernels of several Programs, built together in one translation unit; for `draft` see `load_c`.

    Raises:
        NoCompiler: they cannot be built here.
    """
    named = [replace(program, name=f"{program.name}_{n}") for n, program in enumerate(programs)]
    library = load_c(translation_unit(named), double, draft)
    return [CKernel(program, library, double) for program in named]

"""A compiled C loss as a kernel: pointers and strides in, gradients out, nothing per row in Python."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from glo_codegen.c import function_name, translation_unit
from glo_codegen.program import Program, Rate
from torch import Tensor

from glo_dsl.runtime.build_c import load_c
from glo_dsl.runtime.contract import Number

REDUCTIONS = {"none": 0, "sum": 1, "mean": 2}


class _Call(ctypes.Structure):
    """The mirror of `glo_call` in the preamble."""

    _fields_ = (
        ("rows", ctypes.c_int64), ("classes", ctypes.c_int64), ("ignore_index", ctypes.c_int64),
        ("reduction", ctypes.c_int64), ("inputs", ctypes.c_void_p), ("stride", ctypes.c_void_p),
        ("params", ctypes.c_void_p), ("out", ctypes.c_void_p), ("loss", ctypes.c_void_p),
        ("bad_row", ctypes.c_int64), ("bad_class", ctypes.c_int64),
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

    def run(
        self, inputs: Sequence[Tensor], params: Sequence[Number], reduction: str, ignore_index: int
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss and gradients.

        Raises:
            IndexError: a class index is out of range.
            MemoryError: no room for scratch rows.
        """
        tensors = [self._ready(t, i.kind) for t, i in zip(inputs, self.program.inputs)]
        rows = tensors[self._batch].shape[0]
        classes = tensors[self._row].shape[-1] if self._row is not None else 1
        gradients = {name: self._output(name, rows, classes) for name in self.program.gradients}
        loss = torch.empty((rows,) if reduction == "none" else (), dtype=self.dtype)
        self.bind(tensors, [p.item() if isinstance(p, Tensor) else p for p in params], reduction, ignore_index, loss, list(gradients.values()))()
        return loss, gradients

    def bind(
        self, tensors: Sequence[Tensor], params: Sequence[float], reduction: str, ignore_index: int,
        loss: Tensor, gradients: Sequence[Tensor],
    ) -> Callable[[], None]:  # fmt: skip
        """A call on fixed buffers, to be made as often as their contents change: a foreign call and nothing else.

        `tensors` are in the kernel's own dtype (int64 for classes, uint8 for conditions), `gradients` contiguous and
        in the order of the Program; none of them may be resized while the call is in use.
        """
        rows = tensors[self._batch].shape[0]
        classes = tensors[self._row].shape[-1] if self._row is not None else 1
        pointers = self._pointers(*(t.data_ptr() for t in tensors))
        strides = self._strides(*(s for t, i in zip(tensors, self.program.inputs) for s in _strides(t, i.per_sample)))
        values = self._params(*params)
        outputs = self._outputs(*(g.data_ptr() for g in gradients))
        call = _Call(
            rows, classes, ignore_index, REDUCTIONS[reduction], ctypes.addressof(pointers), ctypes.addressof(strides),
            ctypes.addressof(values), ctypes.addressof(outputs), loss.data_ptr(), 0, 0,
        )  # fmt: skip
        reference, function = ctypes.byref(call), self._function
        alive = (pointers, strides, values, outputs, tensors, loss, gradients)  # the kernel holds bare addresses

        def step() -> None:
            if function(reference):
                _fail(call, alive)

        return step

    def _ready(self, tensor: Tensor, kind: str) -> Tensor:
        """The tensor in the type that the kernel reads; no copy when it has it."""
        wanted = {"real": self.dtype, "class": torch.int64, "bool": torch.uint8}[kind]
        if kind == "bool" and tensor.dtype != torch.bool:
            tensor = tensor != 0
        return tensor if tensor.dtype == wanted else tensor.to(wanted)

    def _output(self, name: str, rows: int, classes: int) -> Tensor:
        per_class = any(i.name == name and i.rate == Rate.CLASS for i in self.program.inputs)
        return torch.empty((rows, classes) if per_class else (rows,), dtype=self.dtype)


def _fail(call: _Call, _: object) -> None:
    """Turns what the kernel reports into an exception."""
    if call.bad_row or call.bad_class:
        raise IndexError(f"class index {call.bad_class} in row {call.bad_row} is outside [0, {call.classes})")
    raise MemoryError(f"no memory for scratch rows of {call.classes} classes")


def _strides(tensor: Tensor, per_sample: bool) -> tuple[int, int]:
    """From row to row and from class to class, in elements."""
    if tensor.dim() == 2:
        row, column = tensor.stride()
        return row, column
    return (tensor.stride(0), 0) if per_sample else (0, tensor.stride(0))


def build(programs: Sequence[Program], double: bool = False) -> list[CKernel]:
    """The kernels of several Programs, built together in one translation unit.

    Raises:
        NoCompiler: they cannot be built here.
    """
    named = [replace(program, name=f"{program.name}_{n}") for n, program in enumerate(programs)]
    library = load_c(translation_unit(named), double)
    return [CKernel(program, library, double) for program in named]

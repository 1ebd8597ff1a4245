"""The C interpreter of Programs, built once on a machine, and Programs bound to buffers for it."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from functools import cache

from torch import Tensor

from glo_codegen.c_interpreter import ENTRY, Code, emit_interpreter, encoded
from glo_codegen.program import CLASSES, Operand, Program, Rate, parameter
from glo_dsl.ir.ops import Op
from glo_dsl.ir.table import OPS
from glo_dsl.runtime.build_c import load_c

OPERATORS: tuple[Op, ...] = tuple(op for op in OPS.values() if op.c and op.shape not in ("reduce", "gather"))
"""Those that the interpreter knows, in the order of their codes."""


class Task(ctypes.Structure):
    """`glo_task`."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("rows", "classes", "steps", "registers", "fixed")),
        *((name, ctypes.c_void_p) for name in ("code", "wide", "values", "in", "stride", "out")),
    )


@cache
def interpreter() -> ctypes.CDLL:
    """The library.

    Raises:
        NoCompiler: it cannot be built here.
    """
    library = load_c(emit_interpreter(OPERATORS), double=False)
    function = getattr(library, ENTRY)
    function.argtypes, function.restype = (ctypes.POINTER(Task),), ctypes.c_int
    return library


class Interpreted:
    """A Program with one gradient, by an input, for the interpreter."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._code: Code = encoded(program, OPERATORS)
        self._function = getattr(interpreter(), ENTRY)

    def bind(self, tensors: Sequence[Tensor], params: Sequence[float], gradient: Tensor) -> Callable[[], None]:
        """A call on fixed buffers that fills `gradient`, contiguous, with that of the summed loss at `tensors`.

        All are float32, classes int64 and in range; no row is ignored. Parameters are in the order of the Program.
        """
        batch = next(t for t, i in zip(tensors, self.program.inputs) if i.per_sample)
        rows = [t.shape[-1] for t, i in zip(tensors, self.program.inputs) if i.rate == Rate.CLASS]
        given = dict(zip((parameter(name) for name in self.program.params), params)) | {CLASSES: max(rows, default=1)}
        code, count = self._code, len(tensors)
        strides = [s for t in tensors for s in (t.stride(0), t.stride(1) if t.dim() > 1 else 0)]
        arrays = (
            (ctypes.c_int32 * len(code.steps))(*code.steps),
            (ctypes.c_uint8 * len(code.wide)).from_buffer_copy(code.wide),
            (ctypes.c_double * max(len(code.fixed), 1))(*(_number(v, given) for v in code.fixed)),
            (ctypes.c_void_p * count)(*(t.data_ptr() for t in tensors)), (ctypes.c_int64 * (2 * count))(*strides),
        )  # fmt: skip
        task = Task(batch.shape[0], max(rows, default=1), len(code.steps) // 5, len(code.wide), len(code.fixed),
                    *(ctypes.addressof(a) for a in arrays), gradient.data_ptr())  # fmt: skip
        reference, function = ctypes.byref(task), self._function
        alive = (arrays, task, tensors, gradient)  # the task holds bare addresses

        def step(_: object = alive) -> None:
            if function(reference):
                raise MemoryError("no memory for the interpreter")

        return step


def _number(value: Operand, given: dict[str, float]) -> float:
    return float(given[value]) if isinstance(value, str) else float(value)

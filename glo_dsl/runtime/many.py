"""Many C kernels in one foreign call: their arguments lie in tables, which numpy fills a column at a time."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from glo_dsl.runtime.c_kernel import GIVEN, REDUCTIONS, Call, CKernel, strides_of

Numbers = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


class Many:
    """Kernels ready to be called together on inputs of these shapes and strides.

    Args:
        kernels: one per member, all of one dtype.
        tensors: the inputs in the kernels' dtypes; of those in `own` every member has its part, along the first axis.
        wrt: for each member the gradients of its Program, in order, by their place among the wanted.
        wide: for each wanted gradient, whether it is [P, rows, classes] or [P, rows].
    """

    def __init__(
        self, kernels: Sequence[CKernel], tensors: Sequence[Tensor], own: Sequence[bool],
        wrt: Sequence[Mapping[int, str]], wide: Sequence[bool], reduction: str,
    ) -> None:  # fmt: skip
        first, count = kernels[0], len(kernels)
        parts = [t[0] if mine else t for t, mine in zip(tensors, own)]
        size = first.size(parts)
        rows, classes = size.rows, size.classes
        self._dtype, self._reduction = first.dtype, REDUCTIONS[reduction]
        self._shapes = [(count, rows, classes) if w else (count, rows) for w in wide]
        self._lacking = [not all(place in mine for mine in wrt) for place in range(len(wide))]
        longest = max(map(len, wrt))
        self._which = np.array([[*mine, *[0] * (longest - len(mine))] for mine in wrt], np.int64)
        self._loss_shape = (count, rows) if reduction == "none" else (count,)
        self._functions = np.array([ctypes.cast(k.function, ctypes.c_void_p).value for k in kernels], np.uint64)
        self._kernels = kernels  # their libraries must stay loaded
        self._inputs = np.zeros((count, len(tensors)), np.uint64)
        self._outputs = np.zeros((count, longest), np.uint64)
        self._params = np.zeros((count, max(len(k.program.params) for k in kernels)))
        strides = [s for t, varies in zip(parts, first.per_sample) for s in strides_of(t, varies)]
        self._strides = np.array(strides, np.int64)
        self._steps = [
            np.arange(count, dtype=np.uint64) * np.uint64(t.stride(0) * t.element_size() if mine else 0)
            for t, mine in zip(tensors, own)
        ]
        self._members = np.arange(count, dtype=np.uint64)
        self._calls = np.zeros(count, np.dtype(Call))
        self._calls["rows"], self._calls["classes"] = rows, classes
        self._calls["planes"], self._calls["plane"] = 1, 0
        self._calls["n_inputs"], self._calls["n_gradients"] = len(tensors), [len(mine) for mine in wrt]
        self._calls["stride"] = self._strides.ctypes.data
        for field, table in (("inputs", self._inputs), ("params", self._params), ("out", self._outputs)):
            self._calls[field] = table.ctypes.data + self._members * np.uint64(table.strides[0])
        self._all = first.library.glo_many
        self._all.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
        self._all.restype = ctypes.c_int

    def run(
        self, tensors: Sequence[Tensor], params: Numbers, ignore_index: int, divisors: Numbers | None
    ) -> tuple[Tensor, list[Tensor]]:
        """The losses [P] or [P, rows], and the wanted gradients, zeros where a member has none.

        Raises:
            IndexError: a class index is out of range. MemoryError: no room for scratch rows.
        """
        loss = torch.empty(self._loss_shape, dtype=self._dtype)
        gradients = [
            torch.zeros(shape, dtype=self._dtype) if lacks else torch.empty(shape, dtype=self._dtype)
            for shape, lacks in zip(self._shapes, self._lacking)
        ]
        calls = self._calls
        for column, (tensor, step) in enumerate(zip(tensors, self._steps)):
            self._inputs[:, column] = np.uint64(tensor.data_ptr()) + step
        if gradients:
            base = np.array([g.data_ptr() for g in gradients], np.uint64)
            size = np.array([g.stride(0) * g.element_size() for g in gradients], np.uint64)
            self._outputs[:] = base[self._which] + size[self._which] * self._members[:, None]
        self._params[:] = params
        each = np.uint64(loss.stride(0) * loss.element_size())
        calls["loss"] = np.uint64(loss.data_ptr()) + self._members * each
        calls["ignore_index"], calls["weight"] = ignore_index, 0
        calls["reduction"] = self._reduction if divisors is None else GIVEN
        calls["divisor"] = 1.0 if divisors is None else divisors
        if self._all(calls.ctypes.data, self._functions.ctypes.data, len(self._members)):
            self._fail()
        return loss, gradients

    def _fail(self) -> None:
        member = int(np.flatnonzero(self._calls["status"])[0])
        call = self._calls[member]
        if call["status"] == 1:
            place = f"class index {call['bad_class']} in row {call['bad_row']} of member {member}"
            raise IndexError(f"{place} is outside [0, {call['classes']})")
        raise MemoryError(f"no memory for scratch rows of {call['classes']} classes")

"""Triton's interpreter with the same results for less: it takes a fifth of the time of all tests, most of it in Python.

Nothing here computes anything else: what is the same each time is found once, and reductions take halves of a block.
"""

from __future__ import annotations

import inspect
from functools import cache
from typing import Any

import numpy as np
import triton.language as tl
from triton.runtime import interpreter

ONE_BY_ONE = interpreter.ReduceOps.generic_reduce
DTYPE = interpreter._get_np_dtype


@cache
def _builtins(package: Any) -> list[str]:
    return [name for name, member in inspect.getmembers(package) if tl.core.is_builtin(member)]


def _patch_builtin(package: Any, builder: Any, *scope: Any) -> None:
    """Triton looks through all its names at each call of each function, and finds the same."""
    for name in _builtins(package):
        member = getattr(package, name)
        if tl.core.is_builtin(member):
            interpreter._patch_attr(package, name, member, builder, *scope)


_scalar_dtype = cache(DTYPE)


def _get_np_dtype(type: Any) -> np.dtype[Any]:
    """Triton makes a table of all types to look up one; those of pointers have no hash."""
    element = type.element_ty if isinstance(type, tl.block_type) else type
    found: np.dtype[Any] = (DTYPE if isinstance(element, tl.pointer_type) else _scalar_dtype)(element)
    return found


def by_halves(self: Any, input: Any) -> Any:
    """Neighbours are combined, all at once, until one is left, as on a GPU; Triton takes one number at a time."""
    arrays = [arg.handle.data for arg in input]
    size = 0 if self.axis is None else arrays[0].shape[self.axis]
    if not size or size & (size - 1):
        return ONE_BY_ONE(self, input)
    types = [arg.dtype for arg in input]
    arrays = [np.moveaxis(array, self.axis, -1) for array in arrays]
    while arrays[0].shape[-1] > 1:
        left, right = (
            [self.to_tensor(array[..., n::2], type) for array, type in zip(arrays, types)] for n in (0, 1)
        )
        found = self.combine_fn.fn(*left, *right)
        arrays = [each.handle.data for each in (found if isinstance(found, tuple) else (found,))]
    arrays = [np.moveaxis(a, -1, self.axis) if self.keep_dims else a[..., 0] for a in arrays]
    return [self.to_tensor(array, type) for array, type in zip(arrays, types)]


def install() -> None:
    interpreter._patch_builtin = _patch_builtin
    interpreter._get_np_dtype = _get_np_dtype
    interpreter.ReduceOps.generic_reduce = by_halves

"""Triton's interpreter with the same results for half the time: it took a quarter of that of all tests.

What it finds anew at each step of a kernel is found once, and a reduction takes halves of a block, not one number at a
time.
"""

from __future__ import annotations

import builtins
import inspect
import math
from functools import cache
from typing import Any

import numpy as np
import triton
import triton.language as tl
from triton.language import core
from triton.runtime import interpreter

KNOWN = triton.__version__.startswith("3.7.")
"""Whether it is the Triton whose ways these are; any other is left as it is."""

Shape = tuple[core.tuple, int, str, core.tuple, core.constexpr]

REPLACED = {
    "_patch_builtin": (interpreter, getattr(interpreter, "_patch_builtin", None)),
    "_get_np_dtype": (interpreter, getattr(interpreter, "_get_np_dtype", None)),
    "generic_reduce": (interpreter.ReduceOps, interpreter.ReduceOps.generic_reduce),
    "block_type": (core.block_type, core.block_type.__init__),
    "tensor": (core.tensor, core.tensor.__init__),
}
"""Where Triton has what is replaced, and what it was."""

_dtype, _one_by_one = REPLACED["_get_np_dtype"][1], REPLACED["generic_reduce"][1]
_scalar = cache(_dtype)


@cache
def _builtins_of(package: Any) -> list[str]:
    return [name for name, member in inspect.getmembers(package) if core.is_builtin(member)]


def patch_builtin(package: Any, builder: Any, *scope: Any) -> None:
    """Triton looks through all names of its language at each call of each function."""
    for name in _builtins_of(package):
        member = getattr(package, name)
        if core.is_builtin(member):
            interpreter._patch_attr(package, name, member, builder, *scope)


def np_dtype(type: Any) -> np.dtype[Any]:
    """Triton makes a table of all types to look one up; pointers have no hash."""
    element = type.element_ty if isinstance(type, tl.block_type) else type
    found: np.dtype[Any] = (_dtype if isinstance(element, tl.pointer_type) else _scalar)(element)
    return found


def by_halves(self: Any, input: Any) -> Any:
    """Neighbours are combined, all pairs at once, until one number is left: the order of a GPU is no other."""
    arrays, types = [arg.handle.data for arg in input], [arg.dtype for arg in input]
    size = 0 if self.axis is None else arrays[0].shape[self.axis]
    if size < 1 or size & (size - 1):
        return _one_by_one(self, input)
    arrays = [np.moveaxis(array, self.axis, -1) for array in arrays]
    while arrays[0].shape[-1] > 1:
        left, right = ([self.to_tensor(a[..., n::2], t) for a, t in zip(arrays, types)] for n in (0, 1))
        found = self.combine_fn.fn(*left, *right)
        arrays = [each.handle.data for each in (found if isinstance(found, tuple) else (found,))]
    arrays = [np.moveaxis(a, -1, self.axis) if self.keep_dims else a[..., 0] for a in arrays]
    return [self.to_tensor(array, type) for array, type in zip(arrays, types)]


@cache
def _laid_out(sizes: tuple[int, ...]) -> Shape:
    """A shape, its number of elements and its text; and both as constants of the language."""
    shape, number = core.tuple(sizes), math.prod(sizes)
    core.validate_block_shape(shape)
    return shape, number, str(shape), core.tuple([core.constexpr(size) for size in sizes]), core.constexpr(number)


def block_type(self: Any, element_ty: Any, shape: Any) -> None:
    """Triton makes types of tuples, and texts, for each tensor; there are few shapes."""
    sizes = builtins.tuple(core._unwrap_shape(shape))
    if not sizes:
        raise TypeError("0d block_type is forbidden")
    if any(size.__class__ is not int for size in sizes):  # what equals an integer is found as one
        core.validate_block_shape(sizes)
    self.element_ty = element_ty
    self.shape, self.numel, text, *self.constants = _laid_out(sizes)
    self.name = f"<{text}, {element_ty}>"


SCALAR = [core.tuple(()), core.constexpr(1)]


def tensor(self: Any, handle: Any, type: Any) -> None:
    self.handle, self.type, self.dtype = handle, type, type.scalar
    self.shape, self.numel = type.constants if type.is_block() else SCALAR


def install() -> None:
    """Replaces them for good: it is called once, before the first test. Not with a Triton that is not known."""
    if not KNOWN:
        return
    interpreter._patch_builtin, interpreter._get_np_dtype = patch_builtin, np_dtype
    interpreter.ReduceOps.generic_reduce = by_halves
    core.block_type.__init__, core.tensor.__init__ = block_type, tensor

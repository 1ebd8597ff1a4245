"""Expressions evaluated once, with a note at every number: whether it was computed without rounding, or overflowed.

Simple numbers stay exact for long: halves and small integers under sums and products, maxima, choices. So a tie of
simple numbers is a tie, whoever computes it in whichever order, and what holds or fails there does so for certain.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glo_dsl.ir.evaluate import value_of
from glo_dsl.ir.expr import CLASSES, POSITION, Apply, Const, Expr, walk

Array = NDArray[Any]

SHORT = 64.0
ONE = np.ones((1, 1), dtype=bool)


def short(a: Array) -> Array:
    """Whether numbers have so few binary digits that sums and products of two of them are exact, in float32 too."""
    return np.asarray((np.abs(a) <= SHORT) & (a * SHORT == np.rint(a * SHORT)))


class Evaluation:
    """The values of all nodes under some roots; `inputs` gives those of the variables, and of whatever else is to be
    taken as given, shaped as for `evaluate`.

    Attributes:
        values: as `evaluate` gives them.
        exact: truth values that broadcast to those: where a value is exact.
        beyond: for nodes that overflow somewhere, or depend on one that does, where that is so.

    >>> from glo_dsl.ir.expr import var
    >>> from glo_dsl.ir.types import REAL
    >>> from glo_dsl.lang.elaborate import parse_expression
    >>> x = var("x", REAL)
    >>> root = parse_expression("(x - 1) / 2", {"x": x})
    >>> found = Evaluation([root], {x: np.array([[2.0], [0.1]])}, 1)
    >>> found.values[root].tolist(), found.exact[root].tolist()
    ([[0.5], [-0.45]], [[True], [False]])
    """

    def __init__(self, roots: Sequence[Expr], inputs: Mapping[Expr, Array], classes: int) -> None:
        self.values: dict[Expr, Array] = dict(inputs)
        self.values |= {CLASSES: np.full((1, 1), float(classes)), POSITION: np.arange(classes)[None, :]}
        self.exact: dict[Expr, Array] = dict.fromkeys(self.values, ONE)
        self.beyond: dict[Expr, Array] = {}
        self.classes = classes
        with np.errstate(all="ignore"):
            for node in walk(roots):
                if node not in self.values:
                    self.values[node] = value_of(node, self.values, classes)
                    self.exact[node] = self._exact(node)
                    self._overflow(node)

    def overflowed(self, node: Expr, rows: int) -> Array:
        """Where a value has overflowed on the way, [rows, 1 or classes]."""
        found = self.beyond.get(node, ~ONE)
        return np.broadcast_to(found, (rows, found.shape[-1]))

    def within(self, smallest: float, largest: float) -> Array:
        """For each row, whether all numbers on the way but 0 and infinities are of a size between two, [rows, 1]."""
        found = ONE
        for node, value in self.values.items():
            if node.type.kind == "real" and node.args:
                size = np.abs(value)
                fits = ((size >= smallest) & (size <= largest)) | (size == 0) | ~np.isfinite(size)
                found = found & fits.all(axis=-1, keepdims=True)
        return found

    def _overflow(self, node: Expr) -> None:
        """An infinity that comes from finite numbers, none of them 0, is no pole: something was too large."""
        if not isinstance(node, Apply) or (not self.beyond and not np.isinf(self.values[node]).any()):
            return
        parts = [_passed_on(node, [self.beyond.get(a, ~ONE) for a in node.args], self.values)]
        infinite = np.isinf(self.values[node]) if node.type.kind == "real" else ~ONE
        if infinite.any() and node.op.shape != "gather":
            pole = -1.0 if node.op.name == "log1p" else 0.0
            for a in node.args:
                usual = np.isfinite(self.values[a])
                if node.op.elementwise and a.type.kind == "real":
                    usual = usual & (self.values[a] != pole)
                infinite = infinite & (usual if node.op.elementwise else usual.all(axis=-1, keepdims=True))
            parts.append(infinite)
        found = parts[0] | parts[-1]
        if found.any():
            self.beyond[node] = found

    def _exact(self, node: Expr) -> Array:
        if isinstance(node, Const):
            return short(self.values[node]) | (node.type.kind == "bool" or not np.isfinite(node.value))
        assert isinstance(node, Apply)
        args, flags = [self.values[a] for a in node.args], [self.exact[a] for a in node.args]
        if node.op.shape in ("reduce", "row", "gather"):
            return _exact_row(node.op.name, args, flags, self.values[node], self.classes)
        if node.op.name == "select":
            return np.asarray(flags[0] & np.where(args[0], flags[1], flags[2]))
        if node.op.name == "mul" and (flags[0].any() or flags[1].any()):
            (a, b), (f, g) = args, flags
            nothing = (f & (a == 0) & np.isfinite(b)) | (g & (b == 0) & np.isfinite(a))
            return np.asarray(nothing | (f & g & _product(a, b, self.values[node])))
        rule = EXACT.get(node.op.name)
        together = np.logical_and.reduce(np.broadcast_arrays(*flags)) if rule else ~ONE
        return np.asarray(together & rule(*args, self.values[node])) if rule and together.any() else ~ONE


def _passed_on(node: Apply, parts: Sequence[Array], values: Mapping[Expr, Array]) -> Array:
    """Where an overflow in the arguments reaches a value."""
    if not any(part.any() for part in parts):
        return ~ONE
    if node.op.name == "select":
        return np.asarray(parts[0] | np.where(values[node.args[0]], parts[1], parts[2]))
    if node.op.elementwise or node.op.shape == "gather":
        joined = parts[0]
        for part in parts[1:]:
            joined = joined | part
        return np.asarray(joined.any(axis=-1, keepdims=True) if node.op.shape == "gather" else joined)
    return np.asarray(parts[0].any(axis=-1, keepdims=True))


def _always(*_: Array) -> Array:
    return ONE


def _arithmetic(*numbers: Array) -> Array:
    found = short(numbers[0])
    for number in numbers[1:]:
        found = found & short(number)
    return found


def _sum(a: Array, b: Array, out: Array) -> Array:
    return np.asarray(_arithmetic(a, b, out) | (a == 0) | (b == 0) | ((a == -b) & np.isfinite(a)))


def _difference(a: Array, b: Array, out: Array) -> Array:
    return _sum(a, -b, out)


def _product(a: Array, b: Array, out: Array) -> Array:
    return np.asarray(_arithmetic(a, b, out) | (np.abs(a) == 1) | (np.abs(b) == 1))


def _quotient(a: Array, b: Array, out: Array) -> Array:
    """By a power of 2 only: all else may become a product with the reciprocal."""
    return np.asarray(_arithmetic(a, b, out) & ((np.abs(np.frexp(b)[0]) == 0.5) | ((a == 0) & (b != 0))))


def _power(a: Array, b: Array, out: Array) -> Array:
    return np.asarray(_arithmetic(a, b, out) & (np.isin(b, (0, 1, 2, 3)) | ((a == 1) & np.isfinite(b))))


def _root(a: Array, out: Array) -> Array:
    return np.asarray(short(out) & (out * out == a))


def _xlogy(a: Array, b: Array, out: Array) -> Array:
    return np.asarray(((a == 0) & (b >= 0)) | ((b == 1) & np.isfinite(a)))


def _at(point: float) -> Callable[..., Array]:
    """A function that has a short value nowhere but at one point."""
    return lambda a, out: np.asarray((a == point) & short(out))


EXACT: dict[str, Callable[..., Array]] = {
    **dict.fromkeys(("neg", "abs", "sign", "floor", "relu", "maximum", "minimum", "clamp", "stop", "onehot"), _always),
    **dict.fromkeys(("lt", "le", "gt", "ge", "eq", "ne", "and", "or", "not"), _always),
    **dict.fromkeys(("exp", "expm1", "log1p", "sin", "cos", "atan", "tanh", "erf", "sigmoid"), _at(0.0)),
    "log": _at(1.0), "add": _sum, "sub": _difference, "mul": _product, "square": _arithmetic, "div": _quotient,
    "pow": _power, "sqrt": _root, "xlogy": _xlogy,
}  # fmt: skip
"""Where an operator does not round, given exact arguments; one that is not listed always may."""


def _exact_row(name: str, args: Sequence[Array], flags: Sequence[Array], out: Array, classes: int) -> Array:
    a, flag = args[0], np.broadcast_to(flags[0], np.broadcast_shapes(flags[0].shape, args[0].shape))
    if name == "gather":
        index = np.asarray(args[1], dtype=np.int64)
        rows = max(len(flag), len(index))
        return np.take_along_axis(
            np.broadcast_to(flag, (rows, flag.shape[-1])), np.broadcast_to(index, (rows, 1)), axis=-1
        )
    together = flag.all(axis=-1, keepdims=True)
    if name in ("max", "min") or classes == 1 or not together.any():
        return np.asarray(together)
    binary = np.frexp(float(classes))[0] == 0.5
    if name in ("sum", "mean"):
        few = short(a).all(axis=-1, keepdims=True) & (np.abs(a).sum(axis=-1, keepdims=True) <= SHORT)
        return np.asarray(together & few & ((short(out) & (name == "sum" or binary)) | (out == 0)))
    even = binary and name == "softmax"
    return np.asarray(together & even & ((a == a[..., :1]) & np.isfinite(a)).all(axis=-1, keepdims=True))

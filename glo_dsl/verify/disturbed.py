"""A loss with extra inputs, through which autograd tells how well its numbers and slopes are determined."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glo_dsl.ir.expr import Apply, Const, Expr, Var, apply, const, rebuild, var, walk
from glo_dsl.ir.types import SAMPLE, Type, make_type
from glo_dsl.verify.exact import Evaluation
from glo_dsl.verify.noise import ABSOLUTE, REPEATS, steps, within

Array = NDArray[Any]

ROWS = ("softmax", "log_softmax", "logsumexp")
LEVELS_OFF = ("tanh", "sigmoid", "expm1")

COARSE = {"digamma": 1e3}
"""Operators whose slope PyTorch knows with fewer digits: how many times the noise it may be off."""

LARGEST = 1e30
"""What stands for an infinite logit in products with its probability, which is 0."""


class Disturbed:
    """An expression whose computed numbers are moved.

    Attributes:
        expr: with extra inputs; where these are 0 it is the expression that it was made from.
        inputs: the extra inputs.
    """

    def __init__(self, root: Expr) -> None:
        self._moved: dict[Expr, tuple[Var, Var]] = {}
        done: dict[Expr, Expr] = {}
        for node in walk((root,)):
            done[node] = rebuild(node, tuple(done[a] for a in node.args))
            if node.type.kind == "real" and _rounds(node):
                share, number = (_input(f"{what} {len(self._moved)}", node.type) for what in ("share", "number"))
                self._moved[node] = share, number
                done[node] = apply("add", apply("add", done[node], apply("mul", done[node], share)), number)
        self.expr = done[root]
        self.inputs = tuple(v for pair in self._moved.values() for v in pair)

    def tensors(self, known: Evaluation, rows: int, size: float, literals: bool) -> Iterator[Tensor]:
        """The extra inputs, REPEATS * rows rows each, for noise of a size; exact numbers stay, and so do literals that
        are told to."""
        for node in self._moved:
            moves = ~known.exact[node]
            if isinstance(node, Const):
                moves = moves & np.array(literals and float(np.float32(node.value)) != node.value)
            elif isinstance(node, Apply) and node.op.name in ROWS:
                moves = np.ones((1, 1), dtype=bool)
            share = steps(node, size, rows, known.classes) * moves
            yield _column(share, node.type)
            yield _column(share * _besides(known, node), node.type)


def _rounds(node: Expr) -> bool:
    return isinstance(node, Apply) or (isinstance(node, Const) and math.isfinite(node.value))


def _besides(known: Evaluation, node: Expr) -> Array:
    """What a number is moved by besides a share of itself: in the same direction, so as not to undo that."""
    if isinstance(node, Const):
        return np.zeros((1, 1))
    value, inner = known.values[node], within(known, node)
    relative = isinstance(node, Apply) and node.op.name == "softmax"
    return np.asarray(np.copysign(ABSOLUTE + (np.abs(value) * inner if relative else inner), value))


class Uncancelled:
    """An expression of the same value, whose slopes are sums of the same parts, each with a sign of its own.

    A slope is a sum over all ways in which a variable enters, and a kernel adds them up in an order of its own. What it
    leaves of parts that cancel is a rounding error in proportion to the parts, whose size is found so.

    Attributes:
        expr, inputs: as in `Disturbed`; the extra inputs are signs.
    """

    def __init__(self, root: Expr) -> None:
        self._signs: list[Var] = []
        self._done: dict[Expr, Expr] = {}
        used: set[Expr] = set()
        for node in walk((root,)):
            args = []
            for arg in node.args:
                spread = node.type.per_class and not arg.type.per_class
                apart = arg.type.kind == "real" and not isinstance(arg, Const) and (arg in used or spread)
                args.append(self._signed(arg, node if spread else arg) if apart else self._done[arg])
                used.add(arg)
            fresh = rebuild(node, tuple(args))
            self._done[node] = self._parts(node, fresh) if isinstance(node, Apply) else fresh
        self.expr = self._done[root]
        self.inputs = tuple(self._signs)

    def _sign(self, like: Type) -> Var:
        self._signs.append(_input(f"sign {len(self._signs)}", like))
        return self._signs[-1]

    def _signed(self, arg: Expr, wide: Expr) -> Expr:
        value = self._done[arg]
        return apply("add", apply("stop", value), apply("mul", self._sign(wide.type), _slope(value)))

    def _parts(self, node: Apply, fresh: Expr) -> Expr:
        name = node.op.name
        if name in COARSE:
            return apply("add", apply("stop", fresh), apply("mul", const(COARSE[name]), _slope(fresh)))
        if name in LEVELS_OFF:
            return apply("add", apply("stop", fresh), _slope(self._done[node.args[0]]))
        if name in ROWS and node.args[0].type.per_class:
            return self._row(name, node.args[0], fresh)
        return fresh

    def _row(self, name: str, arg: Expr, fresh: Expr) -> Expr:
        """Probabilities are as wrong as large logits make them."""
        row = self._done[arg]
        size = apply("add", const(1.0), apply("add", apply("abs", row), apply("abs", apply("max", row))))
        size = apply("stop", apply("minimum", size, const(LARGEST)))
        weight = apply("mul", apply("stop", apply("softmax", row)), size)
        common = apply("sum", apply("mul", apply("mul", self._sign(arg.type), weight), _slope(row)))
        if name == "logsumexp":
            return apply("add", apply("stop", fresh), common)
        own = apply("mul", self._sign(arg.type), _slope(row))
        if name == "softmax":
            own = apply("mul", size, own)
            both = apply("mul", apply("stop", fresh), apply("add", own, common))
            return apply("add", apply("stop", fresh), both)
        return apply("add", apply("stop", fresh), apply("add", own, common))

    def tensors(self, rows: int, classes: int) -> Iterator[Tensor]:
        """The extra inputs, REPEATS * rows rows each."""
        for v in self._signs:
            yield _column(steps(v, 1.0, rows, classes), v.type)


def _slope(value: Expr) -> Expr:
    """Nothing, with the slope of a value."""
    return apply("sub", value, apply("stop", value))


def _input(name: str, like: Type) -> Var:
    return var(name, make_type("real", like.axes | {SAMPLE}))


def _column(noise: Array, kind: Type) -> Tensor:
    flat = noise.reshape(REPEATS * noise.shape[1], noise.shape[2])
    return torch.from_numpy(np.ascontiguousarray(flat if kind.per_class else flat[:, 0]))

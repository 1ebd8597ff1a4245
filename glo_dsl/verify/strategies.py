"""Hypothesis strategies for expressions, losses and their inputs, all driven by the operator table.

A row added to the table is drawn from then on: nothing here lists operators.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from glo_dsl.ir.bounds import ranges
from glo_dsl.ir.expr import CLASSES, Expr, Var, apply, const, truth
from glo_dsl.ir.ops import UNKNOWN, Op
from glo_dsl.ir.table import OPS
from glo_dsl.ir.types import REAL, Interval, Type
from glo_dsl.lang.definitions import losses_of
from glo_dsl.lang.loss import Loss
from glo_dsl.lang.show import show
from glo_dsl.verify.values import inside

Draw = Any
Arrays = dict[str, NDArray[Any]]
Shape = tuple[int, ...]

LITERALS = (0.0, 1.0, -1.0, 2.0, -2.0, 0.5, 3.0, 0.1, -0.25)
ROW_INPUTS = (
    "t: class[C]", "q: prob[C]", "m: bool", "k: bool[C]", "w: shared real[C]", "x: real", "y: real[C] in [-1, 2]",
)  # fmt: skip
"""What a drawn loss with a class axis may have besides its logits `z: real[C]`."""

PLAIN_INPUTS = ("y: real", "x: real in [0, 4]", "m: bool")
"""What a drawn loss without a class axis may have besides its prediction `p: real`."""

PARAMETERS = ("alpha = 1.5 in [0.25, 3]", "beta = -0.5", "gamma = 2 in [0, 8]")


@st.composite
def expressions(draw: Draw, leaves: Sequence[Expr], type: Type = REAL, max_depth: int = 5, tame: bool = True) -> Expr:
    """A well-typed expression over `leaves`, literals and every operator that fits.

    Its kind is that of `type`, and it varies over classes exactly if `type` does; then some real or class leaf has to.
    Parts drawn earlier come again as shared subtrees. With `tame`, arguments are mostly moved into the domain of their
    operator, so that most draws are finite.

    >>> from hypothesis import find
    >>> from glo_dsl.ir.expr import var
    >>> x = var("x", REAL)
    >>> str(find(expressions([x]), lambda e: x in e.args).type)
    'real'
    """
    return _Drawing(draw, list(leaves), tame, max_depth).expression(type.kind, type.per_class, max_depth)


@st.composite
def losses(draw: Draw, max_depth: int = 5, tame: bool = True) -> Loss:
    """A whole loss: its declaration, printed and parsed again, and a body of one number per sample."""
    rows = draw(st.booleans()) or draw(st.booleans())
    first, others = ("z: real[C]", ROW_INPUTS) if rows else ("p: real", PLAIN_INPUTS)
    inputs = [first, *draw(_some(others))]
    params = draw(_some(PARAMETERS))
    head = f"loss drawn({', '.join(inputs)}{'; ' if params else ''}{', '.join(params)}) = "
    declared = losses_of(head + "0")["drawn"]
    leaves = [*declared.inputs, *(p.var for p in declared.params), *([CLASSES] if rows else [])]
    body = draw(expressions(leaves, REAL, max_depth, tame))
    return losses_of(head + show(body))["drawn"]


def _some(choices: Sequence[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(choices), max_size=3, unique=True)


class _Drawing:
    """One draw of an expression; `pool` holds the leaves and every part drawn so far."""

    def __init__(self, draw: Draw, pool: list[Expr], tame: bool, depth: int) -> None:
        self.draw, self.pool, self.tame, self.depth = draw, pool, tame, depth

    def expression(self, kind: str, per_class: bool, depth: int) -> Expr:
        ready = [node for node in self.pool if node.type.kind == kind and node.type.per_class == per_class]
        ops = [op for op in OPS.values() if self._fits(op, kind, per_class, depth)]
        if kind == "class" or not ops or (ready and depth < self.depth and self.draw(st.integers(0, 7)) == 0):
            return self._leaf(kind, per_class, ready)
        op = self._choose(ops)
        args = self._arguments(op, kind, per_class, depth - 1)
        node = apply(op, *(self._into_domain(op, args) if self.tame else args))
        if UNKNOWN in op.vjp:  # whatever is drawn has a gradient
            node = apply("stop", node)
        self.pool.append(node)
        return node

    def _choose(self, ops: list[Op]) -> Op:
        """First by what an operator does to axes and arity, so that the many unary ones do not crowd out the rest."""
        families: dict[object, list[Op]] = {}
        for op in ops:
            families.setdefault(op.arity if op.elementwise else op.shape, []).append(op)
        chosen: Op = self.draw(st.sampled_from(self.draw(st.sampled_from(list(families.values())))))
        return chosen

    def _leaf(self, kind: str, per_class: bool, ready: list[Expr]) -> Expr:
        literal = not per_class and kind != "class"
        if ready and not (literal and self.draw(st.integers(0, 3)) == 0):
            chosen: Expr = self.draw(st.sampled_from(ready))
            return chosen
        if literal:
            return truth(self.draw(st.booleans())) if kind == "bool" else const(self.draw(st.sampled_from(LITERALS)))
        return self._broadcast(kind)

    def _broadcast(self, kind: str) -> Expr:
        """A value per class where no leaf of that kind is one."""
        row = next((n for n in self.pool if n.type.per_class and n.type.kind == "real"), None)
        if row is None:
            row = apply("onehot", next(n for n in self.pool if n.type.kind == "class"))
        return row if kind == "real" else apply("gt", row, const(0.0))

    def _fits(self, op: Op, kind: str, per_class: bool, depth: int) -> bool:
        if depth < 0 or (depth == 0 and op.shape not in ("reduce", "gather")):  # an entry of a row is nearly a leaf
            return False
        if op.kinds[-1] not in (kind, "any"):
            return False
        if op.shape in ("gather", "onehot") and not self._has("class", False):
            return False
        if op.shape in ("reduce", "gather"):
            return not per_class and self._has_rows()
        if op.shape in ("row", "onehot"):
            return per_class
        return True

    def _has(self, kind: str, per_class: bool) -> bool:
        return any(node.type.kind == kind and node.type.per_class == per_class for node in self.pool)

    def _has_rows(self) -> bool:
        return self._has("real", True) or self._has("class", False)

    def _arguments(self, op: Op, kind: str, per_class: bool, depth: int) -> list[Expr]:
        kinds = list(op.kinds[:-1])
        if op.shape == "gather":
            kinds[0] = kind
        elif "any" in kinds:
            comparable = ["real", "bool"] + ["class"] * (self._has("class", False) and not per_class)
            kinds = [self.draw(st.sampled_from(comparable))] * op.arity
        if op.elementwise:
            varies = [per_class and self.draw(st.booleans()) for _ in kinds]
            if per_class and not any(varies):
                varies[self.draw(st.integers(0, op.arity - 1))] = True
        else:
            varies = [kind != "class" for kind in kinds]
        return [self.expression(kind, row, depth) for kind, row in zip(kinds, varies, strict=True)]

    def _into_domain(self, op: Op, args: list[Expr]) -> list[Expr]:
        """Moves the argument that the domain column speaks of into it, most of the time."""
        condition = re.fullmatch(r"([abc]) (>|!=) (-?\d+)", op.domain)
        if condition is None or self.draw(st.integers(0, 15)) == 15:
            return args
        place, bound = "abc".index(condition[1]), float(condition[3])
        found = ranges((args[place],))[args[place]]
        inside = found.lo > bound or (condition[2] == "!=" and not found.contains(bound))
        if not inside:
            args[place] = self._positive(args[place])
        return args

    def _positive(self, arg: Expr) -> Expr:
        shape = self.draw(st.integers(0, 3))
        if shape == 0:
            return apply("exp", arg)
        if shape == 1:
            return apply("softplus", arg)
        return apply("add", const(0.5 if shape == 2 else 1e-3), apply("square", arg))


CORNERS = ("plain", "ties", "large", "equal", "zero")


@st.composite
def arrays_for(
    draw: Draw, loss: Loss, rows: int | None = None, classes: int | None = None, dtype: Any = np.float64,
    corners: Sequence[str] = CORNERS,
) -> Arrays:  # fmt: skip
    """Inputs of a loss by name, drawn from their declared domains.

    Shapes are [rows, classes] per class, [rows] per sample, [classes] shared. Real values have `dtype`; each input
    takes one of the `corners`: plain values around 0, ties between few values, logits up to 1e4, all equal, or zeros.
    Probabilities are plain, one-hot or uniform.

    >>> from hypothesis import find
    >>> loss = losses_of("loss f(z: real[C], t: class[C]) = z[t]")["f"]
    >>> {name: a.shape for name, a in find(arrays_for(loss, 2, 3), lambda _: True).items()}
    {'z': (2, 3), 't': (2,)}
    """
    rows = draw(st.integers(1, 5)) if rows is None else rows
    classes = draw(st.sampled_from((1, 2, 3, 5, 17))) if classes is None else classes
    found: Arrays = {}
    for v in loss.inputs:
        shape = (rows,) * v.type.per_sample + (classes,) * v.type.per_class
        corner = draw(st.sampled_from(corners))
        rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        found[v.name] = _array(v, shape, classes, corner, rng, dtype)
    return found


def _array(v: Var, shape: Shape, classes: int, corner: str, rng: np.random.Generator, dtype: Any) -> NDArray[Any]:
    if v.type.kind == "class":
        return rng.integers(0, classes, shape)
    if v.type.kind == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    if v.simplex:
        return _predictions(shape, corner, rng).astype(dtype)
    values: NDArray[Any] = inside(v.domain, _reals(v, shape, corner, rng), dtype).astype(dtype)
    return values


def _reals(v: Var, shape: Shape, corner: str, rng: np.random.Generator) -> NDArray[Any]:
    lo, hi = max(v.domain.lo, -3.0), min(v.domain.hi, 3.0)
    if lo > hi:  # a domain far from 0: what is nearest in it
        lo, hi = (v.domain.lo, min(v.domain.hi, lo + 3)) if lo > 0 else (max(v.domain.lo, hi - 3), v.domain.hi)
    match corner:
        case "ties":
            return rng.integers(-2, 3, shape) * 0.5
        case "large":
            return rng.standard_normal(shape) * 10.0 ** rng.integers(1, 5)
        case "equal":
            return np.full(shape, rng.uniform(lo, hi))
        case "zero":
            return np.zeros(shape)
        case _:
            return rng.uniform(lo, hi, shape)


def _predictions(shape: Shape, corner: str, rng: np.random.Generator) -> NDArray[Any]:
    match corner:
        case "zero":
            return np.eye(shape[-1])[rng.integers(0, shape[-1], shape[:-1])]
        case "equal":
            return np.full(shape, 1.0 / shape[-1])
        case _:
            return np.asarray(rng.dirichlet(np.ones(shape[-1]), shape[:-1]))


def parameters_for(loss: Loss) -> st.SearchStrategy[dict[str, float]]:
    """A value for each parameter from its bounds, or within 3 of the default where there are none."""
    return st.fixed_dictionaries({p.name: _parameter(p.var.domain, p.default) for p in loss.params})


def _parameter(domain: Interval, default: float) -> st.SearchStrategy[float]:
    lo, hi = max(domain.lo, default - 3), min(domain.hi, default + 3)
    return st.just(default) | st.floats(lo, hi).map(lambda value: float(inside(domain, round(value, 3))))


__all__ = ["CORNERS", "Arrays", "arrays_for", "expressions", "losses", "parameters_for"]

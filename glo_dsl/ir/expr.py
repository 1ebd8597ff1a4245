"""Expressions: immutable, interned weakly, so that equality is identity and shared work is shared objects."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import TypeVar, cast
from weakref import WeakValueDictionary

from glo_dsl.ir.ops import Op
from glo_dsl.ir.table import OPS
from glo_dsl.ir.types import ANY, POSITION_TYPE, TRUTH, UNIFORM, Interval, Type, make_type


class Expr:
    """A node. `digest` depends on structure alone: it is the same in every process and orders nodes for printing.
    `size` is that of the tree, see the function of this name."""

    __slots__ = ("__weakref__", "digest", "size", "type")
    type: Type
    digest: bytes
    size: int

    @property
    def args(self) -> tuple[Expr, ...]:
        return ()

    def __repr__(self) -> str:
        head = getattr(self, "name", None) or getattr(self, "value", None)
        return f"<{type(self).__name__} {self.op.name if isinstance(self, Apply) else head}: {self.type}>"

    def __reduce__(self) -> tuple[Callable[..., Expr], tuple[object, ...]]:
        """Pickles and copies are interned too: where the same expression is there already, they are that one."""
        from glo_dsl.ir.flat import flattened, restored

        return restored, (flattened(self),)


class Const(Expr):
    """A literal: a real number, or a truth value (1 or 0) when its type is bool."""

    __slots__ = ("value",)
    value: float


class Var(Expr):
    """An input or a parameter; `domain` bounds its values, and in a `simplex` those of a row add up to 1."""

    __slots__ = ("domain", "name", "simplex")
    name: str
    domain: Interval
    simplex: bool


class Apply(Expr):
    """An operator applied to arguments."""

    __slots__ = ("_args", "op")
    op: Op
    _args: tuple[Expr, ...]

    @property
    def args(self) -> tuple[Expr, ...]:
        return self._args


class Hole(Expr):
    """An unknown elementwise expression over the listed terms, to be filled by search."""

    __slots__ = ("_args", "name")
    name: str
    _args: tuple[Expr, ...]

    @property
    def args(self) -> tuple[Expr, ...]:
        return self._args


Node = TypeVar("Node", bound=Expr)
_nodes: WeakValueDictionary[tuple[object, ...], Expr] = WeakValueDictionary()


def _fact(part: object) -> object:
    """What of a key enters the digest: never an address, never the order of a set."""
    match part:
        case Expr():
            return part.digest
        case Op():
            return part.name
        case Type():
            return (part.kind, *sorted(part.axes))
        case _:
            return part


def _intern(key: tuple[object, ...], node: Node) -> Node:
    node.size = 1 + sum(arg.size for arg in node.args)
    node.digest = hashlib.blake2b(repr([_fact(part) for part in key]).encode(), digest_size=8).digest()
    return cast(Node, _nodes.setdefault(key, node))


def const(value: float, type: Type = UNIFORM) -> Const:
    """The literal `value`; -0.0 and 0.0 are two literals, all NaNs are one."""
    value = float(value)
    key = ("const", value.hex(), type)
    found = _nodes.get(key)
    if found is None:
        node = Const()
        node.value, node.type = value, type
        found = _intern(key, node)
    return cast(Const, found)


def truth(value: bool) -> Const:
    return const(float(value), TRUTH)


def var(name: str, type: Type, domain: Interval = ANY, simplex: bool = False) -> Var:
    """The variable of this name, type and domain."""
    key = ("var", name, type, domain, simplex)
    found = _nodes.get(key)
    if found is None:
        node = Var()
        node.name, node.type, node.domain, node.simplex = name, type, domain, simplex
        found = _intern(key, node)
    return cast(Var, found)


@cache
def _result(op: Op, args: tuple[Type, ...]) -> Type:
    return op.result(args)


def apply(op: Op | str, *args: Expr) -> Apply:
    """`op` applied to `args`.

    Raises:
        GloError: the arguments do not fit the operator.
    """
    op = OPS[op] if isinstance(op, str) else op
    key = ("apply", op, *args)
    found = _nodes.get(key)
    if found is None:
        node = Apply()
        node.op, node._args, node.type = op, args, _result(op, tuple(a.type for a in args))
        found = _intern(key, node)
    return cast(Apply, found)


def hole(name: str, args: tuple[Expr, ...]) -> Hole:
    """The hole `?name(args)`: it varies over whatever its terms vary over."""
    key = ("hole", name, *args)
    found = _nodes.get(key)
    if found is None:
        node = Hole()
        node.name, node._args = name, args
        node.type = make_type("real", frozenset[str]().union(*(a.type.axes for a in args)))
        found = _intern(key, node)
    return cast(Hole, found)


CLASSES = var("C", UNIFORM, Interval(1.0, math.inf))
"""The number of classes, as a number."""

POSITION = var("@position", POSITION_TYPE)
"""The index of the class being computed; `onehot(t)` is where it equals t."""


def total(arg: Expr) -> Expr:
    """Sum over the class axis of anything: what does not vary over classes counts C times."""
    return apply("sum", arg) if arg.type.per_class else apply("mul", CLASSES, arg)


def rebuild(node: Expr, args: tuple[Expr, ...]) -> Expr:
    """The same node over other arguments; one that works on rows, given what does not vary, is as `unvaried` says."""
    if args == node.args:
        return node
    if isinstance(node, Hole):
        return hole(node.name, args)
    assert isinstance(node, Apply)
    if node.op.shape in ("reduce", "row") and not args[0].type.per_class:
        return _unvaried(node.op, args[0])
    if node.op.shape == "gather" and not args[0].type.per_class:
        return args[0]
    return apply(node.op, *args)


def _unvaried(op: Op, arg: Expr) -> Expr:
    match op.unvaried:
        case "a":
            return arg
        case "C * a":
            return apply("mul", CLASSES, arg)
        case "1 / C":
            return apply("div", const(1.0), CLASSES)
        case "-log(C)":
            return apply("neg", apply("log", CLASSES))
        case _:
            return apply("add", arg, apply("log", CLASSES))


def walk(roots: Iterable[Expr]) -> Iterator[Expr]:
    """Every distinct node under `roots`, arguments before users, in an order that depends on structure alone.

    Iterative: depth is limited by memory only.
    """
    seen: set[Expr] = set()
    stack: list[tuple[Expr, bool]] = [(root, False) for root in reversed(list(roots))]
    while stack:
        node, ready = stack.pop()
        if ready:
            yield node
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend((a, False) for a in reversed(node.args) if a not in seen)


def substitute(roots: Iterable[Expr], replace: Mapping[Expr, Expr]) -> tuple[Expr, ...]:
    """`roots` with nodes replaced; a replacement is not searched again."""
    roots = tuple(roots)
    done: dict[Expr, Expr] = dict(replace)
    for node in walk(roots):
        if node not in done:
            done[node] = rebuild(node, tuple(done[a] for a in node.args))
    return tuple(done[root] for root in roots)


def variables(roots: Iterable[Expr]) -> list[Var]:
    """The distinct variables under `roots`, in order of first use."""
    return [node for node in walk(roots) if isinstance(node, Var)]


def holes(roots: Iterable[Expr]) -> list[Hole]:
    """The distinct holes under `roots`, in order of first use."""
    return [node for node in walk(roots) if isinstance(node, Hole)]


def size(root: Expr) -> int:
    """Number of nodes of the tree, shared nodes counted as often as they occur."""
    return root.size


def ranges(roots: Iterable[Expr], known: Mapping[Expr, Interval] | None = None) -> dict[Expr, Interval]:
    """An interval that contains every finite value of each node, by interval arithmetic over the table's column.

    What is in `known` already is taken from there.
    """
    found: dict[Expr, Interval] = dict(known or {})
    for root in roots:
        learn_ranges(root, found)
    return found


def learn_ranges(root: Expr, known: dict[Expr, Interval]) -> Interval:
    """Adds the ranges of `root` and of what it needs; nothing below a node that is known is looked at again."""
    stack = [root]
    while stack:
        node = stack[-1]
        if node not in known:
            waiting = [arg for arg in node.args if arg not in known]
            if waiting:
                stack.extend(reversed(waiting))
                continue
            known[node] = _range(node, known)
        stack.pop()
    return known[root]


def _range(node: Expr, known: Mapping[Expr, Interval]) -> Interval:
    match node:
        case Const():
            return Interval(node.value, node.value) if math.isfinite(node.value) else ANY
        case Var():
            return node.domain
        case Apply() if node.op.name == "mul" and node.args[0] is node.args[1]:
            return OPS["square"].range(known[node.args[0]])
        case Apply():
            found = node.op.range(*(known[a] for a in node.args))
            return ANY if math.isnan(found.lo) or math.isnan(found.hi) else found
        case _:
            return ANY


__all__ = [
    "CLASSES", "POSITION", "Apply", "Const", "Expr", "Hole", "Var", "apply", "const", "hole",
    "holes", "learn_ranges", "ranges", "rebuild", "size", "substitute", "total", "truth", "var", "variables", "walk",
]  # fmt: skip

"""Expressions: immutable, interned weakly, so that equality is identity and shared work is shared objects."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from hashlib import blake2b
from threading import RLock
from typing import Any, TypeVar, cast
from weakref import ref

from glo_dsl.ir.ops import Op
from glo_dsl.ir.table import OPS
from glo_dsl.ir.types import ANY, POSITION_TYPE, TRUTH, UNIFORM, Interval, Type, make_type


class Expr:
    """A node. `digest` depends on structure alone: it is the same in every process and orders nodes for printing.
    `size` is that of the tree, see the function of this name. `facts` are what has been found out about the node, see
    `learnt`; they are forgotten with it."""

    __slots__ = ("__weakref__", "args", "digest", "facts", "size", "type")
    type: Type
    args: tuple[Expr, ...]
    digest: bytes
    size: int
    facts: dict[object, Any]

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

    __slots__ = ("op",)
    op: Op


class Hole(Expr):
    """An unknown elementwise expression over the listed terms, to be filled by search."""

    __slots__ = ("name",)
    name: str


Fact = TypeVar("Fact")
Key = tuple[object, ...]


class _Entry(ref[Expr]):
    """A node in the table; it takes itself out when the node goes."""

    __slots__ = ("key",)
    key: Key


_nodes: dict[Key, _Entry] = {}
_going = RLock()
"""Held while an entry goes, for another thread may put a new one in its place."""


def _forget(entry: _Entry) -> None:
    with _going:
        if _nodes.get(entry.key) is entry:
            del _nodes[entry.key]


def _known(key: Key) -> Expr | None:
    entry = _nodes.get(key)
    return None if entry is None else entry()


def _intern(key: Key, said: list[object], node: Expr, args: tuple[Expr, ...] = ()) -> Expr:
    """The one node of this key: this one, if no other thread was faster.

    What is `said` of it enters the digest: never an address, never the order of a set.
    """
    node.args, node.facts = args, {}
    node.size = 1
    for arg in args:
        node.size += arg.size
    node.digest = blake2b(repr(said).encode(), digest_size=8).digest()
    entry = _Entry(node, _forget)
    entry.key = key
    while True:
        first = _nodes.setdefault(key, entry)
        found = first()
        if found is not None:
            return found
        _forget(first)


def _said(type: Type) -> tuple[str, ...]:
    return (type.kind, *sorted(type.axes))


def const(value: float, type: Type = UNIFORM) -> Const:
    """The literal `value`; -0.0 and 0.0 are two literals, all NaNs are one."""
    value = float(value)
    key = ("const", value.hex(), type)
    found = _known(key)
    if found is None:
        node = Const()
        node.value, node.type = value, type
        found = _intern(key, ["const", value.hex(), _said(type)], node)
    return cast(Const, found)


def truth(value: bool) -> Const:
    return const(float(value), TRUTH)


def var(name: str, type: Type, domain: Interval = ANY, simplex: bool = False) -> Var:
    """The variable of this name, type and domain."""
    key = ("var", name, type, domain, simplex)
    found = _known(key)
    if found is None:
        node = Var()
        node.name, node.type, node.domain, node.simplex = name, type, domain, simplex
        found = _intern(key, ["var", name, _said(type), domain, simplex], node)
    return cast(Var, found)


@cache
def _result(op: Op, *args: Type) -> Type:
    return op.result(args)


def apply(op: Op | str, *args: Expr) -> Apply:
    """`op` applied to `args`.

    Raises:
        GloError: the arguments do not fit the operator.
    """
    op = OPS[op] if isinstance(op, str) else op
    key = ("apply", op, *args)
    found = _known(key)
    if found is None:
        node = Apply()
        node.op, node.type = op, _result(op, *[a.type for a in args])
        found = _intern(key, ["apply", op.name, *[a.digest for a in args]], node, args)
    return cast(Apply, found)


def hole(name: str, args: tuple[Expr, ...]) -> Hole:
    """The hole `?name(args)`: it varies over whatever its terms vary over."""
    key = ("hole", name, *args)
    found = _known(key)
    if found is None:
        node = Hole()
        node.name = name
        node.type = make_type("real", frozenset[str]().union(*(a.type.axes for a in args)))
        found = _intern(key, ["hole", name, *[a.digest for a in args]], node, args)
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
    stack: list[Expr | None] = [*roots]
    stack.reverse()
    while stack:
        node = stack.pop()
        if node is None:  # the arguments of the next one have been yielded
            yield cast(Expr, stack.pop())
        elif node not in seen:
            seen.add(node)
            if node.args:
                stack += (node, None, *node.args[::-1])
            else:
                yield node


def substitute(roots: Iterable[Expr], replace: Mapping[Expr, Expr]) -> tuple[Expr, ...]:
    """`roots` with nodes replaced; a replacement is not searched again."""
    roots = tuple(roots)
    done: dict[Expr, Expr] = dict(replace)
    for node in walk(roots):
        if node not in done:
            done[node] = rebuild(node, tuple([done[a] for a in node.args])) if node.args else node
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


def learnt(root: Expr, name: str, of: Callable[[Expr], Fact]) -> Fact:
    """The fact of this name about `root`; `of` finds that of a node out of those of its arguments, once for all."""
    stack = [] if name in root.facts else [root]
    while stack:
        waiting = [arg for arg in stack[-1].args if name not in arg.facts]
        if waiting:
            stack += waiting
        else:
            node = stack.pop()
            node.facts[name] = of(node)
    found: Fact = root.facts[name]
    return found


__all__ = [
    "CLASSES", "POSITION", "Apply", "Const", "Expr", "Hole", "Var", "apply", "const", "hole", "holes", "learnt",
    "rebuild", "size", "substitute", "total", "truth", "var", "variables", "walk",
]  # fmt: skip

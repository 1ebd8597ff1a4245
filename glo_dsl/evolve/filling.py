"""What must stand in the hole of a space for it to become a loss that is already known.

The body of the space is undone around its hole, operator by operator: if `-mean(?f(x, y))` is to be L, then `mean(?f)`
is to be `-L`, and what a mean is of follows from L written as a sum over classes. The rest is to say L in the terms of
the hole. None of these steps needs to be trusted: a filling counts only if the funnel finds the gradient of L in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import cache

from glo_dsl.errors import GloError
from glo_dsl.evolve.funnel import Funnel
from glo_dsl.evolve.space import Space
from glo_dsl.ir.expr import CLASSES, Apply, Const, Expr, Hole, Var, apply, const, rebuild, substitute, var, walk
from glo_dsl.ir.types import REAL_ROW
from glo_dsl.lang.elaborate import parse_expression
from glo_dsl.lang.loss import Loss
from glo_dsl.passes.match import Rules, parse_rules
from glo_dsl.passes.simplify import rewrite, simplify

UNDONE = {
    "add": ("g - b", "g - a"), "sub": ("g + b", "a - g"), "mul": ("g / b", "g / a"), "div": ("g * b", "a / g"),
    "neg": ("-g",), "exp": ("log(g)",), "log": ("exp(g)",), "sqrt": ("square(g)",), "square": ("sqrt(g)",),
}  # fmt: skip
"""What an argument of an operator is, where `g` is what the operator gives and `a`, `b` are its arguments."""

SPELLINGS = ("", "log_softmax(a) = log(softmax(a))", "softmax(a) = exp(log_softmax(a))")
"""Ways to write one row in terms of another, each tried by itself; none of them first."""

_LETTERS: dict[str, Expr] = {letter: var(letter, REAL_ROW) for letter in "abg"}


def filling(space: Space, loss: Loss, funnel: Funnel) -> Expr | None:
    """An expression for the hole with which the space has the gradient of `loss`, up to a factor above 0; None where
    none was found. Parameters of both are taken at their defaults, the number of classes from the funnel.

    >>> import glo_dsl as glo
    >>> from glo_dsl.evolve.space import space_of
    >>> from glo_dsl.lang.show import show
    >>> space = space_of(glo.loads("loss s(z: real[C], t: class[C]) = -mean(?f(onehot(t), softmax(z)))")["s"])
    >>> show(filling(space, glo.zoo["cross_entropy"], Funnel(classes=10)))
    'term_0 * log(term_1)'
    """
    renamed = _renamed(loss, space.loss)
    wanted = None if renamed is None else funnel.peek(loss)
    if renamed is None or wanted is None or wanted.reason is not None:
        return None
    body, target = simplify((_settled(space.loss, space.loss.expr, funnel), _settled(loss, renamed, funnel)))
    try:
        (hole,) = (node for node in walk((body,)) if isinstance(node, Hole))
        target = _settled(space.loss, _undone(body, hole, target), funnel)
        return next((e for e in _candidates(space, hole, simplify((target,))[0])
                     if funnel.peek(space.fill(e)).key == wanted.key), None)  # fmt: skip
    except (_NoWay, ValueError, GloError):  # the hole may be gone, or there twice; or an operator refuses an argument
        return None


class _NoWay(Exception):
    """A step that cannot be undone."""


def _renamed(loss: Loss, like: Loss) -> Expr | None:
    """The loss over the inputs of another; None where these are of other types, or only some of their values fit."""
    if [_kind(v) for v in loss.inputs] != [_kind(v) for v in like.inputs] or loss.per is not None or loss.holes:
        return None
    return substitute((loss.expr,), dict(zip(loss.inputs, like.inputs)))[0]


def _kind(variable: Var) -> tuple[object, ...]:
    return variable.type, variable.domain, variable.simplex


def _settled(loss: Loss, expr: Expr, funnel: Funnel) -> Expr:
    """With numbers for parameters and for the number of classes."""
    numbers: dict[Expr, Expr] = {p.var: const(p.default) for p in loss.params}
    if funnel.classes:
        numbers[CLASSES] = const(funnel.classes)
    (expr,) = substitute((expr,), {**numbers, **{n: _mean(n) for n in walk((expr,)) if _named(n, "mean")}})
    return substitute((expr,), numbers)[0]


def _mean(node: Expr) -> Expr:
    """A mean as the sum that it is, so that the number of classes is one of the numbers."""
    return apply("div", apply("sum", node.args[0]), CLASSES)


def _named(node: Expr, name: str) -> bool:
    return isinstance(node, Apply) and node.op.name == name


def _undone(body: Expr, around: Expr, target: Expr) -> Expr:
    """What the one node `around` has to be for `body` to be `target`."""
    while body is not around:
        assert isinstance(body, Apply)
        places = [n for n, arg in enumerate(body.args) if around in set(walk((arg,)))]
        if len(places) != 1:
            raise _NoWay
        (place,) = places
        if body.op.name == "sum":
            target = _summand(target)
        elif body.op.name == "gather" and place == 0:
            target = _row_of(target, body.args[1])
        elif body.op.name in UNDONE:
            known: dict[Expr, Expr] = {_LETTERS["g"]: target}
            known.update(zip((_LETTERS["a"], _LETTERS["b"]), body.args))
            (target,) = substitute((_undoing(body.op.name)[place],), known)
        else:
            raise _NoWay
        body = body.args[place]
    return target


@cache
def _undoing(name: str) -> tuple[Expr, ...]:
    return tuple(parse_expression(text, _LETTERS, f"what undoes {name}") for text in UNDONE[name])


def _summand(total: Expr) -> Expr:
    """A row whose sum over classes is `total`."""
    if isinstance(total, Apply):
        name, args = total.op.name, total.args
        if name == "sum":
            return args[0]
        if name in ("add", "sub", "neg"):
            return rebuild(total, tuple(_summand(a) for a in args))
        if name == "mul" and _fixed(args[0]):
            return apply("mul", args[0], _summand(args[1]))
        if name in ("mul", "div") and _fixed(args[1]):
            return apply(total.op, _summand(args[0]), args[1])
    indices = sorted({node.args[1] for node in walk((total,)) if _named(node, "gather")}, key=lambda n: n.digest)
    if len(indices) == 1:
        return apply("mul", apply("onehot", indices[0]), _row_of(total, indices[0]))
    return apply("div", total, CLASSES)


def _fixed(node: Expr) -> bool:
    return not node.type.per_sample


def _row_of(entry: Expr, index: Expr) -> Expr:
    """A row of which `entry` is the one at `index`: what was gathered there is the row that it was gathered from."""
    if isinstance(entry, Apply) and entry.op.shape == "gather" and entry.args[1] is index:
        return entry.args[0]
    if isinstance(entry, Apply) and entry.op.elementwise:
        return rebuild(entry, tuple(_row_of(a, index) for a in entry.args))
    return entry


def _candidates(space: Space, hole: Hole, target: Expr) -> Iterator[Expr]:
    """The target in the terms of the hole, by one spelling after the other, as short as it can be."""
    for rules in map(_table, SPELLINGS):
        for known in ({}, _solved(hole, space.terms)):
            (spelt,) = rewrite((target,), rules)
            (found,) = substitute((spelt,), {**known, **dict(zip(hole.args, space.terms))})
            if all(_speakable(node, space.terms) for node in walk((found,))):
                yield from (_plain(simplify((found,))[0]), simplify((found,))[0])


@cache
def _table(line: str) -> Rules:
    return Rules(parse_rules(line))


def _solved(hole: Hole, terms: tuple[Var, ...]) -> dict[Expr, Expr]:
    """What the hole's terms say of what they are computed from: of p, that it is 1 - u, where u is 1 - p."""
    found: dict[Expr, Expr] = {}
    for arg, term in zip(hole.args, terms):
        for node in _bricks(arg):
            if node is not arg:
                with suppress(_NoWay):
                    found[node] = _undone(arg, node, term)
    return found


def _bricks(node: Expr) -> Iterator[Expr]:
    """What an expression is elementwise computed from."""
    if isinstance(node, Apply) and node.op.elementwise:
        for arg in node.args:
            yield from _bricks(arg)
    elif not isinstance(node, Const):
        yield node


def _speakable(node: Expr, terms: tuple[Var, ...]) -> bool:
    return isinstance(node, Const) or node in terms or (isinstance(node, Apply) and node.op.elementwise)


def _plain(root: Expr) -> Expr:
    """Without a factor above 0 and without a summand that no gradient sees, if the hole is in a sum."""
    core, falls = root, False
    while isinstance(core, Apply):
        name, (first, *others) = core.op.name, core.args
        if name == "neg":
            core, falls = first, not falls
        elif name in ("mul", "add", "sub") and isinstance(first, Const):
            falls ^= name == "sub" or (name == "mul" and first.value < 0)
            core = others[0]
        elif name in ("div", "sub") and isinstance(others[0], Const):
            falls ^= name == "div" and others[0].value < 0
            core = first
        else:
            break
    return simplify((apply("neg", core),))[0] if falls else core

"""A whole `.glo` text to its losses: types of inputs, defaults and bounds of parameters, the check of the body."""

from __future__ import annotations

import math

from lark import Token, Tree

from glo_dsl.errors import GloError, Source, did_you_mean
from glo_dsl.ir.expr import Apply, Const, Expr, Var, var, walk
from glo_dsl.ir.types import (
    ANY,
    BOOL,
    BOOL_ROW,
    CLASS,
    CLASS_INDEX,
    REAL,
    REAL_ROW,
    UNIFORM,
    UNIT,
    Interval,
    Type,
    make_type,
)
from glo_dsl.lang.elaborate import Def, Elaborator
from glo_dsl.lang.loss import Loss, Param
from glo_dsl.lang.syntax import Node, parse, span_of

MAX_NODES = 100_000
"""Distinct nodes that a loss may have."""

TYPES: dict[tuple[str, bool], tuple[Type, Interval]] = {
    ("real", False): (REAL, ANY), ("real", True): (REAL_ROW, ANY), ("prob", True): (REAL_ROW, UNIT),
    ("class", True): (CLASS_INDEX, ANY), ("bool", False): (BOOL, ANY), ("bool", True): (BOOL_ROW, ANY),
}  # fmt: skip


def losses_of(text: str, name: str = "<string>") -> dict[str, Loss]:
    """The losses of a `.glo` text, by name, in the order of the text.

    Raises:
        GloError: the first thing that is wrong, with its place.

    >>> list(losses_of("loss mse(p: real, y: real) = (p - y) ^ 2"))
    ['mse']
    """
    source = Source(text, name)
    tree = parse(source)
    elaborator = Elaborator(source)
    losses: dict[str, Loss] = {}
    for node in _definitions(tree, "def"):
        _add_def(elaborator, node)
    for node in _definitions(tree, "loss"):
        token = node.children[0]
        assert isinstance(token, Token)
        if str(token) in losses:
            raise GloError(f"{token} is defined twice", span_of(token), source=source)
        losses[str(token)] = _loss(elaborator, node, token)
    return losses


def _definitions(tree: Node, kind: str) -> list[Node]:
    return [node for node in tree.children if isinstance(node, Tree) and node.data == kind]


def _add_def(elaborator: Elaborator, node: Node) -> None:
    token, names, body = node.children
    assert isinstance(token, Token)
    if str(token) in elaborator.defs:
        raise GloError(f"{token} is defined twice", span_of(token), source=elaborator.source)
    parameters = [n for n in names.children if isinstance(n, Token)] if isinstance(names, Tree) else []
    for place, parameter in enumerate(parameters):
        elaborator.reserve(parameter)
        if parameter in parameters[:place]:
            raise GloError(f"{parameter} is declared twice", span_of(parameter), source=elaborator.source)
    elaborator.defs[str(token)] = Def(str(token), tuple(str(n) for n in parameters), body)


def _loss(elaborator: Elaborator, node: Node, token: Token) -> Loss:
    _, inputs_tree, params_tree, body_tree = node.children
    scope: dict[str, Expr] = {}
    inputs = tuple(_input(elaborator, child, scope) for child in _trees(inputs_tree))
    if not inputs:
        hint = f"for example: loss {token}(z: real[C], t: class[C]) = ..."
        raise GloError(f"{token} has no inputs", span_of(token), hint, elaborator.source)
    params = tuple(_param(elaborator, child, scope) for child in _trees(params_tree))
    expr = elaborator.expression(body_tree, scope)
    _check_body(elaborator.source, expr, body_tree)
    text, doc = _text_and_doc(elaborator.source.text, node)
    return Loss(str(token), inputs, params, expr, text, doc, elaborator.source, span_of(token))


def _trees(node: object) -> list[Node]:
    return [child for child in node.children if isinstance(child, Tree)] if isinstance(node, Tree) else []


def _declare(elaborator: Elaborator, name: Token, scope: dict[str, Expr], value: Var) -> Var:
    elaborator.reserve(name)
    if str(name) in scope:
        raise GloError(f"{name} is declared twice", span_of(name), source=elaborator.source)
    scope[str(name)] = value
    return value


def _input(elaborator: Elaborator, node: Node, scope: dict[str, Expr]) -> Var:
    name, type_tree, domain_tree = node.children
    assert isinstance(name, Token) and isinstance(type_tree, Tree)
    kind, interval = _type(elaborator, type_tree)
    if isinstance(domain_tree, Tree):
        if kind.kind != "real":
            raise GloError(f"{kind} has no domain to narrow", span_of(domain_tree), source=elaborator.source)
        interval = _domain(elaborator, domain_tree)
    return _declare(elaborator, name, scope, var(str(name), kind, interval))


def _type(elaborator: Elaborator, node: Node) -> tuple[Type, Interval]:
    shared, word, axis = node.children
    assert isinstance(word, Token)
    if axis is not None and str(axis) != "C":
        raise GloError(f"unknown axis {axis}", span_of(node), "the class axis is written [C]", elaborator.source)
    found = TYPES.get((str(word), axis is not None))
    if found is None:
        kinds = {kind for kind, _ in TYPES}
        hint = did_you_mean(str(word), kinds) or "types are real, real[C], prob[C], class[C], bool and bool[C]"
        if str(word) in kinds:
            hint = f"write {word}" if axis is not None else f"write {word}[C]"
        raise GloError(f"unknown type {word}{'[C]' if axis else ''}", span_of(node), hint, elaborator.source)
    if shared is None:
        return found
    if found[0].kind == "class":
        raise GloError("a class index varies over the batch", span_of(node), "leave out shared", elaborator.source)
    if not found[0].per_class:
        hint = "one number for the whole batch is a parameter: loss name(inputs; parameter = 1)"
        raise GloError(f"shared {word} has nothing to vary over", span_of(node), hint, elaborator.source)
    return make_type(found[0].kind, found[0].axes & {CLASS}), found[1]


def _param(elaborator: Elaborator, node: Node, scope: dict[str, Expr]) -> Param:
    name, default_tree, domain_tree = node.children
    assert isinstance(name, Token)
    default = _number(elaborator, default_tree)
    domain = _domain(elaborator, domain_tree) if isinstance(domain_tree, Tree) else ANY
    if not domain.contains(default):
        message = f"the default {default:g} of {name} is outside {domain}"
        raise GloError(message, span_of(node), source=elaborator.source)
    value = _declare(elaborator, name, scope, var(str(name), UNIFORM, domain))
    return Param(value, default)


def _domain(elaborator: Elaborator, node: Node) -> Interval:
    lo, hi = (_number(elaborator, child) for child in node.children)
    if not lo <= hi:
        raise GloError(f"[{lo:g}, {hi:g}] is empty", span_of(node), "write the smaller bound first", elaborator.source)
    return Interval(lo, hi)


def _number(elaborator: Elaborator, node: object) -> float:
    """The value of an expression over literals."""
    assert isinstance(node, Tree | Token)
    value = constant_value(elaborator.expression(node, {}))
    if value is None or math.isnan(value):
        raise GloError("a number is due here", span_of(node), source=elaborator.source)
    return value


def constant_value(expr: Expr) -> float | None:
    """The value of an expression of literals and arithmetic, or None when it depends on anything else."""
    values: dict[Expr, float] = {}
    for node in walk((expr,)):
        match node:
            case Const():
                values[node] = node.value
            case Apply() if node.op.elementwise and node.op.numpy and all(a in values for a in node.args):
                import numpy as np

                with np.errstate(all="ignore"):
                    values[node] = float(node.op.numpy(*(np.float64(values[a]) for a in node.args)))
            case _:
                return None
    return values[expr]


def _check_body(source: Source, expr: Expr, tree: object) -> None:
    assert isinstance(tree, Tree | Token)
    if expr.type.kind != "real":
        hint = "write: if condition then 1 else 0" if expr.type.kind == "bool" else None
        raise GloError(f"the body has type {expr.type}; a loss is a real number", span_of(tree), hint, source)
    if expr.type.per_class:
        raise GloError(f"the body has type {expr.type}; a loss is one number per sample", span_of(tree),
                       "reduce it with sum or mean", source)  # fmt: skip
    nodes = sum(1 for _ in walk((expr,)))
    if nodes > MAX_NODES:
        raise GloError(f"the loss has {nodes} nodes; the limit is {MAX_NODES}", span_of(tree), source=source)


def _text_and_doc(text: str, node: Node) -> tuple[str, str]:
    """The definition as written with the comment block directly above it, and that block's words."""
    lines = text.split("\n")
    first = node.meta.line - 1
    alone = not lines[first][: node.meta.column - 1].strip()
    start = first
    while alone and start > 0 and lines[start - 1].lstrip().startswith("#"):
        start -= 1
    comments = [line.strip().lstrip("#").strip() for line in lines[start:first]]
    offset = sum(len(line) + 1 for line in lines[:start]) if alone else node.meta.start_pos
    line_end = text.find("\n", node.meta.end_pos)
    tail = text[node.meta.end_pos : line_end if line_end >= 0 else len(text)]
    end = node.meta.end_pos + (len(tail.rstrip()) if tail.lstrip().startswith("#") else 0)
    return text[offset:end], "\n".join(comments)

"""Expressions back to `.glo` text, such that parsing the text gives the same expression."""

from __future__ import annotations

import math

from glo_dsl.ir.expr import Apply, Const, Expr, Hole, Var, size, walk

LOOSEST, POSTFIX, PREFIX, ATOM = 0, 9, 7, 10
LARGE = 400
"""Trees above this many nodes are printed with `let` for shared parts, so that text never explodes."""


def show(expr: Expr) -> str:
    """The expression in the canonical spelling.

    >>> from glo_dsl.lang.elaborate import parse_expression
    >>> from glo_dsl.ir.expr import var
    >>> from glo_dsl.ir.types import REAL
    >>> show(parse_expression("(x*x) - ((-2)^x)", {"x": var("x", REAL)}))
    'x * x - (-2) ^ x'
    """
    named: dict[Expr, str] = {}
    text: dict[Expr, tuple[str, int]] = {}
    shared = _shared(expr) if size(expr) > LARGE else set()
    bindings: list[str] = []
    taken = {node.name for node in walk((expr,)) if isinstance(node, Var)} if shared else set()
    for node in walk((expr,)):
        text[node] = _text(node, text)
        if node in shared and node is not expr:
            name = _fresh(len(named), taken)
            named[node] = name
            bindings.append(f"{name} = {text[node][0]}")
            text[node] = (name, ATOM)
    body = text[expr][0]
    return f"let {', '.join(bindings)} in {body}" if bindings else body


def number(value: float) -> str:
    """A literal as short as it can be while reading back as the same float64."""
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if value == int(value) and abs(value) < 1e15:
        return f"-{-int(value)}" if math.copysign(1, value) < 0 else str(int(value))
    return repr(value)


def _fresh(index: int, taken: set[str]) -> str:
    name = f"s{index}"
    while name in taken:
        name = "_" + name
    return name


def _shared(root: Expr) -> set[Expr]:
    uses: dict[Expr, int] = {}
    for node in walk((root,)):
        for arg in node.args:
            uses[arg] = uses.get(arg, 0) + 1
    return {node for node, n in uses.items() if n > 1 and node.args}


def _text(node: Expr, text: dict[Expr, tuple[str, int]]) -> tuple[str, int]:
    match node:
        case Const() if node.type.kind == "bool":
            return ("true" if node.value else "false"), ATOM
        case Const():
            literal = number(node.value)
            return literal, (PREFIX if literal.startswith("-") else ATOM)
        case Var():
            return node.name, ATOM
        case Hole():
            return f"?{node.name}({_list(node, text)})", ATOM
        case Apply():
            return _application(node, text)
    raise AssertionError(node)


def _list(node: Expr, text: dict[Expr, tuple[str, int]]) -> str:
    return ", ".join(text[a][0] for a in node.args)


def _application(node: Apply, text: dict[Expr, tuple[str, int]]) -> tuple[str, int]:
    def at(place: int, power: int) -> str:
        body, own = text[node.args[place]]
        return body if own >= power else f"({body})"

    if node.op.name == "select":
        return f"if {at(0, 1)} then {at(1, LOOSEST)} else {at(2, LOOSEST)}", LOOSEST
    if node.op.name == "gather":
        return f"{at(0, POSTFIX)}[{at(1, LOOSEST)}]", POSTFIX
    if node.op.notation is None:
        return f"{node.op.call}({_list(node, text)})", ATOM
    sign, power = node.op.notation
    if node.op.arity == 1:
        if isinstance(node.args[0], Const):  # -(2) is minus applied to 2, -2 is a literal
            return f"{sign}({text[node.args[0]][0]})", power
        return f"{sign}{' ' * sign.isalpha()}{at(0, power)}", power
    if node.op.name == "pow":
        return f"{at(0, POSTFIX)} ^ {at(1, PREFIX)}", power
    left = power + 1 if power == 4 else power  # comparisons do not chain
    return f"{at(0, left)} {sign} {at(1, power + 1)}", power

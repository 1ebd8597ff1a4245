"""What a loss declares: types and domains of its inputs, defaults and bounds of its parameters."""

from __future__ import annotations

import math

from lark import Token, Tree

from glo_dsl.errors import did_you_mean
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
from glo_dsl.lang.elaborate import BROKEN, Elaborator, token_at
from glo_dsl.lang.loss import Param
from glo_dsl.lang.syntax import Node
from glo_dsl.lang.unit import Function, Header, trees

TYPES: dict[tuple[str, bool], tuple[Type, Interval]] = {
    ("real", False): (REAL, ANY), ("real", True): (REAL_ROW, ANY), ("prob", True): (REAL_ROW, UNIT),
    ("class", True): (CLASS_INDEX, ANY), ("bool", False): (BOOL, ANY), ("bool", True): (BOOL_ROW, ANY),
}  # fmt: skip


class Headers:
    """Reads declarations, those of one loss once.

    What is wrong is reported to the elaborator; what is declared wrongly is BROKEN from then on, not unknown.
    """

    def __init__(self, elaborator: Elaborator) -> None:
        self.elaborator = elaborator
        self._reading: set[Function] = set()
        elaborator.header_of = self.header

    def header(self, function: Function) -> Header | None:
        """The header of a loss, or None where it is wrong."""
        if function.header is None and function not in self._reading:
            self._reading.add(function)
            self.scope(function)
        return function.header

    def scope(self, function: Function) -> dict[str, Expr]:
        """The declared names of a loss; sets its header if all is well."""
        self._reading.add(function)
        _, inputs, params, _, _ = function.node.children
        scope: dict[str, Expr] = {}
        found = [self.input(child, scope) for child in trees(inputs)]
        declared = [self._param(child, scope) for child in trees(params)]
        if all(found) and all(declared):
            function.header = Header(tuple(v for v in found if v), tuple(p for p in declared if p))
        return scope

    def input(self, node: Node, scope: dict[str, Expr], redeclares: bool = False) -> Var | None:
        """Declares one input; `redeclares` allows a name that is there already."""
        type_tree, domain_tree = node.children[1:]
        name = token_at(node, 0)
        assert isinstance(type_tree, Tree)
        declared = self._type(type_tree)
        domain = self._narrowed(*declared, domain_tree) if declared else None
        simplex = token_at(type_tree, 1) == "prob"
        value = var(str(name), declared[0], domain, simplex) if declared and domain else None
        return value if self._declare(name, scope, value, redeclares) else None

    def _narrowed(self, declared: Type, domain: Interval, node: object) -> Interval | None:
        """The domain that stands in the text, or the one that comes with the type."""
        if not isinstance(node, Tree):
            return domain
        if declared.kind != "real":
            self.elaborator.say("domain-of-no-real", f"{declared} has no domain to narrow", node)
            return None
        return self._domain(node)

    def _declare(self, name: Token, scope: dict[str, Expr], value: Var | None, redeclares: bool) -> bool:
        before = len(self.elaborator.diagnostics or ())
        self.elaborator.reserve(name)
        if str(name) in scope and not redeclares:
            self.elaborator.say("declared-twice", f"{name} is declared twice", name)
        scope[str(name)] = value or BROKEN
        return value is not None and len(self.elaborator.diagnostics or ()) == before

    def _type(self, node: Node) -> tuple[Type, Interval] | None:
        shared, word, axis = node.children
        assert isinstance(word, Token)
        say = self.elaborator.say
        if axis is not None and str(axis) != "C":
            say("unknown-axis", f"unknown axis {axis}", node, "the class axis is written [C]")
            return None
        found = TYPES.get((str(word), axis is not None))
        if found is None:
            kinds = {kind for kind, _ in TYPES}
            hint = did_you_mean(str(word), kinds) or "types are real, real[C], prob[C], class[C], bool and bool[C]"
            if str(word) in kinds:
                hint = f"write {word}" if axis is not None else f"write {word}[C]"
            say("unknown-type", f"unknown type {word}{'[C]' if axis else ''}", node, hint)
            return None
        if shared is None:
            return found
        if found[0].kind == "class":
            say("shared-class", "a class index varies over the batch", node, "leave out shared")
            return None
        if not found[0].per_class:
            hint = "one number for the whole batch is a parameter: loss name(inputs; parameter = 1)"
            say("shared-number", f"shared {word} has nothing to vary over", node, hint)
            return None
        return make_type(found[0].kind, found[0].axes & {CLASS}), found[1]

    def _param(self, node: Node, scope: dict[str, Expr]) -> Param | None:
        name, (default_tree, domain_tree) = token_at(node, 0), node.children[1:]
        default = self.number(default_tree)
        domain = self._domain(domain_tree) if isinstance(domain_tree, Tree) else ANY
        if default is not None and domain is not None and not domain.contains(default):
            message = f"the default {default:g} of {name} is outside {domain}"
            self.elaborator.say("default-outside", message, node)
            default = None
        right = default is not None and domain is not None
        value = var(str(name), UNIFORM, domain or ANY) if right else None
        declared = self._declare(name, scope, value, redeclares=False)
        return Param(value, default) if declared and value is not None and default is not None else None

    def _domain(self, node: Node) -> Interval | None:
        """The interval that `in [a, b]`, with round brackets where a bound does not belong to it, means."""
        lower, low, high, upper = node.children
        assert isinstance(lower, Tree) and isinstance(upper, Tree)
        lo, hi = self.number(low), self.number(high)
        if lo is None or hi is None:
            return None
        found = Interval(lo, hi, lower.data == "open", upper.data == "open")
        if found.empty:
            self.elaborator.say("empty-domain", f"{found} is empty", node, "write the smaller bound first")
            return None
        return found

    def number(self, node: object) -> float | None:
        """The value of an expression over literals."""
        assert isinstance(node, Tree | Token)
        expr = self.elaborator.expression(node, {})
        if expr is BROKEN:
            return None
        value = constant_value(expr)
        if value is None or math.isnan(value):
            self.elaborator.say("not-a-number", "a number is due here", node)
            return None
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

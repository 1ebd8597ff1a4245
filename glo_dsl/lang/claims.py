"""What a file claims of its losses: laws, for all values, and examples, for one."""

from __future__ import annotations

import math

from lark import Token, Tree

from glo_dsl.errors import WARNING, did_you_mean
from glo_dsl.ir.expr import CLASSES, Var, variables
from glo_dsl.lang.comments import doc_above, written
from glo_dsl.lang.elaborate import BROKEN, Elaborator, Names, token_at
from glo_dsl.lang.headers import Headers, constant_value
from glo_dsl.lang.loss import Example, Law, Literal
from glo_dsl.lang.syntax import Node, span_of
from glo_dsl.lang.unit import Function, Header, trees

RELATIVE = 1e-9
"""How far from its value an example may be that gives no tolerance, as a share of the value."""


class Claims:
    """Reads the laws and examples of a file whose functions are known."""

    def __init__(self, elaborator: Elaborator, headers: Headers) -> None:
        self.elaborator, self.headers = elaborator, headers

    def law(self, node: Node) -> Law | None:
        """The law, or None where it is wrong."""
        about, label, body, binders = node.children
        assert isinstance(about, Token) and isinstance(label, Token) and isinstance(body, Tree | Token)
        function = self._loss(about)
        header = self.headers.header(function) if function else None
        if function is None or header is None:
            return None
        scope = Names({v.name: v for v in (*header.inputs, *(p.var for p in header.params))})
        bound: list[Token] = []
        for binder in trees(binders):
            if self.headers.input(binder, scope, redeclares=token_at(binder, 0) not in bound) is None:
                return None
            bound.append(token_at(binder, 0))
        self.elaborator.given = {(function, p.name): p.var for p in header.params}
        expr = self.elaborator.expression(body, scope)
        self.elaborator.given = {}
        for name in bound:
            self.elaborator.check_read(name, scope, "unused-binder", f"the law does not use {name}")
        if expr is BROKEN:
            return None
        if expr.type.kind != "bool":
            hint = "compare it, for example with >= 0"
            self.elaborator.say("law-no-condition", f"the law is of type {expr.type}; a law is a condition", body, hint)
            return None
        if function not in self.elaborator.used:
            hint = f"write {function.name}({', '.join(function.names)}) for its value"
            self.elaborator.say("law-without-loss", f"the law does not call {function.name}", body, hint, WARNING)
        quantified = tuple(v for v in variables((expr,)) if v is not CLASSES)
        source = self.elaborator.unit.source
        return Law(
            f"{about}.{label}", quantified, expr, written(source, node), doc_above(source, node), source, span_of(label)
        )

    def _loss(self, name: Token) -> Function | None:
        """A loss of this file."""
        unit = self.elaborator.unit
        function = unit.functions.get(str(name))
        if function is not None and function.is_loss:
            return function
        if name not in unit.lost:
            losses = [f.name for f in unit.functions.values() if f.is_loss]
            hint = did_you_mean(name, losses) or (f"its losses are {', '.join(losses)}" if losses else None)
            what = f"{name} is a def, not a loss" if function else f"this file has no loss {name}"
            self.elaborator.say("claim-about-nothing", what, name, hint)
        return None

    def example(self, node: Node) -> Example | None:
        """The example, or None where it is wrong."""
        equation, _, tolerance = node.children
        call, value = _sides(equation)
        if call is None or value is None:
            hint = "for instance: example focal([2, 0, -1], 0; gamma = 1) == 0.0301 +- 1e-4"
            assert isinstance(equation, Tree | Token)
            self.elaborator.say("example-form", "an example is: loss(values) == value", equation, hint)
            return None
        function = self._loss(token_at(call, 0))
        header = self.headers.header(function) if function else None
        if function is None or header is None:
            return None
        inputs, params = self._inputs(function, header, call), self._params(function, header, call)
        expected = self.headers.number(value)
        allowed = self.headers.number(tolerance) if isinstance(tolerance, Tree | Token) else None
        if inputs is None or params is None or expected is None or (tolerance is not None and allowed is None):
            return None
        if allowed is not None and allowed < 0:
            assert isinstance(tolerance, Tree | Token)
            self.elaborator.say("negative-tolerance", f"the tolerance {allowed:g} is negative", tolerance)
            return None
        allowed = RELATIVE * max(abs(expected), 1e-300) if allowed is None else allowed
        source = self.elaborator.unit.source
        return Example(
            function.name, inputs, params, expected, allowed, written(source, node), source, span_of(node)
        )  # fmt: skip

    def _inputs(self, function: Function, header: Header, call: Node) -> dict[str, Literal] | None:
        arguments = call.children[1]
        given = [a for a in arguments.children if a is not None] if isinstance(arguments, Tree) else []
        if len(given) != len(header.inputs):
            names = ", ".join(v.name for v in header.inputs)
            message = f"{function.name} takes {len(header.inputs)} inputs ({names}), got {len(given)}"
            self.elaborator.say("argument-count", message, call)
            return None
        found: dict[str, Literal] = {}
        for v, tree in zip(header.inputs, given, strict=True):
            value = self._literal(v, tree)
            if value is None:
                return None
            found[v.name] = value
        return found if self._classes_agree(header, found, call) else None

    def _params(self, function: Function, header: Header, call: Node) -> dict[str, float] | None:
        found: dict[str, float] = {}
        domains = {p.name: p.var.domain for p in header.params}
        for setting in trees(call.children[2]):
            name = token_at(setting, 0)
            if name not in domains:
                hint = did_you_mean(name, domains) or f"its parameters are {', '.join(domains) or 'none'}"
                self.elaborator.say("unknown-parameter", f"{function.name} has no parameter {name}", name, hint)
                return None
            value = self.headers.number(setting.children[1])
            if value is None:
                return None
            if not domains[str(name)].contains(value):
                message = f"{value:g} is outside {domains[str(name)]}, the bounds of {name}"
                self.elaborator.say("setting-outside", message, name)
                return None
            found[str(name)] = value
        return found

    def _literal(self, v: Var, tree: Node | Token) -> Literal | None:
        """One value, or one for each class, of the declared type and in the declared domain."""
        if v.type.per_class:
            return self._row(v, tree)
        value = self._entry(v, tree)
        if value is None:
            return None
        if v.type.kind == "class" and (value != math.floor(value) or value < 0):
            self.elaborator.say("example-index", f"{v.name} is the index of a class, counted from 0", tree)
            return None
        return value

    def _row(self, v: Var, tree: Node | Token) -> tuple[float, ...] | None:
        if not isinstance(tree, Tree) or tree.data != "row":
            hint = "for instance [2, 0, -1]"
            self.elaborator.say("example-row", f"{v.name} is {v.type}: a list of numbers is due", tree, hint)
            return None
        entries = [self._entry(v, child) for child in tree.children if child is not None]
        row = tuple(entry for entry in entries if entry is not None)
        if len(row) != len(entries):
            return None
        if v.simplex and abs(sum(row) - 1) > 1e-6:
            self.elaborator.say("example-prob", f"the values of {v.name} add up to {sum(row):g}, not to 1", tree)
            return None
        return row

    def _entry(self, v: Var, tree: Node | Token) -> float | None:
        if isinstance(tree, Tree) and tree.data == "row":
            self.elaborator.say("example-row", f"{v.name} is {v.type}: one value is due, not a list", tree)
            return None
        expr = self.elaborator.expression(tree, {})
        if expr is BROKEN:
            return None
        value = constant_value(expr)
        if value is None or (expr.type.kind == "bool") != (v.type.kind == "bool"):
            due = {"bool": "true or false", "class": "a class index"}.get(v.type.kind, "a number")
            self.elaborator.say("example-value", f"{v.name} is {v.type}: {due} is due", tree)
            return None
        if v.type.kind == "real" and not v.domain.contains(value) and not math.isinf(value):
            self.elaborator.say("example-outside", f"{value:g} is outside {v.domain}, the domain of {v.name}", tree)
            return None
        return value

    def _classes_agree(self, header: Header, found: dict[str, Literal], call: Node) -> bool:
        rows = [value for value in found.values() if isinstance(value, tuple)]
        counts = sorted({len(row) for row in rows})
        if len(counts) > 1:
            message = f"the rows have {' and '.join(map(str, counts))} entries"
            self.elaborator.say("example-classes", message, call, "there is one class axis: all rows are equally long")
            return False
        for v in header.inputs:
            value = found[v.name]
            if v.type.kind == "class" and counts and isinstance(value, float) and value >= counts[0]:
                message = f"{v.name} = {value:g}, but there are {counts[0]} classes"
                self.elaborator.say("example-index", message, call, "classes are counted from 0")
                return False
        return True


def _sides(equation: object) -> tuple[Node | None, Node | Token | None]:
    """The call and the value of `call == value`."""
    if not isinstance(equation, Tree) or equation.data != "eq":
        return None, None
    call, value = equation.children
    return (call if isinstance(call, Tree) and call.data == "call" else None), value

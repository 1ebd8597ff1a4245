"""A whole `.glo` text to its losses, what it claims of them, and everything that there is to say about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from lark import Token, Tree

from glo_dsl.errors import ERROR, Diagnostic, GloError, Source
from glo_dsl.ir.expr import Expr, walk
from glo_dsl.lang.claims import Claims
from glo_dsl.lang.comments import doc_above, written_with_doc
from glo_dsl.lang.elaborate import BROKEN, Elaborator, Names, Place
from glo_dsl.lang.headers import Headers
from glo_dsl.lang.imports import Importer
from glo_dsl.lang.loss import Example, Law, Loss
from glo_dsl.lang.syntax import Node, Parsed, parse_file, span_of
from glo_dsl.lang.unit import Function, Unit, functions_of

MAX_NODES = 100_000
"""Distinct nodes that a loss may have."""

MAX_DIAGNOSTICS = 200
"""What is said about one file at most."""


@dataclass(frozen=True, slots=True)
class Module:
    """A file that was read as far as it can be.

    Attributes:
        losses: those without errors, by name, in the order of the text.
        diagnostics: everything there is to say, in the order of the text.
        unit: the names of the file.
        places: for each loss, where its expressions were first written.
    """

    source: Source
    losses: dict[str, Loss]
    diagnostics: tuple[Diagnostic, ...]
    unit: Unit
    places: Mapping[str, Mapping[Expr, Place]] = field(default_factory=dict)

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        return tuple(d for d in self.diagnostics if d.severity == ERROR)

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        return tuple(d for d in self.diagnostics if d.severity != ERROR)


def losses_of(text: str, name: str = "<string>", path: Path | None = None) -> dict[str, Loss]:
    """The losses of a `.glo` text, by name, in the order of the text. `path` is where its imports are looked up from.

    Raises:
        GloError: with everything that is wrong, each with its place.

    >>> list(losses_of("loss mse(p: real, y: real) = (p - y) ^ 2"))
    ['mse']
    """
    module = check(text, name, path)
    if module.errors:
        raise GloError.of(module.errors)
    return module.losses


def check(text: str, name: str = "<string>", path: Path | None = None) -> Module:
    """Reads a `.glo` text as far as possible. What is wrong or suspicious is in the result; nothing is raised.

    >>> [d.message for d in check("loss f(x: real, y: real) = lgo(x)  loss g(x: real) = sum(x)").diagnostics]
    ['no function lgo', 'the argument of sum must have a class axis, got real']
    """
    source = Source(text, name)
    parsed = parse_file(source)
    unit = Unit(source, path, lost=parsed.lost)
    checker = _Checker(unit, list(parsed.errors))
    try:
        losses = checker.run(parsed)
    except GloError as error:  # a limit: what comes behind is not read
        checker.diagnostics += error.diagnostics
        losses = {}
    return Module(source, losses, in_order(checker.diagnostics), unit, checker.places)


def in_order(found: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Each diagnostic once, by place; warnings about what is wrong anyway would only distract."""
    unique = list({(d.code, d.span, d.message): d for d in found}.values())
    wrong = {d.span.line for d in unique if d.severity == ERROR and d.span}
    kept = [d for d in unique if d.severity == ERROR or not (d.span and d.span.line in wrong)]
    kept.sort(key=lambda d: (d.span.line, d.span.column) if d.span else (0, 0))
    return tuple(kept[:MAX_DIAGNOSTICS])


class _Checker:
    """Reads the definitions of one file."""

    def __init__(self, unit: Unit, diagnostics: list[Diagnostic]) -> None:
        self.unit, self.diagnostics = unit, diagnostics
        self.places: dict[str, Mapping[Expr, Place]] = {}
        self.elaborator = Elaborator(unit, diagnostics)
        self.headers = Headers(self.elaborator)

    def run(self, parsed: Parsed) -> dict[str, Loss]:
        """The losses that are right, with their laws and examples."""
        Importer(self.unit, self.diagnostics).resolve(self.unit, parsed.definitions)
        own = self._functions(parsed)
        losses = {f.name: loss for f in own if f.is_loss and (loss := self._loss(f)) is not None}
        claims = Claims(self.elaborator, self.headers)
        laws: dict[str, list[Law]] = {}
        examples: dict[str, list[Example]] = {}
        for node in parsed.definitions:
            if node.data == "law":
                self._law(claims, node, laws)
            elif node.data == "example" and (example := claims.example(node)) is not None:
                examples.setdefault(example.loss, []).append(example)
        self._unused_defs(own)
        return {
            name: replace(loss, laws=tuple(laws.get(name, ())), examples=tuple(examples.get(name, ())))
            for name, loss in losses.items()
        }

    def _functions(self, parsed: Parsed) -> list[Function]:
        """The functions of the file, in the order of the text, of equal names the first."""
        for function in functions_of(self.unit, parsed.definitions):
            name = function.node.children[0]
            assert isinstance(name, Token)
            if name in self.unit.functions:
                self.elaborator.say("defined-twice", f"{name} is defined twice", name)
                continue
            self.unit.functions[function.name] = function
            if not function.is_loss:
                self._check_arguments(function)
        return list(self.unit.functions.values())

    def _check_arguments(self, function: Function) -> None:
        for place, argument in enumerate(function.names):
            self.elaborator.reserve(argument)
            if argument in function.names[:place]:
                self.elaborator.say("declared-twice", f"{argument} is declared twice", argument)

    def _law(self, claims: Claims, node: Node, laws: dict[str, list[Law]]) -> None:
        law = claims.law(node)
        if law is None:
            return
        about, label = str(node.children[0]), node.children[1]
        assert isinstance(label, Token)
        if any(other.name == law.name for other in laws.get(about, [])):
            self.elaborator.say("defined-twice", f"{law.name} is defined twice", label)
        laws.setdefault(about, []).append(law)

    def _loss(self, function: Function) -> Loss | None:
        name, _, _, _, per_tree = function.node.children
        assert isinstance(name, Token)
        if not function.names:
            hint = f"for example: loss {name}(z: real[C], t: class[C]) = ..."
            self.elaborator.say("no-inputs", f"{name} has no inputs", name, hint)
            return None
        before = len(self.errors())
        self.elaborator.places = {}  # an expression that two losses share stands in each of them
        scope = Names(self.headers.scope(function))
        expr = self.elaborator.expression(function.body, scope)
        per = self._per(per_tree, scope)
        if expr is not BROKEN:
            self._check_body(expr, function)
        if function.header is None or expr is BROKEN or per is BROKEN or len(self.errors()) > before:
            return None
        source = self.unit.source
        loss = Loss(
            function.name, function.header.inputs, function.header.params, expr,
            written_with_doc(source, function.node), doc_above(source, function.node), source, span_of(name), per,
        )  # fmt: skip
        self._unread(function, scope)
        self.places[loss.name] = self.elaborator.places
        return loss

    def errors(self) -> list[Diagnostic]:
        return [d for d in self.diagnostics if d.severity == ERROR]

    def _per(self, tree: object, scope: Names) -> Expr | None:
        if not isinstance(tree, Tree):
            return None
        (body,) = tree.children
        per = self.elaborator.expression(body, scope)
        if per is not BROKEN and (per.type.kind != "real" or per.type.per_class):
            hint = "reduce it with sum or mean" if per.type.per_class else None
            self.elaborator.say(
                "per-type", f"what stands after per is {per.type}; it is one number per sample", body, hint
            )
            return BROKEN
        return per

    def _check_body(self, expr: Expr, function: Function) -> None:
        say, tree = self.elaborator.say, function.body
        if expr.type.kind != "real":
            hint = "write: if condition then 1 else 0" if expr.type.kind == "bool" else None
            say("body-kind", f"the body has type {expr.type}; a loss is a real number", tree, hint)
        elif expr.type.per_class:
            message = f"the body has type {expr.type}; a loss is one number per sample"
            classes = [v.name for v in (function.header.inputs if function.header else ()) if v.type.kind == "class"]
            entry = f", or take the entry of a class: (...)[{classes[0]}]" if classes else ""
            say("body-per-class", message, tree, f"reduce it with sum or mean{entry}")
        nodes = sum(1 for _ in walk((expr,)))
        if nodes > MAX_NODES:
            say("too-many-nodes", f"the loss has {nodes} nodes; the limit is {MAX_NODES}", tree)

    def _unread(self, function: Function, scope: Names) -> None:
        """Warns of inputs and parameters that the body does not mention."""
        for declared in (function.node.children[1], function.node.children[2]):
            for child in declared.children if isinstance(declared, Tree) else ():
                if isinstance(child, Tree) and isinstance(name := child.children[0], Token):
                    kind = "input" if child.data == "input" else "parameter"
                    self.elaborator.check_read(name, scope, f"unused-{kind}", f"{function.name} does not use {name}")

    def _unused_defs(self, own: list[Function]) -> None:
        """Checks the names in defs that nothing calls: their types are not known, and all the rest is."""
        for function in own:
            if not function.is_loss and function not in self.elaborator.used:
                scope = Names({str(name): BROKEN for name in function.names})
                self.elaborator.expression(function.body, scope)
                for name in function.names:
                    message = f"{function.name} does not use its argument {name}"
                    self.elaborator.check_read(name, scope, "unused-argument", message)


__all__ = ["MAX_NODES", "Module", "check", "in_order", "losses_of"]

"""Parse tree to typed expressions: names are looked up, definitions inlined, types checked."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from lark import Token, Tree

from glo_dsl.errors import GloError, Source, did_you_mean
from glo_dsl.ir.expr import CLASSES, Const, Expr, apply, const, hole, truth
from glo_dsl.ir.ops import count
from glo_dsl.ir.table import FUNCTIONS, OPS, function
from glo_dsl.lang.syntax import Node, parse, span_of
from glo_dsl.lang.trampoline import Steps, run

CONSTANTS: dict[str, Expr] = {"pi": const(math.pi), "inf": const(math.inf), "nan": const(math.nan), "C": CLASSES}

MAX_TERMS = 200_000
"""Terms that one file may expand to, those of definitions counted for every distinct call."""

Scope = Mapping[str, Expr]
Names = dict[str, Expr]
"""The names in scope. A `let` adds to it and takes back what it added: thousands nested must not copy it."""


@dataclass(frozen=True, slots=True)
class Def:
    """A function of the file: its parameters and the tree of its body."""

    name: str
    names: tuple[str, ...]
    body: Node | Token


@dataclass
class Elaborator:
    """Turns trees of one source into expressions.

    A call of a definition is expanded once per distinct arguments, so that nested definitions cost what their
    results hold, not what their text unrolls to.
    """

    source: Source
    defs: dict[str, Def] = field(default_factory=dict)
    _expanded: dict[tuple[object, ...], Expr] = field(default_factory=dict)
    _expanding: list[str] = field(default_factory=list)
    _terms: int = 0

    def expression(self, tree: Node | Token, scope: Scope) -> Expr:
        """The expression that `tree` means where `scope` names the local values.

        Raises:
            GloError: an unknown name, a wrong number of arguments, kinds or axes that do not fit.
        """
        return run(self._expr(tree, dict(scope)))

    def _expr(self, tree: Node | Token, scope: Names) -> Steps[Expr]:
        self._terms += 1
        if self._terms > MAX_TERMS:
            raise self._fail(f"the file expands to more than {MAX_TERMS} terms", tree)
        if isinstance(tree, Token):
            return self._name(tree, scope)
        special: Callable[[Node, Names], Steps[Expr]] | None = getattr(self, f"_{tree.data}_tree", None)
        if special is not None:
            meaning: Expr = yield special(tree, scope)
            return meaning
        args = []
        for child in tree.children:
            args.append((yield self._expr(child, scope)))
        return self._apply(tree.data, args, tree)

    def _apply(self, name: str, args: list[Expr], tree: Node) -> Expr:
        try:
            return apply(OPS[name], *args)
        except GloError as error:
            raise error.at(span_of(tree), self.source) from None

    def _fail(self, message: str, where: Node | Token, hint: str | None = None) -> GloError:
        return GloError(message, span_of(where), hint, self.source)

    def _name(self, token: Token, scope: Names) -> Expr:
        found = scope.get(str(token), CONSTANTS.get(str(token)))
        if found is not None:
            return found
        if str(token) in self.defs or str(token) in FUNCTIONS:
            raise self._fail(f"{token} is a function", token, f"call it: {token}(...)")
        hint = did_you_mean(str(token), [*scope, *CONSTANTS])
        if hint is None and 0 < len(scope) <= 8:
            hint = f"the names here are {', '.join(scope)}"
        raise self._fail(f"unknown name {token}", token, hint)

    # One method for each tree that is more than an operator applied to its children.

    def _name_tree(self, tree: Node, scope: Names) -> Steps[Expr]:
        return self._name(_token(tree, 0), scope)
        yield

    def _number_tree(self, tree: Node, scope: Names) -> Steps[Expr]:
        value = float(_token(tree, 0))
        if math.isinf(value):
            raise self._fail(f"{_token(tree, 0)} is too large for a float64", tree)
        return const(value)
        yield

    def _true_tree(self, tree: Node, scope: Names) -> Steps[Expr]:
        return truth(True)
        yield

    def _false_tree(self, tree: Node, scope: Names) -> Steps[Expr]:
        return truth(False)
        yield

    def _group_tree(self, tree: Node, scope: Names) -> Steps[Expr]:
        inside: Expr = yield self._expr(tree.children[0], scope)
        return inside

    def _neg_tree(self, tree: Node, scope: Names) -> Steps[Expr]:
        body = tree.children[0]
        value: Expr = yield self._expr(body, scope)
        literal = isinstance(body, Tree) and (body.data == "number" or _is_infinity(body))
        if literal and isinstance(value, Const):  # a minus directly before a number belongs to the number
            return const(-value.value)
        return self._apply("neg", [value], tree)

    def _let_tree(self, tree: Node, scope: Names) -> Steps[Expr]:
        hidden: list[tuple[str, Expr | None]] = []
        for binding in tree.children[:-1]:
            assert isinstance(binding, Tree)
            name = _token(binding, 0)
            self.reserve(name)
            value: Expr = yield self._expr(binding.children[1], scope)
            hidden.append((str(name), scope.get(str(name))))
            scope[str(name)] = value
        body: Expr = yield self._expr(tree.children[-1], scope)
        for word, before in reversed(hidden):
            if before is None:
                del scope[word]
            else:
                scope[word] = before
        return body

    def _hole_tree(self, tree: Node, scope: Names) -> Steps[Expr]:
        args: list[Expr] = yield self._arguments(tree.children[1], scope)
        for place, arg in enumerate(args):
            if arg.type.kind != "real":
                raise self._fail(f"term {place + 1} of the hole must be a real number, got {arg.type}", tree)
        return hole(str(tree.children[0]), tuple(args))

    def _call_tree(self, tree: Node, scope: Names) -> Steps[Expr]:
        name = _token(tree, 0)
        args: list[Expr] = yield self._arguments(tree.children[1], scope)
        if str(name) in self.defs:
            expanded: Expr = yield self._expand(self.defs[str(name)], args, tree)
            return expanded
        if str(name) in scope:
            raise self._fail(f"{name} is a value, not a function", name, f"multiplication is written {name} * (...)")
        try:
            return apply(function(str(name), len(args)), *args)
        except GloError as error:
            unknown = error.message.startswith("no function")
            error.hint = error.hint or (did_you_mean(str(name), [*FUNCTIONS, *self.defs]) if unknown else None)
            raise error.at(span_of(name if unknown else tree), self.source) from None

    def _arguments(self, tree: Node | Token | None, scope: Names) -> Steps[list[Expr]]:
        args: list[Expr] = []
        for child in tree.children if isinstance(tree, Tree) else ():
            if child is not None:
                args.append((yield self._expr(child, scope)))
        return args

    def _expand(self, definition: Def, args: list[Expr], tree: Node) -> Steps[Expr]:
        if len(args) != len(definition.names):
            wanted = count(len(definition.names), "argument")
            raise self._fail(f"{definition.name} takes {wanted}, got {len(args)}", tree)
        if definition.name in self._expanding:
            raise self._fail(f"{definition.name} is defined by itself", tree, "a def cannot be recursive")
        key = (definition.name, *args)
        if key not in self._expanded:
            self._expanding.append(definition.name)
            scope = dict(zip(definition.names, args, strict=True))
            self._expanded[key] = yield self._expr(definition.body, scope)
            self._expanding.pop()
        return self._expanded[key]

    def reserve(self, name: Token) -> None:
        """Refuses a name that would hide a constant of the language."""
        if str(name) in CONSTANTS:
            raise self._fail(f"{name} has a fixed meaning here", name, "choose another name")


def _is_infinity(tree: Node) -> bool:
    return tree.data == "name" and str(tree.children[0]) in ("inf",)


def _token(tree: Node, place: int) -> Token:
    token = tree.children[place]
    assert isinstance(token, Token)
    return token


def parse_expression(text: str, scope: Scope, name: str = "<expression>") -> Expr:
    """The expression that `text` means where `scope` names the values.

    Raises:
        GloError: the text is not an expression, or does not type-check.

    >>> from glo_dsl.ir.expr import var
    >>> from glo_dsl.ir.types import REAL
    >>> x = var("x", REAL)
    >>> parse_expression("x + 1", {"x": x}) is parse_expression("(x)+1 # same", {"x": x})
    True
    """
    source = Source(text, name)
    return Elaborator(source).expression(parse(source, "expr"), scope)

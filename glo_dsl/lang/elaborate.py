"""What a call means: functions put in place, and the whole of an expression with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from lark import Token

from glo_dsl.errors import GloError, Source, did_you_mean
from glo_dsl.ir.expr import Const, Expr, Var, const
from glo_dsl.ir.ops import count
from glo_dsl.ir.table import FUNCTIONS, function
from glo_dsl.lang.syntax import Node, parse
from glo_dsl.lang.terms import BROKEN, CONSTANTS, FOREIGN, MAX_TERMS, Names, Place, Scope, Terms, token_at
from glo_dsl.lang.trampoline import Steps
from glo_dsl.lang.unit import Function, Header, Unit, trees
from glo_dsl.lang.zoo_files import zoo_index


@dataclass
class Elaborator(Terms):
    """Turns trees of one file into expressions.

    A call of a function is expanded once per distinct arguments, so that nested functions cost what their results
    hold, not what their text unrolls to.

    Attributes:
        header_of: declares the inputs and parameters of a loss that is called.
        given: what a parameter of a loss is in calls that do not set it; its default, if it is not here.
        used: functions that were called.
    """

    header_of: Callable[[Function], Header | None] = lambda _: None
    given: dict[tuple[Function, str], Expr] = field(default_factory=dict)
    used: set[Function] = field(default_factory=set)
    _expanded: dict[tuple[object, ...], Expr] = field(default_factory=dict)
    _expanding: list[Function] = field(default_factory=list)

    def _call_tree(self, tree: Node, scope: Names) -> Steps[Expr]:
        name = token_at(tree, 0)
        args: list[Expr] = yield self._arguments(tree.children[1], scope)
        settings: dict[Token, Expr] = {}
        for setting in trees(tree.children[2]):
            label = token_at(setting, 0)
            if label in settings:
                self.say("set-twice", f"{label} is set twice", label)
            settings[label] = yield self._expr(setting.children[1], scope)
        called = self._function(name, name)
        if called is None and name in scope:
            message = f"{name} is a value, not a function"
            return self.say("value-as-function", message, name, f"multiplication is written {name} * (...)")
        if settings and (called is None or not called.is_loss) and not self._here.is_lost(name):
            hint = "pass it like any argument; only losses have parameters after ;"
            return self.say("settings-without-loss", f"{name} has no parameters", tree, hint)
        if called is not None:
            expanded: Expr = yield self._expand(called, args, settings, tree)
            return expanded
        return self._operator(name, args, tree)

    def _operator(self, name: Token, args: list[Expr], tree: Node) -> Expr:
        try:
            op = function(str(name), len(args))
        except GloError as error:
            if error.code != "unknown-function":
                return self.say(error.code, error.message, tree, error.hint)
            if self._here.is_lost(name):
                return BROKEN
            return self.say(error.code, error.message, name, self._near(name))
        return self._apply(op.name, args, tree)

    def _near(self, name: Token) -> str | None:
        """What a word that calls nothing may have been meant for."""
        if name in zoo_index():
            return f"import std brings the loss {name}"
        return FOREIGN.get(name) or did_you_mean(name, [*FUNCTIONS, *self._here.words()])

    def _expand(self, called: Function, args: list[Expr], settings: dict[Token, Expr], tree: Node) -> Steps[Expr]:
        self.used.add(called)
        if called in self._expanding:
            return self.say("recursion", f"{called.name} is defined by itself", tree, "a function cannot be recursive")
        scope = self._bound(called, args, settings, tree)
        if scope is None:
            return BROKEN
        key = (called, *scope.values())
        if key not in self._expanded:
            before = self._current, self._site
            self._current = called.home
            if called.home is not self.unit and self._site is None:
                self._site = (called, tree)
            self._expanding.append(called)
            self._expanded[key] = yield self._expr(called.body, scope)
            self._expanding.pop()
            for name in called.names if not called.is_loss else ():
                self.check_read(name, scope, "unused-argument", f"{called.name} does not use its argument {name}")
            self._current, self._site = before
        return self._expanded[key]

    def _bound(self, called: Function, args: list[Expr], settings: dict[Token, Expr], tree: Node) -> Names | None:
        """The scope of a function's body in a call, or None where the call is wrong."""
        if len(args) != len(called.names):
            wanted = count(len(called.names), "argument")
            hint = f"it is declared {called.name}({', '.join(called.names)})"
            self.say("argument-count", f"{called.name} takes {wanted}, got {len(args)}", tree, hint)
            return None
        scope = Names(dict(zip(map(str, called.names), args, strict=True)))
        if not called.is_loss:
            return scope
        header = called.header or self.header_of(called)
        if header is None or BROKEN in args:
            return None
        wrong = [v for v, arg in zip(header.inputs, args, strict=True) if not self._fits(called, v, arg, tree)]
        values = self._settings(called, header, settings)
        if wrong or values is None:
            return None
        scope.update(values)
        return scope

    def _fits(self, called: Function, declared: Var, arg: Expr, tree: Node) -> bool:
        """Whether an argument may stand for an input; a row may stand for a number: the loss is taken per class."""
        if arg.type.kind == declared.type.kind and (arg.type.per_class or not declared.type.per_class):
            return True
        message = f"{declared.name} of {called.name} must be {declared.type}, got {arg.type}"
        hint = "onehot(t) turns a class index into a row of 0 and 1" if arg.type.kind == "class" else None
        self.say("loss-argument", message, tree, hint)
        return False

    def _settings(self, called: Function, header: Header, settings: dict[Token, Expr]) -> dict[str, Expr] | None:
        values: dict[str, Expr] = {
            p.name: self.given.get((called, p.name), const(p.default)) for p in header.params
        }  # fmt: skip
        domains = {p.name: p.var.domain for p in header.params}
        right = True
        for label, value in settings.items():
            if label not in values:
                hint = did_you_mean(label, values)
                hint = hint or (f"its parameters are {', '.join(values)}" if values else "it has no parameters")
                self.say("unknown-parameter", f"{called.name} has no parameter {label}", label, hint)
                right = False
            elif value is BROKEN:
                right = False
            elif value.type.kind != "real" or value.type.per_class:
                self.say("parameter-type", f"{label} must be one number, got {value.type}", label)
                right = False
            elif isinstance(value, Const) and not domains[label].contains(value.value):
                message = f"{value.value:g} is outside {domains[label]}, the bounds of {label}"
                self.say("setting-outside", message, label)
                right = False
            values[str(label)] = value
        return values if right else None


def parse_expression(text: str, scope: Scope, name: str = "<expression>") -> Expr:
    """The expression that `text` means where `scope` names the values. Operators only: no prelude.

    Raises:
        GloError: the text is not an expression, or does not type-check.

    >>> from glo_dsl.ir.expr import var
    >>> from glo_dsl.ir.types import REAL
    >>> x = var("x", REAL)
    >>> parse_expression("x + 1", {"x": x}) is parse_expression("(x)+1 # same", {"x": x})
    True
    """
    source = Source(text, name)
    return Elaborator(Unit(source)).expression(parse(source, "expr"), scope)


__all__ = [
    "BROKEN", "CONSTANTS", "MAX_TERMS", "Elaborator", "Names", "Place", "Scope", "parse_expression", "token_at",
]  # fmt: skip

"""Parse tree to typed expressions, all but calls: names are looked up, operators applied, types checked."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from lark import Token, Tree

from glo_dsl.errors import WARNING, Diagnostic, GloError, Source, Span, did_you_mean
from glo_dsl.ir.expr import CLASSES, Const, Expr, apply, const, hole, truth, var
from glo_dsl.ir.table import FUNCTIONS, OPS
from glo_dsl.ir.types import make_type
from glo_dsl.lang.syntax import Node, span_of
from glo_dsl.lang.trampoline import Steps, run
from glo_dsl.lang.unit import Function, Unit

CONSTANTS: dict[str, Expr] = {"pi": const(math.pi), "inf": const(math.inf), "nan": const(math.nan), "C": CLASSES}

BROKEN = var("@broken", make_type("broken", frozenset()))
"""Stands for what could not be understood; whatever is made of it is broken too, and nothing more is said."""

FOREIGN = {
    "ln": "the natural logarithm is log(x)", "e": "e to the power of x is exp(x)", "E": "e to the power of x is exp(x)",
    "pow": "a power is written a ^ b", "clip": "it is called clamp(x, low, high)", "maximum": "it is called max(a, b)",
    "minimum": "it is called min(a, b)", "where": "a choice is written: if condition then value else value",
    "argmax": "it has no gradient; max(z) is the largest entry", "dim": "there is one class axis, and no dim",
    "cross": "see dot(a, b), and -sum(q * log_softmax(z))", "nll": "write -log_softmax(z)[t]",
    "N": "a loss is written for one sample: batches are the caller's", "True": "write: true", "False": "write: false",
}  # fmt: skip
"""Words from elsewhere that people try, and what to write here."""

MAX_TERMS = 200_000
"""Terms that one file may expand to, those of functions counted for every distinct call."""

Scope = Mapping[str, Expr]
Place = tuple[Source, Span]


class Names(dict[str, Expr]):
    """The names in scope, and which of them were read.

    A `let` adds to it and takes back what it added: thousands nested must not copy it.
    """

    def __init__(self, names: Scope) -> None:
        super().__init__(names)
        self.read: set[str] = set()


@dataclass
class Terms:
    """Turns trees of one file into expressions; what a call means is added by `Elaborator`.

    Attributes:
        unit: the file.
        diagnostics: collects what is wrong; None has the first error raised.
        places: where in this file each expression was first written.
    """

    unit: Unit
    diagnostics: list[Diagnostic] | None = None
    places: dict[Expr, Place] = field(default_factory=dict)
    _current: Unit | None = None
    _site: tuple[Function, Node] | None = None
    _terms: int = 0

    def expression(self, tree: Node | Token, scope: Scope) -> Expr:
        """The expression that `tree` means where `scope` names the local values, or BROKEN.

        Raises:
            GloError: where errors are not collected: an unknown name, a wrong number of arguments, kinds or axes
            that do not fit.
        """
        return run(self._expr(tree, scope if isinstance(scope, Names) else Names(scope)))

    def say(
        self, code: str, message: str, where: Node | Token, hint: str | None = None, severity: str = "error"
    ) -> Expr:
        """Reports something about a place and gives what stands for it; inside foreign files the place is the call."""
        source, span = self._place(where)
        if self._site is not None:
            message = f"in {self._site[0].name}: {message}"
        found = Diagnostic(message, span, hint, source, code, severity)
        if self.diagnostics is None:
            if severity == WARNING:
                return BROKEN
            raise GloError.of([found])
        self.diagnostics.append(found)
        return BROKEN

    def _place(self, where: Node | Token) -> Place:
        return self.unit.source, span_of(where if self._site is None else self._site[1])

    def note(self, tree: Node | Token, meaning: Expr) -> None:
        """Called with every tree once it is understood, inside functions for every distinct call."""
        if meaning not in self.places:
            self.places[meaning] = self._place(tree)

    def _expr(self, tree: Node | Token, scope: Names) -> Steps[Expr]:
        leaf = self._leaf(tree, scope)
        if leaf is not None or isinstance(tree, Token):
            return leaf or BROKEN
        self._count(tree)
        special: Callable[[Node, Names], Steps[Expr]] | None = getattr(self, f"_{tree.data}_tree", None)
        if special is not None:
            meaning: Expr = yield special(tree, scope)
        else:
            args = yield self._values(tree.children, scope)
            meaning = self._apply(tree.data, args, tree)
        self.note(tree, meaning)
        return meaning

    def _values(self, trees: Iterable[Node | Token], scope: Names) -> Steps[list[Expr]]:
        """What several trees mean; most are names and numbers, which need no steps."""
        found: list[Expr] = []
        for tree in trees:
            leaf = self._leaf(tree, scope)
            found.append((yield self._expr(tree, scope)) if leaf is None else leaf)
        return found

    def _leaf(self, tree: Node | Token, scope: Names) -> Expr | None:
        """What a name or number means; None for any other tree."""
        if isinstance(tree, Token):
            meaning = self._name(tree, scope)
        elif tree.data == "name":
            meaning = self._name(token_at(tree, 0), scope)
        elif tree.data == "number":
            meaning = self._number(tree)
        else:
            return None
        self._count(tree)
        self.note(tree, meaning)
        return meaning

    def _count(self, tree: Node | Token) -> None:
        self._terms += 1
        if self._terms > MAX_TERMS:
            message = f"the file expands to more than {MAX_TERMS} terms"
            source, span = self._place(tree)
            raise GloError(message, span, source=source, code="too-many-terms")

    def _number(self, tree: Node) -> Expr:
        value = float(token_at(tree, 0))
        if math.isinf(value):
            return self.say("number-too-large", f"{token_at(tree, 0)} is too large for a float64", tree)
        return const(value)

    def _apply(self, name: str, args: list[Expr], tree: Node) -> Expr:
        if BROKEN in args:
            return BROKEN
        try:
            return apply(OPS[name], *args)
        except GloError as error:
            return self.say(error.code, error.message, tree, error.hint)

    def _name(self, token: Token, scope: Names) -> Expr:
        word = str(token)  # a Token compares slowly
        found = scope.get(word, CONSTANTS.get(word))
        if found is not None:
            scope.read.add(word)
            return found
        if token in FUNCTIONS or self._function(token, token) is not None:
            near = did_you_mean(token, scope)
            call = f"call it: {token}(...)" + (f"; {near}" if near else "")
            return self.say("function-as-value", f"{token} is a function", token, call)
        if self._here.is_lost(token):
            return BROKEN
        hint = FOREIGN.get(token) or did_you_mean(token, [*scope, *CONSTANTS])
        if hint is None and 0 < len(scope) <= 8:
            hint = f"the names here are {', '.join(scope)}"
        return self.say("unknown-name", f"unknown name {token}", token, hint)

    # One method for each tree that is more than an operator applied to its children.

    def _true_tree(self, tree: Node, scope: Names) -> Steps[Expr]:
        return truth(True)
        yield

    def _false_tree(self, tree: Node, scope: Names) -> Steps[Expr]:
        return truth(False)
        yield

    def _row_tree(self, tree: Node, scope: Names) -> Steps[Expr]:
        hint = "a row is an input, such as z: real[C], or w: shared real[C] for class weights"
        return self.say("row-literal", "a list of numbers may stand in an example only", tree, hint)
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
        hidden: list[tuple[Token, Expr | None, bool]] = []
        for binding in tree.children[:-1]:
            assert isinstance(binding, Tree)
            name = token_at(binding, 0)
            self.reserve(name)
            value: Expr = yield self._expr(binding.children[1], scope)
            hidden.append((name, scope.get(str(name)), str(name) in scope.read))
            scope[str(name)] = value
            scope.read.discard(str(name))
        body: Expr = yield self._expr(tree.children[-1], scope)
        for name, before, read in reversed(hidden):
            self.check_read(name, scope, "unused-let", f"{name} is never used")
            if read:
                scope.read.add(str(name))
            if before is None:
                del scope[str(name)]
            else:
                scope[str(name)] = before
        return body

    def _hole_tree(self, tree: Node, scope: Names) -> Steps[Expr]:
        args: list[Expr] = yield self._arguments(tree.children[1], scope)
        if BROKEN in args:
            return BROKEN
        for place, arg in enumerate(args):
            if arg.type.kind != "real":
                message = f"term {place + 1} of the hole must be a real number, got {arg.type}"
                return self.say("hole-term", message, tree)
        return hole(str(tree.children[0]), tuple(args))

    def _arguments(self, tree: Node | Token | None, scope: Names) -> Steps[list[Expr]]:
        present = [child for child in tree.children if child is not None] if isinstance(tree, Tree) else []
        args: list[Expr] = yield self._values(present, scope)
        return args

    @property
    def _here(self) -> Unit:
        """The file whose names are in force: inside a function, the one that it stands in."""
        return self._current or self.unit

    def _function(self, name: Token, where: Node | Token) -> Function | None:
        """What a word calls: the file's own functions first, then imported ones; the prelude only adds words."""
        unit, word = self._here, str(name)
        if word in unit.functions:
            return unit.functions[word]
        found = unit.imported(word)
        if len(found) > 1:
            files = " and ".join(entry.label for entry in unit.imports if entry.find(word))
            self.say("ambiguous-import", f"{word} comes from {files}", where, "define it here, or import one of them")
        if found:
            return found[0]
        return unit.prelude.functions.get(word) if unit.prelude and word not in FUNCTIONS else None

    def reserve(self, name: Token) -> None:
        """Refuses a name that would hide a constant of the language."""
        if str(name) in CONSTANTS:
            self.say("reserved-name", f"{name} has a fixed meaning here", name, "choose another name")

    def check_read(self, name: Token, scope: Names, code: str, message: str) -> None:
        """Warns of a name that nothing reads."""
        if str(name) not in scope.read and self._here is self.unit and not name.startswith("_"):
            self.say(code, message, name, "leave it out, or begin its name with _", WARNING)


def _is_infinity(tree: Node) -> bool:
    return tree.data == "name" and str(tree.children[0]) == "inf"


def token_at(tree: Node, place: int) -> Token:
    """A child that is a token."""
    token = tree.children[place]
    assert isinstance(token, Token)
    return token

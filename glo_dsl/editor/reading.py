"""What stands at a place of a text means: its expression, and the loss that it is part of."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property

from lark import Token, Tree

from glo_dsl.editor.library import Library, parsed
from glo_dsl.editor.outline import Definition
from glo_dsl.editor.recorder import Call, Recorder
from glo_dsl.editor.words import Word
from glo_dsl.errors import GloError, Source
from glo_dsl.ir.expr import Expr
from glo_dsl.lang.claims import Claims
from glo_dsl.lang.headers import Headers
from glo_dsl.lang.imports import prelude
from glo_dsl.lang.syntax import Node
from glo_dsl.lang.unit import Function, Unit, functions_of


@dataclass(frozen=True, slots=True)
class Meaning:
    """An expression at a place.

    Attributes:
        start, end: the text that it is written as.
        loss: the name and the value of the loss that it is part of; None in laws, examples and defaults.
        line: in a def the line of the call that its types come from; None elsewhere.
    """

    expr: Expr
    start: int
    end: int
    loss: tuple[str, Expr] | None
    line: int | None


@dataclass(eq=False)
class Reading:
    """Reads the definitions of a text, each on its own and when it is asked for, so that errors stay where they are."""

    library: Library
    _recorders: dict[Definition, Recorder] = field(default_factory=dict)

    @cached_property
    def _unit(self) -> Unit:
        unit = Unit(Source(self.library.text), self.library.path, imports=self.library.imports.imports)
        unit.prelude = prelude()
        return unit

    @cached_property
    def _nodes(self) -> dict[Definition, Node]:
        """The definitions that can be parsed."""
        text = self.library.text
        found = ((d, parsed(text[d.start : d.end])) for d in self.library.outline.definitions)
        return {definition: nodes[0] for definition, nodes in found if len(nodes) == 1}

    @cached_property
    def _functions(self) -> dict[Definition, Function]:
        """The functions of the text; of equal names the first is known to the unit."""
        found: dict[Definition, Function] = {}
        for definition, node in self._nodes.items():
            for function in functions_of(self._unit, (node,)):
                found[definition] = function
                self._unit.functions.setdefault(function.name, function)
        return found

    def at(self, offset: int) -> Meaning | None:
        """The innermost expression at a place that could be understood."""
        definition = self.library.outline.at(offset)
        node = self._nodes.get(definition) if definition is not None else None
        if definition is None or node is None:
            return None
        known = (self._meaning(definition, tree) for tree in reversed(_path(node, offset - definition.start)))
        return next((meaning for meaning in known if meaning is not None), None)

    def of_word(self, word: Word) -> Meaning | None:
        """What a name means at its place, if it is an expression."""
        found = self.at(word.start)
        return found if found is not None and (found.start, found.end) == (word.start, word.end) else None

    def bound(self, word: Word) -> Meaning | None:
        """The value of a name where `let` gives it one."""
        definition = self.library.outline.at(word.start)
        node = self._nodes.get(definition) if definition is not None else None
        if definition is None or node is None:
            return None
        place = word.start - definition.start
        trees = [tree for tree in _path(node, place) if isinstance(tree, Tree) and tree.data == "binding"]
        binding = next((tree for tree in trees if _bounds(tree)[0] == place), None)
        return self._meaning(definition, binding.children[1]) if binding is not None else None

    def _meaning(self, definition: Definition, tree: Node | Token) -> Meaning | None:
        root, recorder = self._read(definition)
        record = recorder.records.get(id(tree))
        if record is None:
            return None
        while isinstance(tree, Tree) and tree.data == "group":
            (tree,) = tree.children
        start, end = (definition.start + place for place in _bounds(tree))
        return Meaning(record.expr, start, end, self._loss(root, recorder), self._line(root, record.call))

    def _read(self, definition: Definition) -> tuple[Definition, Recorder]:
        """The recorder that knows a definition, and the one whose reading led there."""
        function = self._functions.get(definition)
        if definition.kind == "def" and function is not None:
            for root in self._nodes:
                if root.kind != "def" and id(function.body) in self._recorder(root).records:
                    return root, self._recorder(root)
        return definition, self._recorder(definition)

    def _recorder(self, definition: Definition) -> Recorder:
        if definition not in self._recorders:
            recorder = self._recorders[definition] = Recorder(self._unit, [])
            with suppress(GloError):  # it is too large; what was read up to there is known
                self._elaborate(recorder, definition)
        return self._recorders[definition]

    def _elaborate(self, recorder: Recorder, definition: Definition) -> None:
        headers = Headers(recorder)
        function, node = self._functions.get(definition), self._nodes[definition]
        if function is not None and function.is_loss:
            scope = headers.scope(function)
            recorder.expression(function.body, scope)
            if isinstance(per := function.node.children[4], Tree):
                recorder.expression(per.children[0], scope)
        elif definition.kind == "law":
            Claims(recorder, headers).law(node)
        elif definition.kind == "example":
            Claims(recorder, headers).example(node)

    def _loss(self, root: Definition, recorder: Recorder) -> tuple[str, Expr] | None:
        function = self._functions.get(root)
        body = recorder.records.get(id(function.body)) if function is not None and function.is_loss else None
        return (function.name, body.expr) if function is not None and body is not None else None

    def _line(self, root: Definition, call: Call | None) -> int | None:
        if call is None:
            return None
        home = root if call.caller is None else self._homes.get(call.caller)
        if home is None:
            return None
        return self.library.text.count("\n", 0, home.start + _bounds(call.tree)[0]) + 1

    @cached_property
    def _homes(self) -> dict[Function, Definition]:
        return {function: definition for definition, function in self._functions.items()}


def _bounds(tree: Node | Token | None) -> tuple[int, int]:
    """Where a tree or token begins and ends; nowhere for what is not there."""
    if isinstance(tree, Token):
        return tree.start_pos or 0, tree.end_pos or 0
    return (-1, -1) if tree is None or tree.meta.empty else (tree.meta.start_pos, tree.meta.end_pos)


def _path(node: Node, offset: int) -> list[Node | Token]:
    """The trees that hold a place, the outermost first."""
    path: list[Node | Token] = [node]
    while isinstance(path[-1], Tree):
        below = [child for child in path[-1].children if child is not None]
        inside = [child for child in below if _bounds(child)[0] <= offset < _bounds(child)[1]]
        if not inside:
            break
        path.append(inside[0])
    return path

"""Text to parse trees. No names and no types yet."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedInput

from glo_dsl.errors import Diagnostic, GloError, Source, Span
from glo_dsl.lang.lalr import TableParser
from glo_dsl.lang.syntax_errors import BRACKETS, DEFINITIONS, KEYWORDS, complaint, span_at

Node = Tree[Token]

MAX_TEXT = 300_000
"""Longest text in characters; a larger one is no loss but an attack or an accident."""

MAX_NESTING = 200
"""Deepest nesting of brackets."""

MAX_ERRORS = 50
"""Errors after which a text is not read further."""

_STARTS = re.compile(rf'#[^\n]*|"[^"\n]*"|\b(?:{"|".join(DEFINITIONS)})\b')
_DEFINED = re.compile(r"\s*(?:loss|def)\s+(\w+)")


@cache
def _parser() -> Lark:
    """For whole files (`start`) and single expressions (`expr`): the tables of both are found at once."""
    options = {"propagate_positions": True, "maybe_placeholders": True}
    return Lark(grammar("glo.lark"), parser="lalr", lexer="basic", start=["start", "expr"], **options)


@cache
def _table_parser(start: str) -> TableParser:
    return TableParser(_parser(), start)


def _tree(text: str, start: str) -> Node:
    """The tree of a text.

    Raises:
        UnexpectedInput: it is not in the language.
    """
    tree = _table_parser(start).parse(text)
    return _parser().parse(text, start) if tree is None else tree


@cache
def grammar(name: str) -> str:
    """A file of the grammar folder: beside this package in a wheel, in `grammar/` in a checkout."""
    packaged = resources.files("glo_dsl") / name
    if packaged.is_file():
        return packaged.read_text(encoding="utf-8")
    return (Path(__file__).parents[2] / "grammar" / name).read_text(encoding="utf-8")


def parse(source: Source, start: str = "start") -> Node:
    """The parse tree of a whole file (`start`) or of one expression (`expr`).

    Neither deep nesting nor length exhausts the stack: the parser keeps its own, and limits answer first.

    Raises:
        GloError: the text is not a `.glo` text.
    """
    _check_limits(source)
    try:
        tree = _tree(source.text, start)
    except UnexpectedInput as error:
        raise GloError.of([complaint(source, error)]) from None
    return tree if isinstance(tree, Tree) else Tree("name", [tree])


@dataclass(frozen=True, slots=True)
class Parsed:
    """The definitions of a file that could be read, what was wrong with the others, and the names of those."""

    definitions: tuple[Node, ...]
    errors: tuple[Diagnostic, ...] = ()
    lost: frozenset[str] = frozenset()


def parse_file(source: Source) -> Parsed:
    """Every definition of a file that can be read: an error costs the definition it stands in, and no other.

    >>> [e.message for e in parse_file(Source("loss f(x: real) = x x  loss g(x: real) = x  loss h(x) = x")).errors]
    ["unexpected 'x'", "unexpected ')'; expected :"]
    """
    try:
        _check_limits(source)
    except GloError as error:
        return Parsed((), error.diagnostics)
    return _Recovery(source).run()


class _Recovery:
    """Parses up to an error, once more without the definition that it stands in, and goes on behind that one."""

    def __init__(self, source: Source) -> None:
        self.source, self.text = source, source.text
        self.blank = re.sub(r"[^\n]", " ", source.text)  # keeps lines and columns of what stands behind it
        self.nodes: list[Node] = []
        self.errors: list[Diagnostic] = []
        self.lost: set[str] = set()

    def run(self) -> Parsed:
        begin, bounds = 0, None
        while len(self.errors) < MAX_ERRORS:
            error = self._parse(begin, len(self.text))
            if error is None:
                break
            bounds = bounds or self._definitions()
            place = len(self.text) if error.pos_in_stream in (None, -1) else max(1, error.pos_in_stream)
            # At the keyword of the next definition it is the one before that is incomplete.
            start, end = next((b for b in bounds if max(b[0], begin) < place <= b[1]), (begin, len(self.text)))
            self._parse(begin, max(start, begin))
            self.errors.append(complaint(self.source, error))
            self.lost.update(_names(self.text, [(start, end)]))
            begin = end
        else:
            self.lost.update(_names(self.text, self._definitions()))
        return Parsed(tuple(self.nodes), tuple(self.errors), frozenset(self.lost))

    def _parse(self, start: int, end: int) -> UnexpectedInput | None:
        """Adds the definitions between two offsets, or returns what is wrong with the first bad one."""
        try:
            tree = _tree(self.blank[:start] + self.text[start:end], "start")
        except UnexpectedInput as error:
            return error
        self.nodes += [node for node in tree.children if isinstance(node, Tree)]
        return None

    def _definitions(self) -> list[tuple[int, int]]:
        """Where each definition begins and ends; what stands before the first counts as one."""
        starts = [m.start() for m in _STARTS.finditer(self.text) if m[0] in DEFINITIONS]
        return list(zip([0, *starts], [*starts, len(self.text)], strict=True))


def _names(text: str, bounds: list[tuple[int, int]]) -> list[str]:
    found = (_DEFINED.match(text, start, end) for start, end in bounds)
    return [match[1] for match in found if match]


def span_of(node: Node | Token) -> Span:
    """Where a tree or token stands; a tree over several lines is underlined on its first."""
    if isinstance(node, Token):
        return Span(node.line or 1, node.column or 1, len(node))
    meta = node.meta
    if meta.empty:
        return Span(1, 1)
    length = meta.end_column - meta.column if meta.end_line == meta.line else 1
    return Span(meta.line, meta.column, max(1, length))


def _check_limits(source: Source) -> None:
    if len(source.text) > MAX_TEXT:
        message = f"the text has {len(source.text)} characters; the limit is {MAX_TEXT}"
        raise GloError(message, Span(1, 1), source=source, code="too-long")
    depth = 0
    for match in BRACKETS.finditer(source.text):
        if match[0] in ("(", "["):
            depth += 1
            if depth > MAX_NESTING:
                raise GloError(
                    f"brackets are nested more than {MAX_NESTING} deep", span_at(source.text, match.start()),
                    "name parts of the expression with let", source, "too-deep",
                )  # fmt: skip
        elif match[0] in (")", "]"):
            depth -= 1


__all__ = [
    "KEYWORDS", "MAX_NESTING", "MAX_TEXT", "Node", "Parsed", "grammar", "parse", "parse_file", "span_of",
]  # fmt: skip

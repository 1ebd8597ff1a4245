"""Text to a tree that keeps every token, and the comments beside it: what a formatter needs and a compiler does not."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from functools import cache

from lark import Lark
from lark.exceptions import UnexpectedInput
from lark.lexer import PatternStr

from glo_dsl.errors import GloError, Source
from glo_dsl.lang.syntax import MAX_TEXT, Node, grammar, parse_file

BLANK = " \t\r\f"
"""What the grammar skips, line feeds apart."""

_COMMENT = re.compile(r'"[^"\n]*"|(#[^\n]*)')


@cache
def _parser() -> Lark:
    options = {"keep_all_tokens": True, "maybe_placeholders": False}
    return Lark(grammar("glo.lark"), parser="lalr", lexer="basic", **options)


def concrete(source: Source) -> Node:
    """The tree of a whole file with every token in it, brackets and commas included.

    Nesting has no limit here, as nothing of this is recursive.

    Raises:
        GloError: the text is not a `.glo` text; says everything that is wrong with it.

    >>> list(map(str, concrete(Source("def f() = 1 # one")).scan_values(lambda token: True)))
    ['def', 'f', '(', ')', '=', '1']
    """
    if len(source.text) <= MAX_TEXT:
        with suppress(UnexpectedInput):
            return _parser().parse(source.text)
    raise GloError.of(parse_file(source).errors)


def reserved() -> tuple[str, ...]:
    """The words that the grammar keeps for itself, in its order.

    >>> "then" in reserved() and "softmax" not in reserved()
    True
    """
    literals = (t.pattern.value for t in _parser().terminals if isinstance(t.pattern, PatternStr))
    return tuple(text for text in literals if text.isalpha())


def terminal(name: str) -> str:
    """The regular expression of a terminal of the grammar.

    >>> terminal("NAME")
    '[A-Za-z_][A-Za-z0-9_]*'
    """
    return next(t.pattern.value for t in _parser().terminals if t.name == name)


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment: its text, where it begins, its line from 0 on, and whether it has that line to itself."""

    text: str
    start: int
    line: int
    alone: bool


def comments(text: str) -> list[Comment]:
    """The comments of a `.glo` text, in order, without blanks at their ends.

    >>> [(c.text, c.line, c.alone) for c in comments("# a \\nimport x  # b")]
    [('# a', 0, True), ('# b', 1, False)]
    """
    found: list[Comment] = []
    line = counted = 0
    for match in _COMMENT.finditer(text):
        if match[1]:
            start = match.start()
            line, counted = line + text.count("\n", counted, start), start
            before = text[text.rfind("\n", 0, start) + 1 : start]
            found.append(Comment(match[1].rstrip(), start, line, not before.strip(BLANK)))
    return found

"""Text to parse tree, with errors a newcomer can act on. No names and no types yet."""

from __future__ import annotations

import re
from functools import lru_cache
from importlib import resources
from pathlib import Path

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedToken

from glo_dsl.errors import GloError, Source, Span

Node = Tree[Token]

MAX_TEXT = 1_000_000
"""Longest text in characters; a larger one is no loss but an attack or an accident."""

MAX_NESTING = 200
"""Deepest nesting of brackets."""

KEYWORDS = ("loss", "def", "let", "in", "if", "then", "else", "and", "or", "not", "true", "false", "shared")

_TOKEN = re.compile(r"#[^\n]*|[()\[\]]|[^#()\[\]]+")
_CLOSES = {")": "(", "]": "["}


@lru_cache(maxsize=None)
def _parser(start: str) -> Lark:
    return Lark(_grammar(), parser="lalr", lexer="basic", start=start, propagate_positions=True, maybe_placeholders=True)


def _grammar() -> str:
    """The grammar: beside this package in a wheel, in `grammar/` in a checkout."""
    packaged = resources.files("glo_dsl") / "glo.lark"
    if packaged.is_file():
        return packaged.read_text(encoding="utf-8")
    return (Path(__file__).parents[2] / "grammar" / "glo.lark").read_text(encoding="utf-8")


def parse(source: Source, start: str = "start") -> Node:
    """The parse tree of a whole file (`start`) or of one expression (`expr`).

    Neither deep nesting nor length exhausts the stack: the parser keeps its own, and limits answer first.

    Raises:
        GloError: the text is not a `.glo` text.
    """
    _check_limits(source)
    try:
        tree = _parser(start).parse(source.text)
    except UnexpectedCharacters as error:
        raise _strange_character(source, error) from None
    except (UnexpectedToken, UnexpectedEOF) as error:
        raise _unexpected(source, error) from None
    return tree if isinstance(tree, Tree) else Tree("name", [tree])


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
        raise GloError(f"the text has {len(source.text)} characters; the limit is {MAX_TEXT}", Span(1, 1), source=source)
    depth = 0
    for match in _TOKEN.finditer(source.text):
        if match[0] in ("(", "["):
            depth += 1
            if depth > MAX_NESTING:
                raise GloError(
                    f"brackets are nested more than {MAX_NESTING} deep", _span_at(source.text, match.start()),
                    hint="name parts of the expression with let", source=source,
                )  # fmt: skip
        elif match[0] in (")", "]"):
            depth -= 1


def _span_at(text: str, offset: int) -> Span:
    return Span(text.count("\n", 0, offset) + 1, offset - (text.rfind("\n", 0, offset) + 1) + 1)


def _strange_character(source: Source, error: UnexpectedCharacters) -> GloError:
    character = source.text[error.pos_in_stream]
    hints = {
        "&": "write: and", "|": "write: or", "!": "write: not, or != between two values",
        "%": "there is no remainder operator", '"': "a loss has no text values", ";": "; separates inputs from parameters",
    }  # fmt: skip
    span = Span(error.line, error.column)
    return GloError(f"unexpected character {character!r}", span, hint=hints.get(character), source=source)


def _unexpected(source: Source, error: UnexpectedToken | UnexpectedEOF) -> GloError:
    token = getattr(error, "token", None)
    opened = _open_bracket(source.text)
    unclosed = None
    if opened is not None and opened >= 0:
        where = _span_at(source.text, opened)
        unclosed = f"the {source.text[opened]} at line {where.line}, column {where.column} is never closed"
    if token is None or token.type == "$END":
        end = _span_at(source.text, len(source.text.rstrip()))
        return GloError(f"the text ends too early{_expected(error)}", end, hint=unclosed, source=source)
    hint = unclosed if _starts_definition(token) else _token_hint(token)
    return GloError(f"unexpected {_shown(token)}{_expected(error)}", span_of(token), hint=hint, source=source)


def _starts_definition(token: Token) -> bool:
    return str(token) in ("loss", "def")


def _shown(token: Token) -> str:
    return f"keyword {token}" if str(token) in KEYWORDS else f"{str(token)[:40]!r}"


def _token_hint(token: Token) -> str | None:
    if token.type == "NAME":
        return "is an operator missing? multiplication is written *"
    if token == "**":
        return "power is written ^"
    if token == "=":
        return "equality is written ==; a local name: let name = value in ..."
    if token == ";":
        return "; may stand once, between the inputs of a loss and its parameters"
    if str(token) in KEYWORDS:
        return f"{token} is a keyword; choose another name"
    return None


def _expected(error: UnexpectedToken | UnexpectedEOF) -> str:
    names = {"RPAR": ")", "RSQB": "]", "EQUAL": "=", "IN": "in", "THEN": "then", "ELSE": "else", "LPAR": "(", "COLON": ":"}
    expected = getattr(error, "accepts", None) or getattr(error, "expected", None) or ()
    if {"NUMBER", "LPAR"} <= set(expected):
        return "; expected an expression"
    if set(expected) == {"NAME"}:
        return "; expected a name"
    if {"LOSS", "DEF"} <= set(expected) and "PLUS" not in expected:
        return "; expected loss or def"
    found = [names[name] for name in names if name in expected]
    return f"; expected {' or '.join(found)}" if 0 < len(found) <= 3 else ""


def _open_bracket(text: str) -> int | None:
    """Offset of the innermost bracket that is never closed, or None."""
    stack: list[int] = []
    for match in _TOKEN.finditer(text):
        if match[0] in ("(", "["):
            stack.append(match.start())
        elif match[0] in _CLOSES and stack and text[stack[-1]] == _CLOSES[match[0]]:
            stack.pop()
    return stack[-1] if stack else None

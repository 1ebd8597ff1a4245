"""Text to parse tree, with errors a newcomer can act on. No names and no types yet."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from pathlib import Path

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedToken

from glo_dsl.errors import GloError, Source, Span

Node = Tree[Token]

MAX_TEXT = 300_000
"""Longest text in characters; a larger one is no loss but an attack or an accident."""

MAX_NESTING = 200
"""Deepest nesting of brackets."""

KEYWORDS = ("loss", "def", "let", "in", "if", "then", "else", "and", "or", "not", "true", "false", "shared")

_TOKEN = re.compile(r"#[^\n]*|[()\[\]]|[^#()\[\]]+")
OPERATORS = frozenset({"STAR", "PLUS", "AND", "OR"})
"""Some of them may follow wherever an operand has ended."""

_CLOSES = {")": "(", "]": "["}


@cache
def _parser(start: str) -> Lark:
    options = {"propagate_positions": True, "maybe_placeholders": True}
    return Lark(_grammar(), parser="lalr", lexer="basic", start=start, **options)


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
        message = f"the text has {len(source.text)} characters; the limit is {MAX_TEXT}"
        raise GloError(message, Span(1, 1), source=source)
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
    character = source.text[error.pos_in_stream or 0]
    hints = {
        "&": "write: and", "|": "write: or", "!": "write: not, or != between two values",
        "%": "there is no remainder operator", '"': "a loss has no text values",
    }  # fmt: skip
    hint = hints.get(character)
    if hint is None and character.isalpha():
        hint = "names are written in the letters a to z, digits and _"
    return GloError(f"unexpected character {character!r}", Span(error.line, error.column), hint, source)


def _unexpected(source: Source, error: UnexpectedToken | UnexpectedEOF) -> GloError:
    token = getattr(error, "token", None)
    expected = frozenset(getattr(error, "accepts", None) or getattr(error, "expected", None) or ())
    if token is None or token.type == "$END":
        end = _span_at(source.text, len(source.text.rstrip()))
        hint = _hole_hint(source.text) or _unclosed(source.text) or _missing_word(expected)
        return GloError(f"the text ends too early{_expected(expected)}", end, hint, source)
    hint = _token_hint(source.text, token, expected)
    return GloError(f"unexpected {_shown(token)}{_expected(expected)}", span_of(token), hint, source)


def _unclosed(text: str) -> str | None:
    opened = _open_bracket(text)
    if opened is None:
        return None
    where = _span_at(text, opened)
    return f"the {text[opened]} at line {where.line}, column {where.column} is never closed"


def _shown(token: Token) -> str:
    return f"keyword {token}" if str(token) in KEYWORDS else f"{str(token)[:40]!r}"


def _missing_word(expected: frozenset[str]) -> str | None:
    """The whole form that the missing word belongs to."""
    if expected & {"THEN", "ELSE"}:
        return "a choice is written: if condition then value else value"
    if "IN" in expected and "RSQB" not in expected and "RPAR" not in expected:
        return "a local name is written: let name = value in expression"
    if expected == {"COLON"}:
        return "an input is written with its type, for example z: real[C]"
    return None


def _token_hint(text: str, token: Token, expected: frozenset[str]) -> str | None:
    """What the author most likely meant; the first that fits."""
    operand_ended = bool(expected & OPERATORS)
    before = text[: token.start_pos or 0].rstrip()
    if _at_top(expected) and not operand_ended:
        if token in _CLOSES:
            return "no bracket is open here"
        return "a file holds definitions: loss name(inputs) = expression"
    if token in ("loss", "def") or (token in _CLOSES and _unclosed(text)):
        return _unclosed(text)
    if token in _CLOSES and _at_top(expected):
        return "no bracket is open here"
    if token in (")", ",") and expected == {"EQUAL"}:
        return "a parameter is written with its default: name = value"
    if token == "*" and before.endswith("*"):
        return "power is written ^"
    if token in ("<", "<=", ">", ">=", "==", "!="):
        return "comparisons do not chain; write: a < b and b < c"
    if token == "(" and expected == {"LSQB"}:
        return "bounds are written: in [low, high]"
    if token == ":" and "COMMA" in expected and not operand_ended:
        return "a def takes names only; their types follow from the call"
    if token == "=" and operand_ended:
        return "equality is written ==; a local name: let name = value in expression"
    if token == ";":
        return "; may stand once, between the inputs of a loss and its parameters"
    return _hole_hint(before) or _missing_word(expected) or _word_hint(token, expected, operand_ended)


def _hole_hint(before: str) -> str | None:
    if re.search(r"\?\s*\w*\s*\(?\s*$", before):
        return "a hole lists the values it may use, for example ?f(x, y)"
    return None


def _word_hint(token: Token, expected: frozenset[str], operand_ended: bool) -> str | None:
    if operand_ended and (token.type in ("NAME", "NUMBER") or token in ("let", "if", "not", "true", "false")):
        return "is an operator missing? multiplication is written *"
    if "NUMBER" in expected:
        return f"something is missing before {token}" if str(token) in KEYWORDS else None
    return f"{token} is a keyword; choose another name" if "NAME" in expected and str(token) in KEYWORDS else None


def _at_top(expected: frozenset[str]) -> bool:
    return {"LOSS", "DEF"} <= expected


def _expected(expected: frozenset[str]) -> str:
    names = {
        "RPAR": ")", "RSQB": "]", "EQUAL": "=", "IN": "in", "THEN": "then", "ELSE": "else", "COLON": ":", "LSQB": "[",
    }  # fmt: skip
    if {"NUMBER", "LPAR"} <= expected:
        return "; expected an expression"
    if expected == {"NAME"}:
        return "; expected a name"
    if expected == {"LPAR"}:
        return "; expected ("
    if _at_top(expected) and not expected & OPERATORS:
        return "; expected loss or def"
    found = [names[name] for name in names if name in expected and not (name == "LSQB" and len(expected) > 1)]
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

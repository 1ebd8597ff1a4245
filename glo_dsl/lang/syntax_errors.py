"""What a text that is no `.glo` text is told."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lark import Token
from lark.exceptions import UnexpectedCharacters, UnexpectedInput

from glo_dsl.errors import Diagnostic, Source, Span

DEFINITIONS = ("loss", "def", "law", "example", "import")
"""Keywords that begin a definition, and stand nowhere else."""

KEYWORDS = (
    *DEFINITIONS, "per", "for", "let", "in", "if", "then", "else", "and", "or", "not", "true", "false", "shared",
)  # fmt: skip

OPERATORS = frozenset({"STAR", "PLUS", "AND", "OR"})
"""Some of them may follow wherever an operand has ended."""

BRACKETS = re.compile(r'#[^\n]*|"[^"\n]*"|[()\[\]]')
"""Brackets, and what may hide them."""

_CLOSES = {")": "(", "]": "["}
_INTERVAL = re.compile(r"\bin\s*$")  # its brackets need not match: in (0, 1]


@dataclass(frozen=True, slots=True)
class Advice:
    """What was most likely meant: the name of the mistake, and the way out."""

    code: str
    hint: str | None


def complaint(source: Source, error: UnexpectedInput) -> Diagnostic:
    """What is said about a text that the parser refuses."""
    if isinstance(error, UnexpectedCharacters):
        return _strange_character(source, error)
    token = getattr(error, "token", None)
    expected = frozenset(getattr(error, "accepts", None) or getattr(error, "expected", None) or ())
    if token is None or token.type == "$END":
        return _too_short(source, source.text, "text", expected)
    before = source.text[: token.start_pos or 0]
    if token in DEFINITIONS and not before.rpartition("\n")[2].strip() and before.strip():
        return _too_short(source, before, "definition", expected)
    advice = _token_advice(source.text, token, expected) or Advice("unexpected-token", None)
    message = f"unexpected {_shown(token)}{_expected(expected)}"
    return Diagnostic(message, _span(token), advice.hint, source, advice.code)


def _too_short(source: Source, text: str, what: str, expected: frozenset[str]) -> Diagnostic:
    """Said where the last token before the end stands: comments in between belong to what follows."""
    end = _end_of_tokens(text)
    advice = _hole_advice(text[:end]) or _unclosed(text) or _missing_word(expected) or Advice("unexpected-end", None)
    message = f"the {what} ends too early{_expected(expected)}"
    return Diagnostic(message, span_at(source.text, end), advice.hint, source, advice.code)


def _end_of_tokens(text: str) -> int:
    end = len(text)
    while end > 0:
        begin = text.rfind("\n", 0, end) + 1
        line = re.sub(r'("[^"]*")|#.*', r"\1", text[begin:end]).rstrip()
        if line:
            return begin + len(line)
        end = begin - 1
    return 0


def span_at(text: str, offset: int) -> Span:
    """The place of a character."""
    return Span(text.count("\n", 0, offset) + 1, offset - (text.rfind("\n", 0, offset) + 1) + 1)


def _span(token: Token) -> Span:
    return Span(token.line or 1, token.column or 1, len(token))


def _strange_character(source: Source, error: UnexpectedCharacters) -> Diagnostic:
    character = source.text[error.pos_in_stream or 0]
    hints = {
        "&": "write: and", "|": "write: or; an absolute value is abs(x)", "!": "write: not, or != between two values",
        "%": "there is no remainder operator", '"': "a text ends on the line it begins on",
        "'": "names of files are written in double quotes", "{": "brackets are ( and [", "}": "brackets are ( and [",
        "\\": "there is no such operator; division is written /", "@": "multiplication is written *; dot(a, b) sums",
    }  # fmt: skip
    hint = hints.get(character)
    if hint is None and character.isalpha():
        hint = "names are written in the letters a to z, digits and _"
    place = Span(error.line, error.column)
    return Diagnostic(f"unexpected character {character!r}", place, hint, source, "unexpected-character")


def _unclosed(text: str) -> Advice | None:
    opened = _open_bracket(text)
    if opened is None:
        return None
    where = span_at(text, opened)
    return Advice("unclosed-bracket", f"the {text[opened]} at line {where.line}, column {where.column} is never closed")


def _shown(token: Token) -> str:
    return f"keyword {token}" if str(token) in KEYWORDS else f"{str(token)[:40]!r}"


def _missing_word(expected: frozenset[str]) -> Advice | None:
    """The whole form that the missing word belongs to."""
    if expected & {"THEN", "ELSE"}:
        return Advice("incomplete-choice", "a choice is written: if condition then value else value")
    if "IN" in expected and "RSQB" not in expected and "RPAR" not in expected:
        return Advice("incomplete-let", "a local name is written: let name = value in expression")
    if expected == {"COLON"}:
        hint = "an input is written with its type, for example z: real[C]; a parameter stands after ; with a default"
        return Advice("missing-type", hint)
    if expected == {"DOT"}:
        return Advice("law-name", "a law is named after its loss: law huber.symmetric: ...")
    return None


def _token_advice(text: str, token: Token, expected: frozenset[str]) -> Advice | None:
    """What the author most likely meant; the first that fits."""
    operand_ended = bool(expected & OPERATORS)
    before = text[: token.start_pos or 0].rstrip()
    if token == ";":
        return Advice("semicolon", "; may stand once, between the inputs of a loss and its parameters")
    if token == "+-":
        return Advice("tolerance", "+- stands in an example, before its tolerance: example f(1) == 2 +- 1e-6")
    if token == ".":
        imported = re.search(r"import\s+(\w+)$", before)
        hint = f'a file is named in quotes: import "{imported[1]}.glo"' if imported else "abs(x), not torch.abs(x)"
        return Advice("dot", f"names have no dots: {hint}")
    if token == "," and before[-1:].isdigit() and _at_top(expected):
        return Advice("decimal-comma", "a decimal number is written with a point: 0.5")
    if _at_top(expected) and not operand_ended:
        if token in _CLOSES:
            return Advice("unopened-bracket", "no bracket is open here")
        return Advice("not-a-definition", "a file holds definitions: loss name(inputs) = expression")
    unclosed = _unclosed(before + token if token in _CLOSES else before)
    if token in DEFINITIONS or (token in _CLOSES and unclosed):
        return unclosed or _missing_word(expected)
    if token in _CLOSES and _at_top(expected):
        return Advice("unopened-bracket", "no bracket is open here")
    return (
        _sign_advice(token, before, expected, operand_ended)
        or _hole_advice(before)
        or _missing_word(expected)
        or _word_advice(token, expected, operand_ended)
    )


def _sign_advice(token: Token, before: str, expected: frozenset[str], operand_ended: bool) -> Advice | None:
    """What a sign in the wrong place was meant for."""
    if token in (")", ",") and expected == {"EQUAL"}:
        return Advice("missing-default", "a parameter is written with its default: name = value")
    if token == "*" and before.endswith("*"):
        return Advice("double-star", "power is written ^")
    if token in ("<", "<=", ">", ">=", "==", "!="):
        return Advice("chained-comparison", "comparisons do not chain; write: a < b and b < c")
    if token in (":", "=") and {"COMMA", "RPAR"} == expected and not operand_ended:
        hint = "a def takes names only; types follow from the call, and defaults belong to the parameters of a loss"
        return Advice("typed-def", hint)
    if token == "," and expected == {"RSQB"} and re.search(r"\w\[\s*\w+$", before):
        return Advice("second-axis", "a loss is written for one sample: real[C] is a row; batches are the caller's")
    if token == "?" and operand_ended:
        return Advice("question-mark", "a choice is written: if condition then value else value")
    if token == "=" and operand_ended:
        return Advice("assignment", "equality is written ==; a local name: let name = value in expression")
    if token.type == "STRING":
        return Advice("string", 'a text in quotes names a file: import "other.glo"')
    if expected == {"LPAR", "LSQB"}:
        return Advice("bounds", "bounds are written: in [low, high], or ( and ) where a bound does not belong to it")
    return None


def _hole_advice(before: str) -> Advice | None:
    if re.search(r"\?\s*\w*\s*\(?\s*$", before):
        return Advice("hole-without-terms", "a hole lists the values it may use, for example ?f(x, y)")
    return None


def _word_advice(token: Token, expected: frozenset[str], operand_ended: bool) -> Advice | None:
    if operand_ended and (token.type in ("NAME", "NUMBER") or token in ("let", "if", "not", "true", "false")):
        return Advice("missing-operator", "is an operator missing? multiplication is written *")
    if "NUMBER" in expected:
        return Advice("missing-operand", f"something is missing before {token}") if str(token) in KEYWORDS else None
    if "NAME" in expected and str(token) in KEYWORDS:
        return Advice("keyword-as-name", f"{token} is a keyword; choose another name")
    return None


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
    if expected == {"NAME", "STRING"}:
        return '; expected std or a file, such as "other.glo"'
    if _at_top(expected) and not expected & OPERATORS:
        return f"; expected {', '.join(DEFINITIONS[:-1])} or {DEFINITIONS[-1]}"
    found = [names[name] for name in names if name in expected and not (name == "LSQB" and len(expected) > 1)]
    return f"; expected {' or '.join(found)}" if 0 < len(found) <= 3 else ""


def _open_bracket(text: str) -> int | None:
    """Offset of the innermost bracket that is never closed, or None."""
    stack: list[int] = []
    for match in BRACKETS.finditer(text):
        if match[0] in ("(", "["):
            stack.append(match.start())
        elif match[0] in _CLOSES and stack:
            opened = stack[-1]
            if text[opened] == _CLOSES[match[0]] or _INTERVAL.search(text, max(0, opened - 8), opened):
                stack.pop()
    return stack[-1] if stack else None

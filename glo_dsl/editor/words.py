"""A text as words, whatever is wrong with it: the parser needs a whole definition, an editor has half of one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from glo_dsl.lang.syntax import KEYWORDS

NAME, KEYWORD, NUMBER, STRING, SIGN = "name", "keyword", "number", "string", "sign"

NAME_PATTERN = r"[A-Za-z_][A-Za-z0-9_]*"
NUMBER_PATTERN = r"([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?"

_WORD = re.compile(
    rf'(?P<comment>#[^\n]*)|(?P<string>"[^"\n]*"?)|(?P<name>{NAME_PATTERN})|(?P<number>{NUMBER_PATTERN})'
    r"|(?P<sign>\+-(?=\s)|[<>=!]=|\S)"
)


@dataclass(frozen=True, slots=True)
class Word:
    """A name, keyword, number, string or sign, and where it stands, in characters from the start of the text."""

    kind: str
    text: str
    start: int
    end: int

    @property
    def ends_operand(self) -> bool:
        """Whether an operator may follow, not an operand."""
        return self.kind in (NAME, NUMBER) or self.text in (")", "]", "true", "false")

    def is_sign(self, *signs: str) -> bool:
        return self.kind == SIGN and self.text in signs


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a text in order, and its comments."""

    words: tuple[Word, ...]
    comments: tuple[tuple[int, int], ...]

    def in_comment(self, offset: int) -> bool:
        """Whether what is typed here becomes part of a comment."""
        return any(start < offset <= end for start, end in self.comments)


@lru_cache(maxsize=64)
def words_of(text: str) -> Words:
    """The words of any text; what no `.glo` text has is a sign.

    >>> [word.text for word in words_of("loss f(x <= 1 # one").words]
    ['loss', 'f', '(', 'x', '<=', '1']
    """
    words: list[Word] = []
    comments: list[tuple[int, int]] = []
    for match in _WORD.finditer(text):
        kind = match.lastgroup or SIGN
        if kind == "comment":
            comments.append(match.span())
        else:
            kind = KEYWORD if kind == NAME and match[0] in KEYWORDS else kind
            words.append(Word(kind, match[0], *match.span()))
    return Words(tuple(words), tuple(comments))


def is_name(text: str) -> bool:
    """Whether a text could be the name of something."""
    return re.fullmatch(NAME_PATTERN, text) is not None and text not in KEYWORDS

"""The canonical form of a `.glo` text: width 100, every comment kept, blank lines between what is long."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from lark import Token, Tree

from glo_dsl.errors import GloError, Source
from glo_dsl.lang.concrete import BLANK, Comment, comments, concrete
from glo_dsl.lang.layout import render
from glo_dsl.lang.needless import without_needless
from glo_dsl.lang.spell import spell
from glo_dsl.lang.spell_expressions import Remarks, start_of
from glo_dsl.lang.syntax import MAX_TEXT, Node


def format_text(text: str, name: str = "<string>") -> str:
    """The same definitions and comments in the canonical form; formatting that changes nothing.

    Brackets go where they are doubled or around all of a body, an argument or an atom, and nowhere else. Numbers stay
    as they are written.

    Raises:
        GloError: the text is not a `.glo` text, or its canonical form would be longer than a text may be.

    >>> print(format_text("loss l1(p:real,y:real)=(abs(p-y))# Laplace\\nlaw l1.zero:l1(p,p)==0"), end="")
    loss l1(p: real, y: real) = abs(p - y)  # Laplace
    law l1.zero: l1(p, p) == 0
    """
    source = Source(text, name)
    formatted = "".join(f"{line}\n" for line in _lines(text, concrete(source)))
    if len(formatted) > MAX_TEXT:
        message = f"formatted, the text has {len(formatted)} characters; the limit is {MAX_TEXT}"
        raise GloError(message, source=source, code="too-long")
    return formatted


@dataclass(slots=True)
class _Piece:
    """A definition as it will be written, or the end of the file, which has no lines.

    Attributes:
        above: the comments between it and the definition before, each with whether a blank line precedes it.
        parted: whether a blank line precedes the definition itself.
        below: comments that found no place in it.
    """

    kind: str
    above: list[tuple[bool, str]]
    parted: bool
    lines: list[str] = field(default_factory=list)
    below: list[str] = field(default_factory=list)

    @property
    def is_function(self) -> bool:
        return self.kind in ("def", "loss")

    @property
    def documentation(self) -> int:
        """How many of the comments above are its documentation: those that no blank line parts from it."""
        if self.parted:
            return 0
        blanks = [place for place, (blank, _) in enumerate(self.above) if blank]
        return len(self.above) - max(blanks, default=0)


def _lines(text: str, tree: Node) -> Iterator[str]:
    before: _Piece | None = None
    for piece in _pieces(text, tree):
        blocks = [*piece.above, *((piece.parted, line) for line in piece.lines[:1])]
        apart = before is not None and bool(piece.lines) and _apart(before, piece)
        for place, (blank, line) in enumerate(blocks):
            wanted = blank or (apart and place == len(piece.above) - piece.documentation)
            follows_comment = place == 0 and before is not None and bool(before.below)
            if follows_comment or (wanted and (place > 0 or before is not None)):
                yield ""
            yield line
        yield from (*piece.lines[1:], *piece.below)
        before = piece


def _apart(before: _Piece, piece: _Piece) -> bool:
    """Whether a blank line is put between two definitions that have none."""
    documented = piece.is_function and piece.documentation > 0
    return documented or any(p.is_function and len(p.lines) > 1 for p in (before, piece))


def _pieces(text: str, tree: Node) -> Iterator[_Piece]:
    rows = text.split("\n")
    left = deque(comments(text))
    nodes = [node for node in tree.children if isinstance(node, Tree)]
    ends = [list(_tokens(node))[-1].end_pos or 0 for node in nodes]
    starts = [start_of(next(_tokens(node))) for node in nodes]
    without_needless(tree)
    for node, end, following in zip(nodes, ends, [*starts, len(text)][1:], strict=True):
        tokens = list(_tokens(node))
        piece = _Piece(str(node.data), _between(left, start_of(tokens[0]), rows), _parted(rows, tokens[0]))
        remarks = _remarks(left, tokens)
        inside, behind = _taken(left, end), _taken(left, following, alone=False)
        if (inside or behind) and not (inside or behind)[0].alone:
            remarks.behind[start_of(tokens[-1])] = (inside or behind).pop(0).text
        piece.lines, below = render(spell(node, remarks))
        piece.below = [*below, *(comment.text for comment in (*inside, *behind))]
        yield piece
    yield _Piece("end", _between(left, len(text), rows), False)


def _tokens(tree: Node) -> Iterator[Token]:
    """The tokens of a tree in order, however deep it is."""
    stack: list[Node | Token] = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, Token):
            yield node
        else:
            stack.extend(reversed(node.children))


def _between(left: deque[Comment], end: int, rows: list[str]) -> list[tuple[bool, str]]:
    return [(comment.alone and _blank(rows, comment.line), comment.text) for comment in _taken(left, end)]


def _taken(left: deque[Comment], end: int, alone: bool = True) -> list[Comment]:
    """The comments before an offset, which are left no more; not `alone`: those up to the first with its own line."""
    found: list[Comment] = []
    while left and left[0].start < end and (alone or not left[0].alone):
        found.append(left.popleft())
    return found


def _parted(rows: list[str], token: Token) -> bool:
    """Whether a token is the first of its line, and the line above is blank."""
    row, column = (token.line or 1) - 1, (token.column or 1) - 1
    return _blank(rows, row) and not rows[row][:column].strip(BLANK)


def _blank(rows: list[str], row: int) -> bool:
    """Whether the line above is there and blank."""
    return row > 0 and not rows[row - 1].strip(BLANK)


def _remarks(left: deque[Comment], tokens: list[Token]) -> Remarks:
    """The comments between the tokens of a definition."""
    remarks = Remarks()
    for before, token in pairwise(tokens):
        found = _taken(left, start_of(token))
        if found and not found[0].alone:
            remarks.behind[start_of(before)] = found.pop(0).text
        if found:
            remarks.above[start_of(token)] = [comment.text for comment in found]
    return remarks

"""Places in a text as the protocol counts them (lines, and code units within) and as we do (characters)."""

from __future__ import annotations

import re
from bisect import bisect_right

from glo_dsl.errors import Span

_UNITS = {"utf-8": ("utf-8", 1), "utf-16": ("utf-16-le", 2), "utf-32": ("utf-32-le", 4)}


class Lines:
    """The lines of a text. `encoding` says what a column counts: code units of utf-8, utf-16 or utf-32.

    For the protocol a lone carriage return ends a line, for `.glo` texts and their messages it does not.

    >>> lines = Lines("a\\n\U0001f600b")
    >>> lines.position(3), lines.offset(1, 2), lines.offset(7, 7)
    ((1, 2), 3, 4)
    """

    def __init__(self, text: str, encoding: str = "utf-16") -> None:
        self.text = text
        self._codec, self._width = _UNITS.get(encoding, _UNITS["utf-16"])
        ends = [match.span() for match in re.finditer(r"\r\n|\n|\r", text)]
        self._starts = [0, *(end for _, end in ends)]
        self._ends = [*(start for start, _ in ends), len(text)]
        self._feeds = [0, *(match.end() for match in re.finditer("\n", text))]

    def offset(self, line: int, column: int) -> int:
        """The character at a position; what lies behind the end of a line or of the text counts as that end."""
        if line < 0:
            return 0
        if line >= len(self._starts):
            return len(self.text)
        start, end = self._starts[line], self._ends[line]
        if self.text[start:end].isascii():
            return min(start + max(column, 0), end)
        left = column
        for place in range(start, end):
            left -= self._units(self.text[place])
            if left < 0:
                return place
        return end

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of a character, both counted from 0."""
        offset = min(max(offset, 0), len(self.text))
        line = bisect_right(self._starts, offset) - 1
        return line, self._units(self.text[self._starts[line] : offset])

    def of_span(self, span: Span) -> tuple[int, int]:
        """Where the text that a message points to begins and ends, in characters; an end of the text is one wide."""
        line = min(max(span.line, 1), len(self._feeds)) - 1
        start = min(self._feeds[line] + span.column - 1, len(self.text))
        return start, min(start + span.length, len(self.text))

    def _units(self, text: str) -> int:
        return len(text) if text.isascii() else len(text.encode(self._codec, "surrogatepass")) // self._width

"""What goes wrong in a `.glo` text, said so that its author can mend it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of source text: 1-based line and column, and how many characters to underline."""

    line: int
    column: int
    length: int = 1


@dataclass(frozen=True, slots=True)
class Source:
    """A `.glo` text and the name that messages give it."""

    text: str
    name: str = "<string>"

    def line(self, number: int) -> str:
        lines = self.text.split("\n")  # not splitlines: only a line feed counts as one, as it does for the parser
        return lines[number - 1].removesuffix("\r") if 0 < number <= len(lines) else ""


class GloError(Exception):
    """An error in a loss, with the place it stands at and, where we know one, a way out.

    Attributes:
        message: one lower-case sentence that shows the offending value.
        span: where it stands, or None when no text is involved.
        hint: what would be right, or None.
        source: the text that `span` counts in.

    >>> import glo_dsl as glo
    >>> glo.loads("loss f(x: real) = exq(x)")
    Traceback (most recent call last):
    glo_dsl.errors.GloError: <string>:1:19: no function exq
      loss f(x: real) = exq(x)
                        ^^^
      did you mean exp?
    """

    def __init__(
        self, message: str, span: Span | None = None, hint: str | None = None, source: Source | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.span = span
        self.hint = hint
        self.source = source

    def at(self, span: Span | None, source: Source | None = None) -> GloError:
        """The same error, placed; a place already known is kept."""
        self.span = self.span or span
        self.source = self.source or source
        return self

    def __str__(self) -> str:
        if self.span is None or self.source is None:
            return self.message + (f"\n  {self.hint}" if self.hint else "")
        head = f"{self.source.name}:{self.span.line}:{self.span.column}: {self.message}"
        return "\n".join(
            [head, *self._excerpt(self.source.line(self.span.line)), *([f"  {self.hint}"] * bool(self.hint))]
        )

    def _excerpt(self, line: str, width: int = 100) -> list[str]:
        """The source line and its caret, cut around the caret when the line is long."""
        assert self.span is not None
        start = max(0, self.span.column - 1 - width // 2) if len(line) > width else 0
        shown = "".join(c if c.isprintable() else " " for c in line[start : start + width])
        column = self.span.column - 1 - start
        carets = max(1, min(self.span.length, len(shown) - column))
        dots = "..." if start else ""
        return [f"  {dots}{shown}", "  " + " " * (len(dots) + column) + "^" * carets]


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """A hint that names the nearest known word, or None when nothing is near.

    >>> did_you_mean("sotfmax", ["softmax", "sum"])
    'did you mean softmax?'
    """
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else None

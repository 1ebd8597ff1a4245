"""What goes wrong in a `.glo` text, said so that its author can mend it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, replace


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


ERROR, WARNING = "error", "warning"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One thing to say about a text, with its place and, where we know one, a way out.

    Attributes:
        message: one lower-case sentence that shows the offending value.
        span: where it stands, or None when no text is involved.
        hint: what would be right, or None.
        source: the text that `span` counts in.
        code: its name in the index of the manual, such as `unknown-name`; "" for what is not about a text.
        severity: "error" or "warning".
    """

    message: str
    span: Span | None = None
    hint: str | None = None
    source: Source | None = None
    code: str = ""
    severity: str = ERROR

    def __str__(self) -> str:
        hints = [f"  {line}" for line in self.hint.split("\n")] if self.hint else []
        if self.span is None or self.source is None:
            return "\n".join([self.message, *hints])
        kind = "warning: " if self.severity == WARNING else ""
        code = f" [{self.code}]" if self.code else ""
        head = f"{self.source.name}:{self.span.line}:{self.span.column}: {kind}{self.message}{code}"
        return "\n".join([head, *_excerpt(self.source.line(self.span.line), self.span), *hints])


def _excerpt(line: str, span: Span, width: int = 100) -> list[str]:
    """The source line and its caret, cut around the caret when the line is long."""
    start = max(0, span.column - 1 - width // 2) if len(line) > width else 0
    shown = "".join(c if c.isprintable() else " " for c in line[start : start + width])
    column = span.column - 1 - start
    carets = max(1, min(span.length, len(shown) - column))
    dots = "..." if start else ""
    return [f"  {dots}{shown}", "  " + " " * (len(dots) + column) + "^" * carets]


class GloError(Exception):
    """One or more errors in a loss; see `Diagnostic` for what is known of each.

    `message`, `span`, `hint`, `source` and `code` are those of the first, `diagnostics` holds all.

    >>> import glo_dsl as glo
    >>> glo.loads("loss f(x: real) = exq(x)")
    Traceback (most recent call last):
    glo_dsl.errors.GloError: <string>:1:19: no function exq [unknown-function]
      loss f(x: real) = exq(x)
                        ^^^
      did you mean exp?
    """

    def __init__(
        self, message: str, span: Span | None = None, hint: str | None = None, source: Source | None = None,
        code: str = "",
    ) -> None:  # fmt: skip
        super().__init__(message)
        self.diagnostics: tuple[Diagnostic, ...] = (Diagnostic(message, span, hint, source, code),)

    @classmethod
    def of(cls, diagnostics: Iterable[Diagnostic]) -> GloError:
        """All errors of a text as one exception."""
        error = cls("")
        error.diagnostics = tuple(diagnostics)
        error.args = (error.message,)
        return error

    @property
    def message(self) -> str:
        return self.diagnostics[0].message

    @property
    def span(self) -> Span | None:
        return self.diagnostics[0].span

    @property
    def hint(self) -> str | None:
        return self.diagnostics[0].hint

    @property
    def source(self) -> Source | None:
        return self.diagnostics[0].source

    @property
    def code(self) -> str:
        return self.diagnostics[0].code

    def at(self, span: Span | None, source: Source | None = None) -> GloError:
        """The same error, placed; a place already known is kept."""
        first = self.diagnostics[0]
        placed = replace(first, span=first.span or span, source=first.source or source)
        self.diagnostics = (placed, *self.diagnostics[1:])
        return self

    def __str__(self) -> str:
        return "\n\n".join(str(diagnostic) for diagnostic in self.diagnostics)


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """A hint that names the nearest known word, or None when nothing is near.

    >>> did_you_mean("sotfmax", ["softmax", "sum"])
    'did you mean softmax?'
    """
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else None

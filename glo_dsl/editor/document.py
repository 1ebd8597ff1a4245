"""One open text in the state that an answer is about."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from lsprotocol import types
from pygls.uris import to_fs_path

from glo_dsl.editor.library import Library
from glo_dsl.editor.positions import Lines
from glo_dsl.editor.reading import Reading
from glo_dsl.errors import Diagnostic
from glo_dsl.passes.lint import diagnose


@dataclass(eq=False)
class Document:
    """A text as it was at one moment. Positions of the protocol become offsets here, and back.

    Attributes:
        encoding: of the columns of positions.
    """

    uri: str
    text: str
    version: int | None = None
    encoding: str = "utf-16"
    library: Library = field(init=False)
    reading: Reading = field(init=False)

    def __post_init__(self) -> None:
        self.library = Library(self.text, path_of(self.uri))
        self.reading = Reading(self.library)

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.library.path.name if self.library.path is not None else self.uri

    @cached_property
    def lines(self) -> Lines:
        return Lines(self.text, self.encoding)

    @cached_property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """Everything there is to say. Imported files are read from the disk, whatever an editor has of them."""
        return diagnose(self.text, self.name, self.library.path).diagnostics

    def offset(self, position: types.Position) -> int:
        return self.lines.offset(position.line, position.character)

    def range(self, start: int, end: int) -> types.Range:
        return range_in(self.lines, start, end)


def range_in(lines: Lines, start: int, end: int) -> types.Range:
    """A stretch of characters as the protocol says it."""
    return types.Range(types.Position(*lines.position(start)), types.Position(*lines.position(end)))


def path_of(uri: str) -> Path | None:
    """The file of a document, or None where it has none, such as one that was never saved."""
    path = to_fs_path(uri)
    return Path(path) if path and "\0" not in path else None

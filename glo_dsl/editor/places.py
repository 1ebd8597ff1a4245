"""Where things are defined, and what a text is made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from glo_dsl.editor.library import Library
from glo_dsl.editor.outline import Definition
from glo_dsl.editor.words import STRING, Word


@dataclass(frozen=True, slots=True)
class Target:
    """A stretch of a text; `path` is None for the text that was asked about."""

    path: Path | None
    text: str
    start: int
    end: int


def target_of(library: Library, offset: int) -> Target | None:
    """Where what stands at a place is defined, or None: operators and constants are defined nowhere."""
    word = library.outline.word_at(offset)
    if word is not None and word.kind == STRING:
        path = library.file_of(word.text.strip('"'))
        return Target(path, "", 0, 0) if path is not None else None
    occurrence = library.names.at(offset)
    if occurrence is None:
        return None
    if occurrence.declaration is not None:
        return _here(library, occurrence.declaration.word)
    if occurrence.role == "setting" and occurrence.call is not None:
        return _elsewhere(library, occurrence.call.text, occurrence.word.text)
    return _elsewhere(library, occurrence.word.text) if occurrence.role == "call" else None


def _here(library: Library, word: Word) -> Target:
    return Target(None, library.text, word.start, word.end)


def _elsewhere(library: Library, function: str, parameter: str = "") -> Target | None:
    """A function in another file, or a parameter of it."""
    found = library.find(function)
    if found is None or found.path is None:
        return None
    named = (item.name for item in found.definition.items if item.kind == "parameter" and item.name is not None)
    word = next((w for w in named if w.text == parameter), None) if parameter else found.definition.name
    return Target(found.path, found.outline.text, word.start, word.end) if word is not None else None


@dataclass(frozen=True, slots=True)
class Symbol:
    """A definition in the outline of a file."""

    kind: str
    name: str
    detail: str
    start: int
    end: int
    name_start: int
    name_end: int


def symbols(library: Library) -> list[Symbol]:
    """The losses, defs, laws and examples of a text that have a name."""
    found = (_symbol(library, definition) for definition in library.outline.definitions)
    return [symbol for symbol in found if symbol is not None]


def _symbol(library: Library, definition: Definition) -> Symbol | None:
    name, about = definition.name, definition.about
    bounds = definition.start, definition.end
    if definition.is_function and name is not None:
        header = library.outline.source_of(definition.words[2 : definition.header[1] + 1])
        return Symbol(definition.kind, name.text, header, *bounds, name.start, name.end)
    if definition.kind == "law" and name is not None and about is not None:
        return Symbol("law", f"{about.text}.{name.text}", "", *bounds, about.start, name.end)
    if definition.kind == "example" and about is not None:
        text = library.outline.source_of(definition.words[1:])
        return Symbol("example", text[:60], "", *bounds, about.start, about.end)
    return None

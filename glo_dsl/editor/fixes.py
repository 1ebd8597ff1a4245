"""What mends a mistake at a stroke."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from glo_dsl.editor.library import Library
from glo_dsl.editor.positions import Lines
from glo_dsl.editor.rename import Edit, rename
from glo_dsl.errors import Diagnostic, GloError
from glo_dsl.lang.zoo_files import zoo_index

_MEANT = re.compile(r"did you mean (\S+)\?")


@dataclass(frozen=True, slots=True)
class Fix:
    """A title for a menu, and what it changes."""

    title: str
    edits: tuple[Edit, ...]


def fixes(library: Library, diagnostic: Diagnostic) -> Iterator[Fix]:
    """The ways out of a mistake that can be taken without thinking."""
    if diagnostic.span is None:
        return
    start, end = Lines(library.text).of_span(diagnostic.span)
    meant = _MEANT.search(diagnostic.hint or "")
    if meant is not None:
        yield from _replacing(library.text, start, end, meant[1])
    if diagnostic.code == "unknown-function" and library.text[start:end] in zoo_index():
        yield Fix("import std, which has it", (Edit(*_first_line(library), "import std\n"),))
    if diagnostic.code.startswith("unused-"):
        yield from _hiding(library.text, start, end)


def _replacing(text: str, start: int, end: int, meant: str) -> Iterator[Fix]:
    """The word among those underlined that is nearest to what was meant."""
    words = [(m.start(), m.end()) for m in re.compile(r"[\w.]+").finditer(text, start, end)]
    if words:
        nearest = max(words, key=lambda w: difflib.SequenceMatcher(None, text[w[0] : w[1]], meant).ratio())
        yield Fix(f"change {text[nearest[0] : nearest[1]]} to {meant}", (Edit(*nearest, meant),))


def _hiding(text: str, start: int, end: int) -> Iterator[Fix]:
    name = f"_{text[start:end]}"
    try:
        edits = rename(text, start, name)
    except GloError:
        return
    if edits:
        yield Fix(f"rename to {name}: it is meant to be unused", tuple(edits))


def _first_line(library: Library) -> tuple[int, int]:
    """Before the first definition and the comment that belongs to it."""
    definitions = library.outline.definitions
    place = definitions[0].start if definitions else 0
    place = library.text.rfind("\n", 0, place) + 1
    while place > 0:
        above = library.text.rfind("\n", 0, place - 1) + 1
        if not library.text[above : place - 1].lstrip().startswith("#"):
            break
        place = above
    return place, place

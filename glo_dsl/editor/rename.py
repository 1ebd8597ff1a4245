"""A name changed wherever it stands, or a reason why not."""

from __future__ import annotations

from dataclasses import dataclass

from glo_dsl.editor.names import Names, names_of
from glo_dsl.editor.outline import Definition
from glo_dsl.editor.scope import Declaration, Occurrence
from glo_dsl.editor.words import is_name
from glo_dsl.errors import GloError
from glo_dsl.lang.elaborate import CONSTANTS
from glo_dsl.lang.syntax import KEYWORDS


@dataclass(frozen=True, slots=True)
class Edit:
    """A stretch of text, and what comes in its place."""

    start: int
    end: int
    text: str


def renamable(text: str, offset: int) -> Occurrence | None:
    """The name at a place, if this text declares it."""
    occurrence = names_of(text).at(offset)
    return occurrence if occurrence is not None and occurrence.declaration is not None else None


def rename(text: str, offset: int, name: str) -> list[Edit] | None:
    """The edits that give another name to what stands at a place; None where nothing does that this text declares.

    Raises:
        GloError: the name is a keyword, no name at all, or would mean something else somewhere.

    >>> [(e.start, e.text) for e in rename("def f(a) = a", 6, "x")]
    [(6, 'x'), (11, 'x')]
    """
    occurrence = renamable(text, offset)
    if occurrence is None or occurrence.declaration is None:
        return None
    if not is_name(name):
        reason = "is a keyword" if name in KEYWORDS else "is no name; names are letters, digits and _"
        raise GloError(f"{name} {reason}")
    if name in CONSTANTS:
        raise GloError(f"{name} has a fixed meaning here")
    before = names_of(text)
    edits = [Edit(o.word.start, o.word.end, name) for o in before.of(occurrence.declaration)]
    taken = _taken(before, occurrence.declaration, name)
    if taken or _meanings(before) != _meanings(names_of(applied(text, edits))):
        raise GloError(taken or f"{name} already means something else here")
    return edits


def applied(text: str, edits: list[Edit]) -> str:
    """The text after edits that do not overlap."""
    for edit in sorted(edits, key=lambda edit: edit.start, reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


def _taken(names: Names, declaration: Declaration, name: str) -> str | None:
    """Why a second declaration of this name at the same place would be one too many."""
    if name == declaration.word.text:
        return None
    if declaration.kind in ("loss", "def"):
        return f"{name} is defined already" if name in names.functions else None
    if declaration.kind == "law":
        rivals = [d for d in names.outline.definitions if d.kind == "law" and _subject(d) == _subject(declaration.home)]
        return f"{name} is defined already" if any(d.name and d.name.text == name for d in rivals) else None
    declared = names.declared[declaration.home]
    return f"{name} is declared already" if declaration.kind != "let" and name in declared else None


def _subject(law: Definition) -> str | None:
    return law.about.text if law.about is not None else None


def _meanings(names: Names) -> list[int | str]:
    """For every name the place of its declaration among all names, which renaming must not change."""
    places = {o.declaration: place for place, o in enumerate(names.occurrences) if o.role == "declaration"}
    return [places.get(o.declaration, -1) if o.declaration else o.word.text for o in names.occurrences]

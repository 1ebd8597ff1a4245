"""What may be written at a place: the state of a definition that is complete up to there, and no further."""

from __future__ import annotations

from dataclasses import dataclass

from glo_dsl.editor.names import Names, expression_of
from glo_dsl.editor.outline import Definition, Item
from glo_dsl.editor.scope import Frame, Scope
from glo_dsl.editor.words import KEYWORD, NAME, STRING, Word

TOP, NOTHING, COMMENT, TYPE, BOUNDS, EXPRESSION, IMPORT, SUBJECT = (
    "top", "nothing", "comment", "type", "bounds", "expression", "import", "subject",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a text.

    Attributes:
        due: what is due there: a definition, a type, the bounds behind a type, an expression, what to import, the loss
            of a law or example, a sign or a new name (nothing).
        prefix: the part of a word that stands before the place.
        scope: in an expression what is open and in scope.
        definition: the one it belongs to.
    """

    due: str
    prefix: str = ""
    scope: Scope | None = None
    definition: Definition | None = None

    @property
    def in_operand(self) -> bool:
        """Whether a value is due, not an operator."""
        before = self.scope.before if self.scope is not None else None
        return before is None or not before.ends_operand

    @property
    def frames(self) -> list[Frame]:
        return self.scope.frames if self.scope is not None else []


def cursor_at(names: Names, offset: int) -> Cursor:
    """What may be written at a place, given what stands before it."""
    outline = names.outline
    if outline.words.in_comment(offset):
        return Cursor(COMMENT)
    touching = next((w for w in outline.words.words if w.start < offset <= w.end), None)
    prefix = touching if touching is not None and touching.kind in (NAME, KEYWORD) else None
    end = prefix.start if prefix is not None else offset
    written = outline.text[end:offset]
    definition = outline.at(end - 1) if end > 0 else None
    if definition is None:
        return Cursor(TOP, written)
    before = tuple(word for word in definition.words if word.start < end)
    if before and before[-1].kind == STRING and offset <= before[-1].end:
        due = IMPORT if definition.kind == "import" else NOTHING
        return Cursor(due, outline.text[before[-1].start : offset], None, definition)
    due, scope = _due(names, definition, before)
    return Cursor(due, written, scope, definition)


def _due(names: Names, definition: Definition, before: tuple[Word, ...]) -> tuple[str, Scope | None]:
    written = len(before)
    if definition.kind == "import":
        return (IMPORT, None) if written == 1 else (TOP, None)
    begin, end = definition.header
    opened = begin > 0 and definition.words[begin - 1].text in ("(", "for")
    if opened and begin <= written <= end:
        return _in_header(names, definition, before)
    if definition.kind in ("law", "example") and written == 1:
        return SUBJECT, None
    if written < definition.body[0] or before[definition.body[0] - 1].text not in ("=", ":", "example"):
        return NOTHING, None
    scope = names.scope(definition)
    words = definition.words[definition.body[0] :]
    for place, word in enumerate(before[definition.body[0] :]):
        scope.feed(word, words[place + 1] if place + 1 < len(words) else None)
    return EXPRESSION, scope


def _in_header(names: Names, definition: Definition, before: tuple[Word, ...]) -> tuple[str, Scope | None]:
    """What is due between the brackets of a loss or def, or among the binders of a law."""
    reached = before[-1].end
    item = next((i for i in reversed(definition.items) if i.words and i.words[0].start < reached), None)
    if item is None or definition.kind == "def":
        return NOTHING, None
    words = tuple(word for word in item.words if word.end <= reached)
    if before[-1] is not words[-1]:  # a comma or a semicolon: a new name is due
        return NOTHING, None
    return _in_item(names, definition, Item(item.kind, words))


def _in_item(names: Names, definition: Definition, item: Item) -> tuple[str, Scope | None]:
    last = item.words[-1]
    if item.kind == "parameter" and len(item.words) == 1:
        return NOTHING, None
    begin = expression_of(item)
    if begin >= len(item.words):
        if last.text in (":", "shared"):
            return TYPE, None
        return (BOUNDS, None) if len(item.words) > 2 and last.text not in ("[", "C") else (NOTHING, None)
    scope = names.constants(definition)
    for word in item.words[begin:]:
        scope.feed(word, None)
    if not last.ends_operand or scope.frames:
        return EXPRESSION, scope
    return (NOTHING if any(word.text == "in" for word in item.words) else BOUNDS), None

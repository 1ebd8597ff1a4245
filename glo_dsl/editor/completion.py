"""What could be written next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from glo_dsl.editor.cursor import BOUNDS, COMMENT, EXPRESSION, IMPORT, SUBJECT, TOP, TYPE, Cursor, cursor_at
from glo_dsl.editor.library import Library
from glo_dsl.editor.scope import Frame, Scope
from glo_dsl.editor.signature import described
from glo_dsl.editor.vocabulary import KEYWORDS, TYPES, VALUES
from glo_dsl.editor.words import STRING
from glo_dsl.lang.syntax_errors import DEFINITIONS


@dataclass(frozen=True, slots=True)
class Proposal:
    """A word that fits.

    Attributes:
        kind: value, parameter, function, keyword, type, constant or file.
        detail: one line; of functions their origin.
        start, end: the text that it replaces.
    """

    label: str
    kind: str
    detail: str
    start: int
    end: int


def completions(library: Library, offset: int) -> list[Proposal]:
    """The words that fit at a place, the nearest first, each once."""
    offset = min(max(offset, 0), len(library.text))
    cursor = cursor_at(library.names, offset)
    start = offset - len(cursor.prefix)
    word = library.outline.word_at(offset)
    end = word.end if word is not None and word.kind == STRING and word.start == start else offset
    found: dict[str, Proposal] = {}
    for label, kind, detail in _fitting(library, cursor, start):
        found.setdefault(label, Proposal(label, kind, detail, start, end))
    return list(found.values())


def documented(library: Library, word: str) -> str:
    """The documentation of a function, as Markdown."""
    return "\n\n---\n\n".join(described(signature) for signature in library.signatures(word))


Fitting = Iterator[tuple[str, str, str]]


def _fitting(library: Library, cursor: Cursor, start: int) -> Fitting:
    if cursor.due == TYPE:
        yield from ((label, "type", about) for label, about in TYPES.items())
    elif cursor.due == BOUNDS:
        yield from _keywords("in")
    elif cursor.due == IMPORT:
        yield from _importable(library, cursor)
    elif cursor.due == SUBJECT:
        losses = (name for name, d in library.outline.functions.items() if d.kind == "loss")
        yield from ((name, "function", "a loss of this file") for name in losses)
    elif cursor.due == EXPRESSION:
        yield from _expression(library, cursor)
    over = cursor.due == TOP or (cursor.due == EXPRESSION and _closed(cursor))
    if over or (cursor.due not in (COMMENT, IMPORT) and _first_of_line(library, start)):
        yield from _keywords(*DEFINITIONS)


def _expression(library: Library, cursor: Cursor) -> Fitting:
    assert cursor.scope is not None
    call = cursor.scope.setting_here
    if call is not None:
        yield from _settings(library, call)
    elif cursor.scope.names_here:
        return
    elif cursor.in_operand:
        yield from _operands(library, cursor.scope)
    else:
        yield from _keywords(*_going_on(cursor))


def _settings(library: Library, call: Frame) -> Fitting:
    """The parameters of a called loss that are not set yet."""
    for signature in library.signatures(call.call.text) if call.call is not None else ():
        for name, text in zip(signature.setting_names, signature.settings, strict=True):
            if name not in (call.settings or ()):
                yield name, "parameter", text


def _operands(library: Library, scope: Scope) -> Fitting:
    """Values, then functions: all but the one that is being written, as it cannot be recursive."""
    for name, declaration in reversed(scope.names.items()):
        yield name, "value", library.outline.source_of(declaration.words) if declaration.kind != "let" else "let"
    for name, about in VALUES.items():
        yield name, "constant", about
    own, here = library.outline.functions, scope.home.name if scope.home.is_function else None
    for word in library.words():
        if here is None or word != here.text:
            yield word, "function", "defined here" if word in own else ""
    yield from _keywords("let", "if", "not", "true", "false")


def _going_on(cursor: Cursor) -> Iterator[str]:
    """The keywords that may follow an operand."""
    yield from ("and", "or")
    for frame in reversed(cursor.frames):
        if frame.is_bracket:
            return
        if frame.phase in ("if", "then"):
            yield {"if": "then", "then": "else"}[frame.phase]
            return
        if frame.phase == "bindings":
            yield "in"
            return
    if cursor.definition is not None and cursor.definition.kind in ("loss", "law"):
        yield {"loss": "per", "law": "for"}[cursor.definition.kind]


def _closed(cursor: Cursor) -> bool:
    """Whether a definition could be over here."""
    return not cursor.in_operand and all(frame.phase in ("body", "else") for frame in cursor.frames)


def _first_of_line(library: Library, start: int) -> bool:
    return start == 0 or library.text[start - 1] == "\n"


def _importable(library: Library, cursor: Cursor) -> Fitting:
    quoted = cursor.prefix.startswith('"')
    if not quoted:
        yield "std", "file", "the library of losses"
    if library.path is None or not library.path.parent.is_dir():
        return
    for path in sorted(library.path.parent.glob("*.glo")):
        if path.name != library.path.name:
            yield f'"{path.name}"', "file", ""


def _keywords(*words: str) -> Fitting:
    for word in words:
        yield word, "keyword", KEYWORDS[word]

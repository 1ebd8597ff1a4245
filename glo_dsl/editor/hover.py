"""What is said about the place under the pointer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from glo_dsl.editor.reading import Meaning, Reading
from glo_dsl.editor.scope import Declaration, Occurrence
from glo_dsl.editor.signature import described, documentation
from glo_dsl.editor.slope import MOST_NODES, slope
from glo_dsl.editor.vocabulary import DECLARED, KEYWORDS, TYPES, VALUES, in_words
from glo_dsl.editor.words import KEYWORD, Word
from glo_dsl.errors import GloError
from glo_dsl.ir.bounds import ranges
from glo_dsl.ir.expr import Const, Expr, size, walk
from glo_dsl.ir.types import ANY
from glo_dsl.lang.show import show
from glo_dsl.passes.simplify import simplify

LONGEST_NAME = 50
"""Characters of an expression that stands for itself; a longer one is called `...`."""

LONGEST = 400
"""Characters of a derivative that is still worth reading."""

SHORT = 120
"""Characters of a simplified value that still says something."""

TYPE_WORDS = frozenset({"real", "prob", "class", "bool"})


@dataclass(frozen=True, slots=True)
class Hover:
    """Markdown, and the stretch of text that it is about."""

    text: str
    start: int
    end: int


def hover(reading: Reading, offset: int) -> Hover | None:
    """What is known of the innermost expression and of the name at a place, or None."""
    library = reading.library
    if library.outline.words.in_comment(offset):
        return None
    word = library.outline.word_at(offset)
    occurrence = library.names.at(offset)
    meaning = _meaning(reading, occurrence, word.start if word is not None and offset == word.end else offset)
    parts = [*_of_name(reading, occurrence, word)]
    declared = _declaration(occurrence)
    if meaning is not None:
        parts.append(_of_expression(reading, meaning, declared))
    elif declared is not None:
        parts.append(f"{code(library.outline.source_of(declared.words))}\n{DECLARED[declared.kind]}")
    if not parts:
        return None
    about = word if word is not None and (occurrence is not None or meaning is None) else meaning
    return Hover("\n\n---\n\n".join(parts), about.start, about.end) if about is not None else None


def _declaration(occurrence: Occurrence | None) -> Declaration | None:
    """What declares a value, as opposed to a function."""
    found = occurrence.declaration if occurrence is not None else None
    return found if found is not None and found.kind in DECLARED else None


def _meaning(reading: Reading, occurrence: Occurrence | None, offset: int) -> Meaning | None:
    """The expression at a place; of a declared name its value, told from where the name is used."""
    if occurrence is None or occurrence.role in ("value", "call"):
        return reading.at(offset)
    declaration = _declaration(occurrence)
    if occurrence.role != "declaration" or declaration is None:
        return None
    if declaration.kind == "let" and (bound := reading.bound(declaration.word)) is not None:
        return bound
    uses = [o for o in reading.library.names.of(declaration) if o.role == "value"]
    inside = [o for o in uses if declaration.home.start <= o.word.start < declaration.home.end]
    return next((found for o in inside if (found := reading.of_word(o.word)) is not None), None)


def _of_name(reading: Reading, occurrence: Occurrence | None, word: Word | None) -> Iterator[str]:
    """What the name itself says: a signature, a documentation, a fixed meaning."""
    library = reading.library
    if occurrence is None:
        if word is not None and (fixed := _fixed(word)):
            yield fixed
        return
    declaration, name = occurrence.declaration, occurrence.word.text
    if occurrence.role == "call" or (declaration is not None and declaration.kind in ("loss", "def")):
        yield from (described(signature) for signature in library.signatures(name))
    elif declaration is not None and declaration.kind == "law":
        if doc := documentation(library.text, declaration.home):
            yield doc
    elif declaration is None and occurrence.role == "setting" and occurrence.call is not None:
        signatures = library.signatures(occurrence.call.text)
        yield from (f"{code(text)}\nparameter" for s in signatures if (text := s.setting(name)))
    elif declaration is None and name in VALUES:
        yield f"`{name}`: {VALUES[name]}"


def _fixed(word: Word) -> str:
    """What a keyword or the name of a type means."""
    if word.kind == KEYWORD:
        return KEYWORDS.get(word.text, "")
    return f"`{word.text}`: {TYPES.get(word.text) or TYPES[word.text + '[C]']}" if word.text in TYPE_WORDS else ""


def _of_expression(reading: Reading, meaning: Meaning, declared: Declaration | None) -> str:
    text = " ".join(reading.library.text[meaning.start : meaning.end].split())
    name = declared.word.text if declared is not None else text if len(text) <= LONGEST_NAME else "..."
    first = f"{name}: {meaning.expr.type}{_range(meaning.expr)}"
    if declared is not None and len(declared.words) > 1:
        first = reading.library.outline.source_of(declared.words)
    lines = [first]
    value = _value(meaning.expr)
    if value is not None and value != (text if declared is None else name):
        lines.append(f"= {value}")
    derivative = _slope(meaning)
    if derivative is not None and meaning.loss is not None:
        lines.append(f"d {meaning.loss[0]} / d {name if name.isidentifier() else f'({name})'} = {derivative}")
    kind = f"{DECLARED[declared.kind]}: " if declared is not None else ""
    called = f"; as called in line {meaning.line}" if meaning.line is not None else ""
    return f"{code(*lines)}\n{kind}{in_words(meaning.expr.type)}{called}"


def _range(expr: Expr) -> str:
    if expr.type.kind != "real":
        return ""
    found = ranges((expr,))[expr]
    return "" if found == ANY or found.empty or isinstance(expr, Const) else f" in {found}"


def _value(expr: Expr) -> str | None:
    """The simplified expression, if it is short."""
    if sum(1 for _ in walk((expr,))) > MOST_NODES:
        return None
    try:
        (simple,) = simplify((expr,))
    except GloError:
        return None
    return _shown(simple, SHORT)


def _slope(meaning: Meaning) -> str | None:
    if meaning.loss is None or meaning.loss[1] is meaning.expr:
        return None
    found = slope(meaning.loss[1], meaning.expr)
    return _shown(found, LONGEST) if found is not None else None


def _shown(expr: Expr, longest: int) -> str | None:
    """The text of an expression, or None where it would be too long; a text has at least a character for each node."""
    if size(expr) > longest:
        return None
    text = show(expr)
    return text if len(text) <= longest else None


def code(*lines: str) -> str:
    """A block of `.glo` in Markdown."""
    return "\n".join(["```glo", *lines, "```"])

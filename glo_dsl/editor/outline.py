"""The definitions of a text, as far as they are written: where each begins and ends, what it is called and declares."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise

from glo_dsl.editor.words import NAME, Word, Words, words_of
from glo_dsl.lang.syntax_errors import DEFINITIONS

OPEN, CLOSE = ("(", "["), (")", "]")


@dataclass(frozen=True, slots=True)
class Item:
    """One declaration of a header: the words of an input, a parameter, an argument or a binder."""

    kind: str
    words: tuple[Word, ...]

    @property
    def name(self) -> Word | None:
        return self.words[0] if self.words and self.words[0].kind == NAME else None


@dataclass(frozen=True, eq=False)
class Definition:
    """A definition, up to the keyword of the next.

    Attributes:
        kind: its keyword.
        words: all of it, the keyword first.
    """

    kind: str
    words: tuple[Word, ...]

    @property
    def start(self) -> int:
        return self.words[0].start

    @property
    def end(self) -> int:
        return self.words[-1].end

    @property
    def is_function(self) -> bool:
        return self.kind in ("def", "loss")

    @cached_property
    def name(self) -> Word | None:
        """What it defines: the function, of a law the label."""
        place = {"def": 1, "loss": 1, "law": 3}.get(self.kind, 0)
        found = self.words[place] if 0 < place < len(self.words) else None
        return found if found is not None and found.kind == NAME else None

    @cached_property
    def about(self) -> Word | None:
        """The loss that a law or an example speaks of."""
        found = self.words[1] if self.kind in ("law", "example") and len(self.words) > 1 else None
        return found if found is not None and found.kind == NAME else None

    @cached_property
    def header(self) -> tuple[int, int]:
        """Where the words between the brackets of a def or a loss stand, or the binders of a law, as two indices."""
        if self.kind == "law":
            return min(self._for + 1, len(self.words)), len(self.words)
        if not self.is_function or len(self.words) < 3 or self.words[2].text != "(":
            return 0, 0
        depth = 0
        for place, word in enumerate(self.words):
            depth += word.is_sign(*OPEN) - word.is_sign(*CLOSE)
            if depth == 0 and place >= 3:
                return 3, place
        return 3, len(self.words)

    @cached_property
    def body(self) -> tuple[int, int]:
        """Where the words of the expressions behind the header stand."""
        if self.kind == "law":
            begin = 4 + (len(self.words) > 4 and self.words[4].text == ":")
            return min(begin, len(self.words)), max(begin, self._for)
        if self.kind == "example":
            return 1, len(self.words)
        if not self.is_function:
            return len(self.words), len(self.words)
        behind = self.header[1]
        begin = next((i for i in range(behind, len(self.words)) if self.words[i].text == "="), len(self.words) - 1)
        return begin + 1, len(self.words)

    @cached_property
    def _for(self) -> int:
        return next((i for i, word in enumerate(self.words) if word.text == "for"), len(self.words))

    @cached_property
    def items(self) -> tuple[Item, ...]:
        """What it declares."""
        kinds = {"def": "argument", "loss": "input", "law": "binder"}
        return tuple(_items(self.words[slice(*self.header)], kinds.get(self.kind, "")))


def _items(words: tuple[Word, ...], kind: str) -> Iterator[Item]:
    found: list[Word] = []
    depth = 0
    for word in words:
        depth += word.is_sign(*OPEN) - word.is_sign(*CLOSE)
        if depth == 0 and word.is_sign(",", ";"):
            yield Item(kind, tuple(found))
            found = []
            kind = "parameter" if word.text == ";" else kind
        else:
            found.append(word)
    if found:
        yield Item(kind, tuple(found))


@dataclass(frozen=True, eq=False)
class Outline:
    """A text, its words, and the definitions they form."""

    text: str
    words: Words
    definitions: tuple[Definition, ...]

    @cached_property
    def functions(self) -> dict[str, Definition]:
        """Its functions by name; of equal names the first."""
        found: dict[str, Definition] = {}
        for definition in self.definitions:
            if definition.is_function and definition.name is not None:
                found.setdefault(definition.name.text, definition)
        return found

    def at(self, offset: int) -> Definition | None:
        """The definition that a place belongs to: the last that begins before it."""
        before = [d for d in self.definitions if d.start <= offset]
        return before[-1] if before else None

    def word_at(self, offset: int) -> Word | None:
        """The word that stands at a place or ends there; a name goes before a sign."""
        touching = [word for word in self.words.words if word.start <= offset <= word.end]
        return min(touching, key=lambda word: (word.kind != NAME, offset == word.end), default=None)

    def source_of(self, words: tuple[Word, ...]) -> str:
        """The text of some words, on one line."""
        return " ".join(self.text[words[0].start : words[-1].end].split()) if words else ""


@lru_cache(maxsize=64)
def outline_of(text: str) -> Outline:
    """The definitions of any text.

    >>> [(d.kind, d.name and d.name.text) for d in outline_of("loss f(x: real) = x + loss g(").definitions]
    [('loss', 'f'), ('loss', 'g')]
    """
    words = words_of(text)
    starts = [i for i, word in enumerate(words.words) if word.text in DEFINITIONS and word.kind == "keyword"]
    bounds = pairwise([*starts, len(words.words)])
    return Outline(text, words, tuple(Definition(words.words[i].text, words.words[i:j]) for i, j in bounds))

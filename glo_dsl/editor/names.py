"""Every name of a text and what it means: for definitions, references and renaming."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import zip_longest

from glo_dsl.editor.outline import Definition, Item, Outline, outline_of
from glo_dsl.editor.scope import Declaration, Occurrence, Scope
from glo_dsl.editor.words import Word


@dataclass(frozen=True, eq=False)
class Names:
    """The names of a text; a text with mistakes has them as far as they can be told."""

    outline: Outline

    @cached_property
    def functions(self) -> dict[str, Declaration]:
        """What can be called and is defined here."""
        return {
            name: Declaration(d.kind, d.name, d, d.words)
            for name, d in self.outline.functions.items()
            if d.name is not None
        }

    @cached_property
    def declared(self) -> dict[Definition, dict[str, Declaration]]:
        """What the header of each definition declares; of equal names the last, as for the compiler."""
        return {
            definition: {
                item.name.text: Declaration(item.kind, item.name, definition, item.words)
                for item in definition.items
                if item.name is not None
            }
            for definition in self.outline.definitions
        }

    @cached_property
    def occurrences(self) -> tuple[Occurrence, ...]:
        """All names in the order of the text."""
        found = [o for definition in self.outline.definitions for o in self._of(definition)]
        return tuple(sorted(found, key=lambda occurrence: occurrence.word.start))

    @cached_property
    def by_start(self) -> dict[int, Occurrence]:
        return {occurrence.word.start: occurrence for occurrence in self.occurrences}

    def at(self, offset: int) -> Occurrence | None:
        """The name that stands at a place or ends there."""
        word = self.outline.word_at(offset)
        return self.by_start.get(word.start) if word is not None else None

    def of(self, declaration: Declaration) -> list[Occurrence]:
        """Everywhere that a declared name stands, the declaration included."""
        return [o for o in self.occurrences if o.declaration is declaration]

    def scope(self, definition: Definition) -> Scope:
        """The names that the body of a definition begins with."""
        names: dict[str, Declaration] = {}
        if definition.kind == "law" and definition.about is not None:
            subject = self.outline.functions.get(definition.about.text)
            if subject is not None and subject.kind == "loss":
                names |= self.declared[subject]
        return Scope(definition, names | self.declared[definition], self.functions, self._parameter)

    def constants(self, definition: Definition) -> Scope:
        """The scope of bounds and defaults: no names."""
        return Scope(definition, {}, self.functions, self._parameter)

    def _parameter(self, function: str, name: str) -> Declaration | None:
        definition = self.outline.functions.get(function)
        found = self.declared[definition].get(name) if definition is not None else None
        return found if found is not None and found.kind == "parameter" else None

    def _of(self, definition: Definition) -> Iterator[Occurrence]:
        yield from self._title(definition)
        for item in definition.items:
            yield from self._item(definition, item)
        if definition.is_function or definition.kind in ("law", "example"):
            scope = self.scope(definition)
            yield from _read(scope, definition.words[slice(*definition.body)])

    def _title(self, definition: Definition) -> Iterator[Occurrence]:
        name = definition.name
        if definition.is_function and name is not None:
            own = self.functions[name.text]
            declared = own if own.home is definition else Declaration(definition.kind, name, definition, ())
            yield Occurrence(name, "declaration", declared)
        elif definition.kind == "law":
            if definition.about is not None:
                yield Occurrence(definition.about, "subject", self.functions.get(definition.about.text))
            if name is not None:
                yield Occurrence(name, "declaration", Declaration("law", name, definition, definition.words))

    def _item(self, definition: Definition, item: Item) -> Iterator[Occurrence]:
        if item.name is None:
            return
        yield Occurrence(item.name, "declaration", self._declared(definition, item))
        begin = expression_of(item)
        yield from _read(self.constants(definition), item.words[begin:])

    def _declared(self, definition: Definition, item: Item) -> Declaration:
        assert item.name is not None
        found = self.declared[definition][item.name.text]
        return found if found.word is item.name else Declaration(item.kind, item.name, definition, item.words)


def expression_of(item: Item) -> int:
    """Where in an item the default or the bounds begin: a type has no names."""
    if item.kind in ("parameter", "argument"):
        return 1
    return next((place for place, word in enumerate(item.words) if word.text == "in"), len(item.words))


def _read(scope: Scope, words: tuple[Word, ...]) -> Iterator[Occurrence]:
    for word, behind in zip_longest(words, words[1:]):
        occurrence = scope.feed(word, behind)
        if occurrence is not None:
            yield occurrence


@lru_cache(maxsize=64)
def names_of(text: str) -> Names:
    """The names of any text.

    >>> names = names_of("loss f(x: real) = let y = x in y * x")
    >>> [(o.word.text, o.role, o.declaration and o.declaration.kind) for o in names.occurrences[-2:]]
    [('y', 'value', 'let'), ('x', 'value', 'input')]
    """
    return Names(outline_of(text))

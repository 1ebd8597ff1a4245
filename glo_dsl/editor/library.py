"""What a text can call: its own functions, those that it imports, the prelude, the operators; and where they stand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import resources
from pathlib import Path

from glo_dsl.editor.names import Names, names_of
from glo_dsl.editor.outline import Definition, Outline, outline_of
from glo_dsl.editor.signature import Signature, operators, signature_of
from glo_dsl.errors import GloError, Source
from glo_dsl.ir.table import FUNCTIONS
from glo_dsl.lang import imports
from glo_dsl.lang.imports import Importer, prelude
from glo_dsl.lang.syntax import Node, grammar, parse
from glo_dsl.lang.unit import Imported, Unit
from glo_dsl.lang.zoo_files import zoo_index, zoo_text

PRELUDE = "prelude.glo"


@dataclass(frozen=True, slots=True)
class Found:
    """A function that is defined in some `.glo` text.

    Attributes:
        path: where the text lies; None for the text that is asked about, and where there is no file.
    """

    outline: Outline
    definition: Definition
    path: Path | None
    origin: str

    @property
    def signature(self) -> Signature:
        return signature_of(self.outline, self.definition, self.origin)


@dataclass(frozen=True, eq=False)
class Library:
    """The functions that a text knows. `path` is where it lies, or None."""

    text: str
    path: Path | None = None

    @property
    def names(self) -> Names:
        return names_of(self.text)

    @property
    def outline(self) -> Outline:
        return outline_of(self.text)

    @cached_property
    def imports(self) -> Unit:
        """A unit that has the imports of the text and nothing else; files are read from the disk."""
        unit = Unit(Source(self.text), self.path)
        Importer(unit, []).resolve(unit, tuple(self._import_nodes()))
        return unit

    def find(self, word: str) -> Found | None:
        """The definition that a call of this word means, or None for an operator and for nothing."""
        own = self.outline.functions.get(word)
        if own is not None:
            line = self.text.count("\n", 0, own.start) + 1
            return Found(self.outline, own, None, f"defined in line {line}")
        if self._imports_std and word in zoo_index():
            file = zoo_index()[word]
            return _within(zoo_text(file), word, _packaged(f"zoo/{file}"), f"import std: {file}")
        imported = self.imports.imported(word)
        if imported:
            home = imported[0].home
            return _within(home.source.text, word, home.path, f"import {home.path.name if home.path else ''}")
        if word not in FUNCTIONS and word in prelude().functions:
            return _within(grammar(PRELUDE), word, prelude_path(), f"{PRELUDE}, which every file knows")
        return None

    def signatures(self, word: str) -> tuple[Signature, ...]:
        """How a word may be called."""
        found = self.find(word)
        return (found.signature,) if found is not None else operators(word)

    def words(self) -> Iterator[str]:
        """Everything that can be called, the nearest first; a word may come twice."""
        yield from self.outline.functions
        yield from self.imports.words()
        yield from FUNCTIONS

    def file_of(self, name: str) -> Path | None:
        """The file that `import "name"` means."""
        if self.path is None:
            return None
        return next(
            (path for entry in self.imports.imports if entry.label == f'"{name}"' and (path := _home(entry))), None
        )

    @property
    def _imports_std(self) -> bool:
        return imports.STD in self.imports.imports

    def _import_nodes(self) -> Iterator[Node]:
        for definition in self.outline.definitions:
            if definition.kind == "import":
                yield from parsed(self.text[definition.start : definition.end])


def _home(entry: Imported) -> Path | None:
    """The file behind an import; one without functions is not told from the outside."""
    found = (function for name in entry.names() if (function := entry.find(name)))
    return next((function.home.path for function in found), None)


def _within(text: str, word: str, path: Path | None, origin: str) -> Found | None:
    outline = outline_of(text)
    definition = outline.functions.get(word)
    return Found(outline, definition, path, origin) if definition is not None else None


@lru_cache(maxsize=4096)
def parsed(text: str) -> tuple[Node, ...]:
    """The trees of one definition, positions counted from its first character; none where it cannot be parsed.

    Trees are kept: while one definition is being edited, the others of a file need not be parsed again.
    """
    try:
        return tuple(child for child in parse(Source(text)).children if not isinstance(child, str))
    except GloError:
        return ()


def prelude_path() -> Path | None:
    """The installed file, or that of the checkout."""
    return _packaged(PRELUDE) or _existing(Path(imports.__file__).parents[2] / "grammar" / PRELUDE)


def _packaged(name: str) -> Path | None:
    return _existing(Path(str(resources.files("glo_dsl") / name)))


def _existing(path: Path) -> Path | None:
    return path if path.is_file() else None

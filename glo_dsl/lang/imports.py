"""Where the names of `import` come from: files of the same folder tree, the library of losses, the prelude."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

from lark import Token

from glo_dsl.errors import Diagnostic, Source, did_you_mean
from glo_dsl.lang.comments import doc_above
from glo_dsl.lang.syntax import MAX_TEXT, Node, grammar, parse_file, span_of
from glo_dsl.lang.unit import Function, Imported, Unit, functions_of
from glo_dsl.lang.zoo_files import zoo_index, zoo_text

MAX_IMPORTS = 100
"""Files that one file may import, those imported by imports counted."""


@cache
def prelude() -> Unit:
    """The functions that every file knows, `grammar/prelude.glo`."""
    unit = Unit(Source(grammar("prelude.glo"), "prelude.glo"))
    parsed = parse_file(unit.source)
    unit.functions = {function.name: function for function in functions_of(unit, parsed.definitions)}
    return unit


def prelude_table() -> str:
    """The functions of the prelude for the manual, in Markdown."""
    lines = ["| written | meaning |", "|---|---|"]
    for function in prelude().functions.values():
        doc = " ".join(doc_above(function.home.source, function.node).split()).replace("|", "\\|")
        lines.append(f"| `{function.name}({', '.join(function.names)})` | {doc} |")
    return "\n".join(lines) + "\n"


@cache
def _zoo_unit(file: str) -> Unit:
    source = Source(zoo_text(file), file)
    unit = Unit(source, prelude=prelude())
    parsed = parse_file(source)
    unit.functions = {function.name: function for function in functions_of(unit, parsed.definitions)}
    if any(node.data == "import" for node in parsed.definitions):
        unit.imports.append(STD)
    return unit


def _find_in_zoo(name: str) -> Function | None:
    file = zoo_index().get(name)
    return None if file is None else _zoo_unit(file).functions.get(name)


STD = Imported("std", _find_in_zoo, lambda: tuple(zoo_index()))


class Importer:
    """Resolves the imports of one file and of the files that it imports, each file read once.

    Attributes:
        diagnostics: what is wrong with them.
    """

    def __init__(self, root: Unit, diagnostics: list[Diagnostic]) -> None:
        self.root, self.diagnostics = root, diagnostics
        self._tree = root.path.parent.resolve() if root.path else None
        self._units: dict[Path, Unit] = {root.path.resolve(): root} if root.path else {}

    def resolve(self, unit: Unit, nodes: tuple[Node, ...], site: Node | None = None) -> None:
        """Adds the imports among `nodes` to a unit. What is wrong below is said of `site`, the import that led here."""
        unit.prelude = prelude()
        for node in nodes:
            if node.data == "import":
                self._import(unit, node, site or node)

    def _import(self, unit: Unit, node: Node, site: Node) -> None:
        word = node.children[0]
        assert isinstance(word, Token)
        say = partial(self._say, site, unit)
        if word.type == "NAME":
            if word != "std":
                hint = did_you_mean(word, ["std"]) or f'a file is imported by its name: import "{word}.glo"'
                say("unknown-import", f"nothing is called {word}", hint)
            else:
                unit.imports.append(STD)
            return
        path = self._path(unit, str(word)[1:-1], say)
        found = path and (self._units.get(path) or self._read(path, say, site))
        if found is unit:
            say("import-of-itself", f"{word} is this very file", "leave it out")
        elif found:
            functions = found.functions
            unit.imports.append(Imported(str(word), functions.get, lambda: tuple(functions), found.lost))

    def _path(self, unit: Unit, name: str, say: Callable[..., None]) -> Path | None:
        if unit.path is None or self._tree is None:
            say("import-without-file", "a text that is no file cannot import files", "import std works everywhere")
            return None
        if not name.endswith(".glo"):
            say("import-suffix", f'"{name}" does not end in .glo', f'write: import "{name}.glo"')
            return None
        try:
            path = (unit.path.parent / name).resolve()  # follows links: what counts is where the file lies
        except (OSError, ValueError, RuntimeError):  # no name that a file can have, or links in a circle
            say("import-unreadable", f"no file can be called {name!a}")
            return None
        if Path(name).is_absolute() or not path.is_relative_to(self._tree):
            say("import-outside", f'"{name}" lies outside {self._tree.name or "the folder"}/',
                "a file may import what lies in its own folder or below")  # fmt: skip
            return None
        return path

    def _read(self, path: Path, say: Callable[..., None], site: Node) -> Unit | None:
        if len(self._units) > MAX_IMPORTS:
            say("too-many-imports", f"more than {MAX_IMPORTS} files are imported")
            return None
        try:
            if not path.is_file():
                raise FileNotFoundError(2, "No such file")
            with path.open("rb") as file:
                text = file.read(4 * MAX_TEXT + 1).decode("utf-8")
        except OSError as error:
            near = did_you_mean(path.name, [p.name for p in path.parent.glob("*.glo")] if path.parent.is_dir() else [])
            say("import-unreadable", f"cannot read {path.name}: {error.strerror}", near)
            return None
        except UnicodeDecodeError:
            say("import-unreadable", f"{path.name} is not UTF-8 text")
            return None
        unit = self._units[path] = Unit(Source(text, str(path)), path)
        parsed = parse_file(unit.source)
        unit.lost = parsed.lost
        unit.functions = {function.name: function for function in functions_of(unit, parsed.definitions)}
        if parsed.errors:
            first = parsed.errors[0]
            line = first.span.line if first.span else 1
            say("import-broken", f"{path.name} has an error in line {line}: {first.message}", first.hint)
        self.resolve(unit, parsed.definitions, site)
        return unit

    def _say(self, site: Node, unit: Unit, code: str, message: str, hint: str | None = None) -> None:
        if unit is not self.root:
            message = f"{unit.path.name if unit.path else unit.source.name}: {message}"
        self.diagnostics.append(Diagnostic(message, span_of(site), hint, self.root.source, code))


__all__ = ["Importer", "prelude", "prelude_table", "zoo_index", "zoo_text"]

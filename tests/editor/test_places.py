from __future__ import annotations

from pathlib import Path

import pytest

from glo_dsl.editor.library import prelude_path
from glo_dsl.editor.places import symbols, target_of
from glo_dsl.lang.zoo_files import zoo_index
from tests.editor.marked import at_mark, marked

TEXT = """import std
import "other.glo"
def g(a) = ¦a * a
loss f(x: real; k = 1) = let y = x in k * g(y)
law f.even: f(x) == f(n) for n: real
"""


@pytest.mark.parametrize(
    ("place", "target"),
    [
        ("= ¦a", "g(¦a"),
        ("* ¦g(y)", "def ¦g"),
        ("let y = ¦x", "loss f(¦x"),
        ("in ¦k", "; ¦k"),
        ("g(¦y)", "let ¦y"),
        ("law ¦f", "loss ¦f"),
        ("f(¦n)", "for ¦n"),
        ("for ¦n", "for ¦n"),
    ],
)
def test_definitions_in_the_same_text(place: str, target: str) -> None:
    plain = TEXT.replace("¦", "")
    library, offset = at_mark(plain.replace(place.replace("¦", ""), place, 1))
    found = target_of(library, offset)
    assert found is not None and found.path is None
    assert found.start == marked(plain.replace(target.replace("¦", ""), target, 1))[1]


def line(path: Path | None, text: str, start: int) -> tuple[str, str]:
    """The name of a file, and the line of it that a target stands in, read from the disk."""
    assert path is not None and path.read_text() == text
    return path.name, text[text.rfind("\n", 0, start) + 1 :].split("\n")[0]


def test_definitions_in_other_files(tmp_path: Path) -> None:
    (tmp_path / "other.glo").write_text("# One.\nloss far(x: real;\n  k = 1) = k * x\n")
    main = tmp_path / "main.glo"
    head = 'import std\nimport "other.glo"\nloss f(z: real[C], t: class[C], x: real) = '
    expected = {
        "¦far(x)": ("other.glo", "loss far(x: real;"),
        "far(x; ¦k = 1)": ("other.glo", "  k = 1) = k * x"),
        "¦focal(z, t)": (zoo_index()["focal"], "loss focal("),
        "¦entropy(softmax(z))": ("prelude.glo", "def entropy("),
    }
    for text, where in expected.items():
        library, offset = at_mark(head + text, main)
        found = target_of(library, offset)
        assert found is not None
        file, definition = line(found.path, found.text, found.start)
        assert file == where[0] and definition.startswith(where[1])
    library, offset = at_mark(f"{head}x".replace('"other', '"¦other'), main)
    found = target_of(library, offset)
    assert found is not None and found.path == tmp_path / "other.glo" and found.start == 0
    assert prelude_path() is not None


@pytest.mark.parametrize("text", ["loss f(x: real) = ¦exp(x)", "loss f(x: real) = ¦2", "loss f(x: real) = ¦nix(x)",
                                  'import "¦none.glo"', "¦", "loss f(x: real) = ¦C"])  # fmt: skip
def test_what_is_defined_nowhere(text: str) -> None:
    library, offset = at_mark(text, Path("/nowhere/main.glo"))
    assert target_of(library, offset) is None


def test_the_symbols_of_a_text() -> None:
    library, _ = at_mark(TEXT + "example f(1) == 1\nloss broken(x: real) = x +\nloss\nlaw f.\n")
    found = symbols(library)
    assert [(s.kind, s.name, s.detail) for s in found] == [
        ("def", "g", "(a)"), ("loss", "f", "(x: real; k = 1)"), ("law", "f.even", ""),
        ("example", "f(1) == 1", ""), ("loss", "broken", "(x: real)"),
    ]  # fmt: skip
    assert all(s.name and s.start <= s.name_start <= s.name_end <= s.end for s in found)

from __future__ import annotations

import pytest

from glo_dsl.editor.rename import applied, renamable, rename
from glo_dsl.errors import GloError
from glo_dsl.lang.definitions import check
from tests.editor.marked import marked

TEXT = """# x stays in a comment.
def g(x) = x * x
loss f(x: real, y: real; k = 1) = let a = x - y in k * g(a)
law f.even: f(x, y; k = k) == f(y, x)
example f(1, 2; k = 3) == 3
loss h(x: real) = f(x, 0; k = 2)
"""


def renamed(place: str, name: str) -> str:
    text, offset = marked(TEXT.replace(place.replace("¦", ""), place, 1))
    edits = rename(text, offset, name)
    assert edits is not None
    return applied(text, edits)


@pytest.mark.parametrize(
    ("place", "name", "changes"),
    [
        ("def ¦g", "half", [("def g(", "def half("), ("* g(", "* half(")]),
        ("g(¦x)", "u", [("g(x) = x * x", "g(u) = u * u")]),
        ("loss f(¦x", "u", [("loss f(x:", "loss f(u:"), ("= x - y", "= u - y"), ("even: f(x, y", "even: f(u, y"),
                            ("f(y, x)", "f(y, u)")]),
        ("; ¦k = 1", "m", [("; k = 1", "; m = 1"), ("in k *", "in m *"), ("; k = k)", "; m = m)"), ("k = 3", "m = 3"),
                           ("k = 2", "m = 2")]),
        ("example f(1, 2; ¦k", "m", [("; k = 1", "; m = 1"), ("in k *", "in m *"), ("; k = k)", "; m = m)"),
                                     ("k = 3", "m = 3"), ("k = 2", "m = 2")]),
        ("let ¦a", "d", [("let a =", "let d ="), ("g(a)", "g(d)")]),
        ("g(¦a)", "d", [("let a =", "let d ="), ("g(a)", "g(d)")]),
        ("f.¦even", "odd", [("f.even", "f.odd")]),
        ("law ¦f", "l", [("loss f(", "loss l("), ("law f.", "law l."), (": f(", ": l("), ("== f(", "== l("),
                         ("example f(", "example l("), ("= f(x, 0", "= l(x, 0")]),
        ("let ¦a", "a", []),
    ],
)  # fmt: skip
def test_a_name_changes_wherever_it_stands(place: str, name: str, changes: list[tuple[str, str]]) -> None:
    expected = TEXT
    for old, new in changes:
        assert old in expected
        expected = expected.replace(old, new)
    assert renamed(place, name) == expected
    assert not check(expected).errors


@pytest.mark.parametrize(
    ("place", "name", "reason"),
    [
        ("let ¦a", "let", "let is a keyword"),
        ("let ¦a", "1a", "1a is no name"),
        ("let ¦a", "", "is no name"),
        ("let ¦a", "pi", "pi has a fixed meaning here"),
        ("let ¦a", "k", "k already means something else here"),
        ("loss f(¦x", "y", "y is declared already"),
        ("; ¦k = 1", "a", "a already means something else here"),
        ("; ¦k = 1", "x", "x is declared already"),
        ("def ¦g", "f", "f is defined already"),
        ("loss ¦h", "g", "g is defined already"),
    ],
)
def test_a_name_that_would_mean_something_else_is_refused(place: str, name: str, reason: str) -> None:
    with pytest.raises(GloError, match=reason):
        renamed(place, name)


def test_a_function_does_not_take_the_name_of_another_that_is_called() -> None:
    text, offset = marked("def ¦g(x) = x\nloss f(x: real) = g(exp(x))")
    with pytest.raises(GloError, match="exp already means something else"):
        rename(text, offset, "exp")
    assert rename(text, offset, "log") is not None


def test_a_second_law_of_a_name() -> None:
    laws = "loss f(x: real) = x\nlaw f.¦a: f(x) == x\nlaw f.b: f(x) == x\nlaw g.c: true"
    text, offset = marked(laws)
    with pytest.raises(GloError, match="b is defined already"):
        rename(text, offset, "b")
    assert rename(text, offset, "c") is not None


@pytest.mark.parametrize("text", ["loss f(x: real) = ¦exp(x)", "loss f(x: real) = ¦pi", "loss f(x: ¦real) = x",
                                  "¦loss f(x: real) = x", "import std loss f(z: real[C], t: class[C]) = ¦focal(z, t)",
                                  "# ¦x", "loss f(x: real) = ¦2", "¦"])  # fmt: skip
def test_what_is_not_declared_here_cannot_be_renamed(text: str) -> None:
    text, offset = marked(text)
    assert renamable(text, offset) is None and rename(text, offset, "fresh") is None


def test_half_a_file_can_be_renamed_in() -> None:
    text, offset = marked("loss f(¦x: real) = exp(x +\nloss g(x: real) = x")
    edits = rename(text, offset, "u")
    assert edits is not None and applied(text, edits) == "loss f(u: real) = exp(u +\nloss g(x: real) = x"

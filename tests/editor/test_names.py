"""Names are resolved as the compiler resolves them: renaming everything leaves the meaning of a file as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from glo_dsl.editor.names import names_of
from glo_dsl.editor.rename import applied, rename
from glo_dsl.ir.expr import Expr, Var, substitute, var
from glo_dsl.lang.definitions import check
from glo_dsl.lang.imports import zoo_text
from tests.editor.marked import marked

EXAMPLES = Path(__file__).parents[2] / "examples"

SHADOWING = """
def f(a, b) = let a = a * b, c = a + b in let b = (let a = c in a * b) in f2(a, b, c)
def f2(x, y, z) = if x > 0 then let x = y in x * z else let y = x, z = y in x + y + z
loss g(x: real, y: real in (0, 1]; k = 2 in [0, 8), h = 3) = let x = f(x, y) in x * k + (let k = h in k) * k per y
loss h(g: real; k = 1) = g(g, 1 - k; k = let k = 2 in k) + (let g = g in g)
law g.f: let y = y + k in g(x, y; k = k) >= g(x, k; h = h) for k: real in [0, 1], z: real
example h(0.5; k = let k = 1 in k) == (let z = 1 in z) +- 1
"""

TEXTS = {
    "shadowing": SHADOWING,
    **{name: (EXAMPLES / f"{name}.glo").read_text() for name in ("huber", "baikal_cma", "taylor3", "glo")},
    **{name: zoo_text(f"{name}.glo") for name in ("classification", "embedding", "regression")},
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_renaming_everything_changes_no_meaning(text: str) -> None:
    before, renamed = check(text), _renamed(text)
    after = check(renamed)
    assert [d.code for d in before.diagnostics] == [d.code for d in after.diagnostics]
    assert len(before.losses) == len(after.losses) > 0 and not before.errors
    for old, new in zip(before.losses.values(), after.losses.values(), strict=True):
        own = (*old.inputs, *(p.var for p in old.params))
        others = (*new.inputs, *(p.var for p in new.params))
        assert all(a.name != b.name for a, b in zip(own, others, strict=True))
        assert _same(old.expr, new.expr, own, others)
        assert old.per is new.per or (old.per and new.per and _same(old.per, new.per, own, others))
        for law, law_after in zip(old.laws, new.laws, strict=True):
            assert _same(law.expr, law_after.expr, law.variables, law_after.variables)
        assert [[*e.params.values()] for e in old.examples] == [[*e.params.values()] for e in new.examples]


def _renamed(text: str) -> str:
    """The text with another name for everything that it declares."""
    for place in range(sum(o.role == "declaration" for o in names_of(text).occurrences)):
        word = [o for o in names_of(text).occurrences if o.role == "declaration"][place].word
        edits = rename(text, word.start, f"v{place}_")
        assert edits
        text = applied(text, edits)
    return text


def _same(old: Expr, new: Expr, own: tuple[Var, ...], others: tuple[Var, ...]) -> bool:
    names = {a: var(b.name, a.type, a.domain) for a, b in zip(own, others, strict=True)}
    return substitute((old,), names)[0] is new


@pytest.mark.parametrize(
    ("text", "kind", "declared"),
    [
        ("loss f(x: real) = ¦x", "input", "x: real"),
        ("loss f(x: real; a = 1 in [0, 2]) = x * ¦a", "parameter", "a = 1 in [0, 2]"),
        ("def f(a) = ¦a", "argument", "a"),
        ("loss f(x: real) = let x = x in ¦x", "let", "x"),
        ("loss f(x: real) = let x = ¦x in x", "input", "x: real"),
        ("loss f(x: real) = (let x = 1 in x) + ¦x", "input", "x: real"),
        ("loss f(x: real) = max(let x = 1 in x, ¦x)", "input", "x: real"),
        ("loss f(x: real) = if (let x = 1 in x > 0) then ¦x else x", "input", "x: real"),
        ("loss f(x: real) = let y = let x = 1 in x, z = ¦x in z", "input", "x: real"),
        ("loss f(x: real) = x  law f.l: f(x) >= ¦x for x: real in [0, 1]", "binder", "x: real in [0, 1]"),
        ("loss f(x: real) = x  law f.l: f(¦x) >= 0", "input", "x: real"),
        ("loss f(x: real; a = 1) = a * x  loss g(a: real) = f(a; ¦a = a)", "parameter", "a = 1"),
        ("loss f(x: real; a = 1) = a * x  loss g(a: real) = f(a; a = ¦a)", "input", "a: real"),
        ("loss f(x: real) = x per ¦x", "input", "x: real"),
    ],
)  # fmt: skip
def test_a_name_means_its_nearest_declaration(text: str, kind: str, declared: str) -> None:
    text, offset = marked(text)
    names = names_of(text)
    found = names.at(offset)
    assert found is not None and found.declaration is not None
    assert (found.declaration.kind, names.outline.source_of(found.declaration.words)) == (kind, declared)


@pytest.mark.parametrize("text", [
    "loss f(x: real) = ¦exp(x)", "loss f(x: real) = ¦pi", "loss f(x: real) = ?¦x(x)", "loss f(x: ¦real) = x",
    "loss f(x: real) = ¦unknown", "loss f(x: real) = x(¦y)", "# ¦x", "",
])  # fmt: skip
def test_what_a_text_does_not_declare_has_no_declaration(text: str) -> None:
    text, offset = marked(text or "¦")
    found = names_of(text).at(offset)
    assert found is None or found.declaration is None


def test_half_a_definition_has_the_names_that_are_written() -> None:
    names = names_of("loss f(x: real, y) = let a = x, b = (a + loss g(z: real) = z")
    kinds = [(o.word.text, o.declaration.kind) for o in names.occurrences if o.declaration and o.role == "value"]
    assert kinds == [("x", "input"), ("a", "let"), ("z", "input")]

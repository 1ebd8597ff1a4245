from __future__ import annotations

from pathlib import Path

import pytest

from glo_dsl.editor.hover import hover
from glo_dsl.editor.reading import Reading
from glo_dsl.editor.slope import slope
from glo_dsl.ir.expr import var
from glo_dsl.ir.types import REAL, REAL_ROW
from glo_dsl.lang.elaborate import parse_expression
from glo_dsl.lang.show import show
from glo_dsl.lang.zoo_files import zoo_index
from tests.editor.marked import at_mark


def said(text: str, path: Path | None = None) -> str:
    library, offset = at_mark(text, path)
    found = hover(Reading(library), offset)
    return found.text if found is not None else ""


def about(text: str) -> str:
    """The stretch of text that the answer is about."""
    library, offset = at_mark(text)
    found = hover(Reading(library), offset)
    assert found is not None
    return library.text[found.start : found.end]


FOCAL = """loss focal(z: real[C], t: class[C]; gamma = 2 in [0, 8]) =
  let p = softmax(z)[t] in
  -(1 - p) ^ gamma * log(p)
"""

EXPRESSIONS = {
    "-¦(1 - p)": ("1 - p: real in [0, 1)", "= 1 - softmax(z)[t]", "d focal / d (1 - p) = "),
    "(1 - p) ¦^ gamma": ("(1 - p) ^ gamma: real in [0, 1]", "d focal / d ((1 - p) ^ gamma) = -log_softmax(z)[t]"),
    "¦log(p)": ("log(p): real in (-inf, 0]", "= log_softmax(z)[t]", "natural logarithm", "`g / a`", "`a > 0`"),
    "log(¦p)": ("p: real in (0, 1]", "= softmax(z)[t]", "local name: a number", "d focal / d p = "),
    "let ¦p": ("p: real in (0, 1]", "= softmax(z)[t]", "local name: a number", "d focal / d p = "),
    "softmax(¦z)": ("z: real[C]", "d focal / d z = ", "input: a number for each class"),
    "focal(¦z": ("z: real[C]", "d focal / d z = ", "input: a number for each class"),
    "z)[¦t]": ("t: class[C]", "input: the index of a class"),
    "¦gamma = 2": ("gamma = 2 in [0, 8]", "d focal / d gamma = ", "parameter: a number, the same for the whole batch"),
    "^ ¦gamma": ("gamma = 2 in [0, 8]", "d focal / d gamma = ", "parameter"),
    "in [0, ¦8]": (),
    "¦softmax": ("softmax(a)", "exp(a) / sum(exp(a)), stable", "real[C] in (0, 1]", "a number for each class"),
    "¦let": ("local names",),
    "z: ¦real": ("a number",),
    "loss ¦focal": ("loss focal(z: real[C], t: class[C]; gamma = 2 in [0, 8])", "defined in line 1"),
}


@pytest.mark.parametrize("place", EXPRESSIONS)
def test_every_place_of_a_loss_is_explained(place: str) -> None:
    text = FOCAL.replace(place.replace("¦", ""), place, 1)
    assert text != FOCAL
    found = said(text)
    assert all(part in found for part in EXPRESSIONS[place]), found


def test_the_answer_says_what_it_is_about() -> None:
    assert about("loss f(x: real) = exp(x) ¦* x + 1") == "exp(x) * x"
    assert about("loss f(x: real) = ¦exp(x) * x") == "exp"
    assert about("loss f(x: real) = exp¦(x) * x") == "exp"
    assert about("loss f(x: real) = exp(x¦) * x") == "x"


def test_a_constant_condition_and_index_have_no_derivative() -> None:
    assert " / d " not in said("loss f(x: real) = if x ¦> 0 then x else 2 * x")
    assert " / d " not in said("loss f(x: real) = ¦2 * x")
    assert " / d " not in said("loss f(x: real) = 2 ¦* x"), "d f / d f says nothing"


def test_a_search_space_has_types_and_no_derivative() -> None:
    found = said("loss f(x: real) = ¦exp(x) * ?h(x)")
    assert "real in (0, inf)" in found and " / d " not in found


DEF = """# Half a square.
def half(r) = ¦r * r / 2
def unused(a) = a

loss first(x: real, y: real) = half(x - y)
loss second(x: real) = half(x)
"""


def test_types_in_a_def_are_those_of_the_first_call() -> None:
    assert said(DEF) == (
        "```glo\nr: real\n= x - y\nd first / d r = x - y\n```\nargument: a number; as called in line 5"
    )
    header = DEF.replace("¦", "").replace("half(r)", "half(¦r)", 1)
    assert said(header) == said(DEF)


def test_a_def_in_a_def_says_where_it_is_called() -> None:
    text = "def f(a) = ¦exp(a)\ndef g(b) =\n  f(b + 1)\nloss l(x: real) = g(2 * x)"
    assert "as called in line 3" in said(text) and "= exp(1 + 2 * x)" in said(text)


def test_a_def_that_nothing_calls_is_told_by_its_text() -> None:
    found = said("def f(a) = ¦a + 1\nloss l(x: real) = x")
    assert found == "```glo\na\n```\nargument"
    assert "def f(a)" in said("def ¦f(a) = a + 1")


def test_a_broken_first_call_does_not_hide_the_next() -> None:
    text = "def f(a) = ¦exp(a)\nloss bad(x: real) = f(x, 1) + f(y)\nloss good(x: real) = f(x)"
    assert "as called in line 3" in said(text)


@pytest.mark.parametrize("broken", [
    "loss b(x: real) = x +", "loss b(x: real) = sotfmax(x)", "loss b(", "def b(x", "law b.", "example", "import",
    "loss b(x: real) = b(x)", "loss f(x: real) = x",
])  # fmt: skip
def test_other_definitions_may_be_broken(broken: str) -> None:
    assert "exp(x): real in (0, inf)" in said(f"{broken}\nloss l(x: real) = ¦exp(x)\n{broken}")


def test_a_half_written_definition_has_its_names() -> None:
    assert said("loss f(x: real in [0, 1]) = exp(¦x +") == "```glo\nx: real in [0, 1]\n```\ninput"
    assert "e ^ a" in said("loss f(x: real) = ¦exp(x +")


def test_laws_and_examples() -> None:
    text = "loss f(x: real; k = 1 in [0, 2]) = k * x\nlaw f.even: f(¦-y) == -f(y; k = k) for y: real in [0, 1]\n"
    assert "-y: real in [-1, 0]" in said(text) and " / d " not in said(text)
    assert "y: real in [0, 1]" in said(text.replace("¦-y", "-¦y"))
    assert "k = 1 in [0, 2]\n```\nparameter" in said(text.replace("¦", "").replace("; k = k", "; ¦k = k"))
    assert "loss f(x: real; k = 1 in [0, 2])" in said("loss f(x: real; k = 1 in [0, 2]) = k * x\nexample ¦f(1) == 1")
    assert said("loss f(x: real) = x * x\n# It is even.\nlaw f.¦even: f(x) == f(-x)") == "It is even."


def test_what_stands_after_per() -> None:
    found = said("loss f(x: real, w: real in [1, 2]) = w * x per ¦sqrt(w)")
    assert "sqrt(w): real in [1, 1.41421]" in found and " / d " not in found


def test_functions_say_where_they_come_from(tmp_path: Path) -> None:
    (tmp_path / "other.glo").write_text("# From afar.\nloss far(x: real; k = 1) = k * x")
    assert f"import std: {zoo_index()['focal']}" in said("import std loss f(z: real[C], t: class[C]) = ¦focal(z, t)")
    assert "every file knows" in said("loss f(z: real[C]) = ¦entropy(softmax(z))")
    far = said('import "other.glo"\nloss f(x: real) = ¦far(x; k = 2)', tmp_path / "main.glo")
    assert all(part in far for part in ("loss far(x: real; k = 1)", "From afar.", "*import other.glo*", "2 * x"))
    assert said('import "other.glo"\nloss f(x: real) = far(x; ¦k = 2)', tmp_path / "main.glo") == (
        "```glo\nk = 1\n```\nparameter"
    )
    assert said("loss f(x: real) = ¦max(x, 1)").count("```glo") == 3, "max has two signatures"


def test_constants_comments_and_nothing() -> None:
    assert "the number of classes" in said("loss f(z: real[C]) = sum(z) / ¦C")
    assert said("loss f(x: real) = x # ¦exp") == "" == said("¦") == said("loss f(x: real) = x \n\n¦\n")


def test_long_expressions_are_not_spelled_out() -> None:
    text = f"loss f(x: real) = ¦square({' + '.join(['exp(x)'] * 60)}) + 1"
    found = said(text)
    assert "...: real in (0, inf)" in found and len(found) < 1000
    doubled = ", ".join(f"a{n + 1} = a{n} * a{n} + 2" for n in range(100))
    assert said(f"loss f(x: real) = let a0 = x, {doubled} in ¦a100").startswith("```glo\na100: real\n```"), (
        "no finite value"
    )


def test_a_derivative_may_have_several_paths_and_more_axes() -> None:
    x, z = var("x", REAL), var("z", REAL_ROW)
    scope = {"x": x, "z": z}
    value, by = parse_expression("square(exp(x)) + 3 * exp(x)", scope), parse_expression("exp(x)", scope)
    found = slope(value, by)
    assert found is not None and show(found) == "3 + 2 * exp(x)"
    row = slope(parse_expression("sum(z * exp(z))", scope), parse_expression("exp(z)", scope))
    assert row is not None and show(row) == "z"
    assert slope(value, z) is None and slope(parse_expression("lgamma(x) * trigamma(x)", scope), x) is None

"""The canonical form: what it looks like, that it changes no meaning, that it loses no comment, that it is its own."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lark import Token, Tree

from glo_dsl.errors import GloError, Source
from glo_dsl.lang import format
from glo_dsl.lang.concrete import _parser, comments, concrete
from glo_dsl.lang.definitions import losses_of
from glo_dsl.lang.format import format_text
from glo_dsl.lang.layout import WIDTH
from glo_dsl.lang.syntax import Node, parse
from tests.lang.files import bracketed_losses, expressions, files, scattered

ROOT = Path(__file__).parents[2]
FILES = sorted([*ROOT.glob("examples/*.glo"), *ROOT.glob("grammar/*.glo")])
DOCUMENTS = [ROOT / "README.md", ROOT / "grammar" / "LANGUAGE.md"]


def meaning(text: str) -> list[str]:
    """The parse tree in a row, without brackets, but with those that tell -(2) from -2."""
    found: list[str] = []
    stack: list[tuple[Node | Token | None, bool]] = [(parse(Source(text)), False)]
    while stack:
        node, negated = stack.pop()
        if isinstance(node, Tree) and node.data == "group":
            inside = node.children[0]
            while isinstance(inside, Tree) and inside.data == "group":
                inside = inside.children[0]
            assert isinstance(inside, Tree)
            literal = inside.data == "number" or inside.children == ["inf"]
            found += ["bracketed"] if negated and literal else []
            stack.append((inside, False))
        elif isinstance(node, Tree):
            found.append(f"({node.data}")
            stack.append((Token("END", ")"), False))
            stack.extend((child, node.data == "neg") for child in reversed(node.children))
        else:
            found.append(str(node))
    return found


def words(text: str) -> list[str]:
    return [comment.text for comment in comments(text)]


@settings(max_examples=settings().max_examples // 2)
@given(files())
def test_it_means_the_same_has_all_comments_and_is_its_own_form(text: str) -> None:
    formatted = format_text(text)
    assert meaning(formatted) == meaning(text)
    assert words(formatted) == words(text)
    assert format_text(formatted) == formatted


@settings(max_examples=settings().max_examples // 2)
@given(st.lists(bracketed_losses(), min_size=1, max_size=2), st.data())
def test_losses_are_the_same_objects_with_the_same_documentation(parts: list[list[str]], data: st.DataObject) -> None:
    named = [["loss", f"f{n}", *part[2:]] for n, part in enumerate(parts)]
    text = data.draw(scattered([token for part in named for token in part]))
    before, after = losses_of(text), losses_of(format_text(text))
    assert list(before) == list(after)
    for name, loss in before.items():
        again = after[name]
        assert again.expr is loss.expr and again.inputs == loss.inputs and again.params == loss.params
        assert again.doc == loss.doc


@settings(max_examples=settings().max_examples // 2)
@given(expressions(), expressions(2))
def test_no_line_is_too_long(body: list[str], claim: list[str]) -> None:
    """Where names are short, that is: a line can end before every operator, argument and bracket."""
    for line in format_text(f"def f(x) = {' '.join(body)} law a.b: {' '.join(claim)}").splitlines():
        assert len(line) <= WIDTH and line == line.rstrip()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_files_of_the_project_are_in_their_form(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert format_text(text, str(path)) == text, f"run: glo fmt {path}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_losses_in_the_documents_are_in_their_form(path: Path) -> None:
    found = re.findall(r"^```glo\n(.*?)^```$", path.read_text(encoding="utf-8"), re.M | re.S)
    assert found
    for text in found:
        assert format_text(text) == text


NASTY = """

# header
#   two lines   \t

import "a # b.glo" import b # tail of import


# floating


#doc of f
def f(a,b,)=(((a+b)))*(-2)-((b)) # tail of f
def g(x)=(x)# tail of g
# about h
def h(x)=if x>0 then(if x>1 then 2 else 3)else(if x<-1 then-(2)else -((inf)))
loss long_one(z: shared real[C] in(0,1], t:class[C],;alpha=(1) in [0,inf),# alpha
   beta=-1, # beta
   # above delta
   delta = .5e-3 in [-(1),1e3]) = let a=softmax(z), # first
   # about b
   b=(onehot(t)),
   c = a*b + a*b + a*b + a*b + a*b + a*b + a*b + a*b + a*b + a*b + a*b + a*b + a*b + a*b + a*b + a*b in # after in
   -sum((a*(b+c)) # product
    + # plus
    f(a, # arg
      b) - ?h(a,(b))+ very_long_function_name(a, another_function(b, c), yet_another_function_name(a, b); k=3,j=(4),)
     ) per (w[(t)])
law long_one.a_law:((long_one(z,t)>=0)) for k:real in [-5,5],j:bool
law long_one.a_law_with_a_long_claim: long_one(z + kkkkkkkkkkkkkkk, t) == long_one(zzzzzz, t) + 1 for k:real in [-5,5]
law long_one.longer: not(long_one(z + kkkkkkkkkkkkkkkkkk, t) != true and long_one(zzzzzz, t) <= 1 or false) for k:real
example f((1),(let x=1 in x)) == 2 +- 1e-5
example f(0,[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32,33,34,35,36,],) < 2
loss # becomes the tail of its line
 # goes below it
 two(x: real) = x # behind
loss three(x: real) = (x # inside
) # outside
# about chain
def chain(a) = if aaaaaaaaaaaaaaaaaaaaaaa > 0 then bbbbbbbbbbbbbbbbbbbbbbbbbbbbbb else if cccccc > 1 then 0
  else if ccccccccccccccccccccccc > ddddddddddddddddddddd and eeeeeeeeeeeeeeeeeeeeeeeee < fffffffffff
  then ggggggggggggg + hhhhhhhhhhhhhhhhhh * iiiiiiiiii / jjjjjjjjjjjjjjj else kkkkkkkkkkkkkkkk ^ -2
# last


# very last"""


def test_a_nasty_file(golden: Callable[[str, str], None]) -> None:
    formatted = format_text(NASTY)
    golden(formatted, "nasty.glo")
    assert words(formatted) == words(NASTY) and meaning(formatted) == meaning(NASTY)
    assert format_text(formatted) == formatted


def test_the_nasty_file_has_every_construct_of_the_grammar() -> None:
    rules = [rule for rule in _parser().rules if rule.alias or not rule.options.expand1]
    named = {str(rule.alias or rule.origin.name) for rule in rules}
    found = {str(tree.data) for tree in concrete(Source(NASTY)).iter_subtrees()}
    assert found == {name for name in named if not name.startswith("_")}


LONG = " + ".join(["some_long_name"] * 8)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("loss f(x: real) = let a = x in a", ["loss f(x: real) =", "  let a = x in", "  a"]),
        ("loss f(x: real) = (let a = x in (let b = a in b))",
         ["loss f(x: real) =", "  let a = x in", "  let b = a in", "  b"]),
        (f"def f(x) = {LONG}", ["def f(x) =", "  some_long_name", *["  + some_long_name"] * 7]),
        (f"def f(x) = {LONG.replace('+', '^')}", ["def f(x) =", "  some_long_name", *["  ^ some_long_name"] * 7]),
        (f"def f(x) = -g({LONG}, x)", [
            "def f(x) =", "  -g(", "    some_long_name", *["    + some_long_name"] * 7 + [","], "    x", "  )"]),
        (f"def f(x) = let a = {LONG}, b = x in b", [
            "def f(x) =", "  let a =", "        some_long_name", *["        + some_long_name"] * 7 + [","],
            "      b = x in", "  b"]),
        (f"def f(x) = if x > 0 then {LONG[:60]} else if x > 1 then 0 else 1", [
            "def f(x) =", f"  if x > 0 then {LONG[:60]}", "  else if x > 1 then 0", "  else 1"]),
        (f"def f(x) = if x > 0 then {LONG} else 1", [
            "def f(x) =", "  if x > 0", "    then some_long_name", *["      + some_long_name"] * 7, "  else 1"]),
        (f"def f(x) = {LONG} - x * {LONG.replace('+', '*')}", [
            "def f(x) =", "  some_long_name", *["  + some_long_name"] * 7, "  - x", *["    * some_long_name"] * 8]),
        (f"law f.of_itself: f({LONG[:65]}) == 1 for x: real", [
            f"law f.of_itself: f({LONG[:65]}) == 1", "  for x: real"]),
        (f"law f.of_itself: f({LONG[:80]}) == 1 for x: real", [
            "law f.of_itself:", f"  f({LONG[:80]}) == 1", "  for x: real"]),
        (f"loss f({', '.join(f'input_{n}: real' for n in range(7))}; a = 1) = 1", [
            "loss f(input_0: real, input_1: real, input_2: real, input_3: real, input_4: real, input_5: real,",
            "       input_6: real;", "       a = 1) =", "  1"]),
        (f"loss {'f' * 40}({', '.join(f'input_{n}: real' for n in range(4))}; a = 1) = 1", [
            f"loss {'f' * 40}(", "    input_0: real, input_1: real, input_2: real, input_3: real; a = 1) =", "  1"]),
        (f"loss f(x: real) = {LONG[:80]} per x", ["loss f(x: real) =", f"  {LONG[:80]}", "  per x"]),
    ],
)  # fmt: skip
def test_what_does_not_fit_on_a_line(text: str, lines: list[str]) -> None:
    assert format_text(text).replace(" +\n", "\n").splitlines() == _joined(lines)


def _joined(lines: list[str]) -> list[str]:
    """A comma alone belongs to the line before."""
    found: list[str] = []
    for line in lines:
        if line == ",":
            found[-1] += ","
        else:
            found.append(line)
    return found


F, G = "def f(x) = x\n", "def g(x) =\n  let a = x in\n  a\n"


@pytest.mark.parametrize(
    ("text", "formatted"),
    [
        ("", ""), ("\n\n \n", ""), ("\n\n# a\n\n\n# b\n\n", "# a\n\n# b\n"), (f"\n\n{F}", F),
        ("def f(x) = x def f(x) = x", F + F), (f"{F}\n\n\n{F}", f"{F}\n{F}"), (F + G + F, f"{F}\n{G}\n{F}"),
        (f"{F}# about f\n{F}", f"{F}\n# about f\n{F}"), (f"{F}# about a\nlaw a.b: x", f"{F}# about a\nlaw a.b: x\n"),
        (f"{G}law a.b: x", f"{G}\nlaw a.b: x\n"), (f"{F}law a.b: x\n\n\nexample x", f"{F}law a.b: x\n\nexample x\n"),
        (f"# top\n{F}", f"# top\n{F}"), (f"# top\n\n\n{F}", f"# top\n\n{F}"), (f"{F}# end", f"{F}# end\n"),
        (f"{G}# g, once\n\n# f\n{F}", f"{G}# g, once\n\n# f\n{F}"), (f"{G}\n# f\n\n{F}", f"{G}\n# f\n\n{F}"),
        (f"{G}  # f\n{F}", f"{G}\n# f\n{F}"), (f"{F.strip()} # tail\n# f\n{F}", f"{F.strip()}  # tail\n\n# f\n{F}"),
        ("def f(x) = (x # a\n # b\n) # c\n# d\ndef f(x) = x", "def f(x) = x  # a\n# b\n# c\n\n# d\ndef f(x) = x\n"),
        (f"def f(x) = (x\n # a\n)\n{F}", f"{F}# a\n\n{F}"),
        ("import # a\n # b\n torch # c", "import torch  # a\n# b\n# c\n"),
        ("# a\r\nimport torch # b\r\n", "# a\nimport torch  # b\n"),
    ],
)  # fmt: skip
def test_blank_lines_and_comments_between_definitions(text: str, formatted: str) -> None:
    assert format_text(text) == formatted
    assert format_text(formatted) == formatted


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        ("x # tail", ["def f(x) = x  # tail"]),
        ("\n# above\n x", ["def f(x) =", "  # above", "  x"]),
        ("f(x, # first\n y)", ["def f(x) =", "  f(", "    x,  # first", "    y", "  )"]),
        ("f(x, y # last\n)", ["def f(x) =", "  f(", "    x,", "    y  # last", "  )"]),
        ("f(x, y) # behind\n + 1", ["def f(x) =", "  f(x, y)  # behind", "  + 1"]),
        ("x + # plus\n 1", ["def f(x) = x + 1  # plus"]),
        ("x + # plus\n 1 + 2", ["def f(x) =", "  x", "  + 1  # plus", "  + 2"]),
        ("x +\n # one\n 1", ["def f(x) =", "  x", "  # one", "  + 1"]),
        ("x\n # one\n + 1 * 2", ["def f(x) =", "  x", "  # one", "  + 1 * 2"]),
        ("let a = x in # why\n a", ["def f(x) =", "  let a = x in  # why", "  a"]),
        ("let\n # why\n a = x in a", ["def f(x) =", "  # why", "  let a = x in", "  a"]),
        ("- # a\n x # b", ["def f(x) =", "  # a", "  -x  # b"]),
        ("if x > 0 # pos\n then 1 else 0", ["def f(x) =", "  if x > 0  # pos", "    then 1", "  else 0"]),
        ("[1, 2, # two\n 3, 4]", ["def f(x) =", "  [", "    1, 2,  # two", "    3, 4", "  ]"]),
        ("[1, 2,\n # three\n 3, 4]", ["def f(x) =", "  [", "    1, 2,", "    # three", "    3, 4", "  ]"]),
    ],
)  # fmt: skip
def test_comments_inside_a_definition(body: str, lines: list[str]) -> None:
    assert format_text(f"def f(x) = {body}").splitlines() == lines
    assert format_text("\n".join(lines)).splitlines() == lines


DEEP = {
    "sum": "x + " * 5000 + "x",
    "minus": "-" * 5000 + "x",
    "power": "x ^ " * 2000 + "x",
    "else": "if x > 0 then x else " * 1200 + "x",
    "let": "let y = x + x in " * 1200 + "y",
    "let in brackets": "(" + "let y = x + x in " * 1200 + "y) + 1",
    "not": "not " * 2000 + "x",
    "index": "x" + "[x]" * 1200,
    "row": "[" + "1, " * 2000 + "1]",
    "comments": " # c\n + ".join(["x"] * 2000),
    "brackets": "(1 + " * 199 + "x" + ")" * 199,
    "calls": "f(1, " * 199 + "x" + ")" * 199,
}


@pytest.mark.parametrize("text", DEEP.values(), ids=DEEP)
def test_neither_depth_nor_length_exhausts_the_stack(text: str) -> None:
    began = time.perf_counter()
    formatted = format_text(f"def f(x) = {text}")
    assert time.perf_counter() - began < 20
    assert meaning(formatted) == meaning(f"def f(x) = {text}")
    assert format_text(formatted) == formatted


def test_many_brackets_around_a_name_are_none() -> None:
    assert format_text(f"def f(x) = {'(' * 5000}x{')' * 5000}") == F


def test_a_form_that_would_be_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(format, "MAX_TEXT", len(F) - 1)
    with pytest.raises(GloError, match="formatted, the text has 13 characters; the limit is 12"):
        format_text("def f(x)=x")


def test_errors_are_all_told() -> None:
    with pytest.raises(GloError) as error:
        format_text("loss f(x: real) = x x\nloss g(x: real) = (x\n", "two.glo")
    assert [d.span.line for d in error.value.diagnostics if d.span] == [1, 2]
    assert str(error.value).startswith("two.glo:1:21: ")


def test_names_and_types_are_nothing_to_format() -> None:
    assert format_text("loss f(x:imaginary)=nothing(x)") == "loss f(x: imaginary) = nothing(x)\n"

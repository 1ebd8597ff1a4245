"""What a file's definitions become: types, domains, defaults, texts."""

from __future__ import annotations

import pytest

import glo_dsl as glo
from glo_dsl.ir.types import ANY, UNIT, Interval

TEXT = """
# Not documentation: a blank line follows.

# Counts twice.
#   Indented.
def twice(x) = 2 * x

# First line.
# Second line.
loss one(z: real[C], q: prob[C], t: class[C], b: bool, m: bool[C], w: shared real[C], x: real in [0, 1 + 1];
         a = -1, c = 2 ^ 3 in [1, 10],) =
  # inside
  twice(a) * sum(w * z) + c  # tail

loss two(x: real) = x loss three(x: real) = one_more(x)
def one_more(x) = x + 1
"""


def test_losses_come_in_the_order_of_the_text() -> None:
    assert list(glo.loads(TEXT)) == ["one", "two", "three"]


def test_types_and_domains_are_those_declared() -> None:
    one = glo.loads(TEXT)["one"]
    assert {v.name: str(v.type) for v in one.inputs} == {
        "z": "real[C]", "q": "real[C]", "t": "class[C]", "b": "bool", "m": "bool[C]", "w": "real[C]", "x": "real",
    }  # fmt: skip
    assert [v.name for v in one.inputs if not v.type.per_sample] == ["w"]
    domains = {v.name: v.domain for v in one.inputs}
    assert domains["q"] == UNIT and one.inputs[1].simplex and domains["x"] == Interval(0, 2) and domains["z"] == ANY
    assert one.defaults == {"a": -1.0, "c": 8.0}
    assert [p.var.domain for p in one.params] == [ANY, Interval(1, 10)]


def test_documentation_is_the_comment_directly_above() -> None:
    losses = glo.loads(TEXT)
    assert losses["one"].doc == "First line.\nSecond line."
    assert losses["one"].text.startswith("# First line.\n# Second line.\nloss one(")
    assert losses["one"].text.endswith("+ c  # tail")


def test_definitions_on_one_line_have_texts_of_their_own() -> None:
    losses = glo.loads(TEXT)
    assert losses["two"].text == "loss two(x: real) = x"
    assert losses["three"].text == "loss three(x: real) = one_more(x)"
    assert losses["three"].doc == ""


@pytest.mark.parametrize("separator", ["\u2028", "\x0c", "\x85", "\x1d"])
def test_strange_line_separators_in_comments_do_not_shift_texts(separator: str) -> None:
    losses = glo.loads(f"# a {separator} b\n\n# doc\nloss f(x: real) = x\nloss g(x: real) = x + 1")
    assert losses["f"].text == "# doc\nloss f(x: real) = x" and losses["f"].doc == "doc"
    assert losses["g"].text == "loss g(x: real) = x + 1"


def test_a_def_may_come_later_and_hide_nothing() -> None:
    (loss,) = glo.loads("loss f(x: real, y: real) = g(y) + x\ndef g(x) = let y = x * x in y").values()
    (same,) = glo.loads("loss f(x: real, y: real) = y * y + x").values()
    assert loss.expr is same.expr


def test_let_names_end_with_their_let() -> None:
    (loss,) = glo.loads("loss f(x: real) = (let x = 2 * x, y = x in x + y) + x").values()
    (same,) = glo.loads("loss f(x: real) = (2 * x + 2 * x) + x").values()
    assert loss.expr is same.expr
    with pytest.raises(glo.GloError, match="unknown name y"):
        glo.loads("loss f(x: real) = (let y = x in y) + y")


def test_an_empty_text_has_no_losses() -> None:
    assert glo.loads("") == {} and glo.loads("# nothing\n") == {}


def test_representations_show_what_a_reader_needs() -> None:
    one = glo.loads(TEXT)["one"]
    assert repr(one).startswith("<loss one(z: real[C], q: real[C], t: class[C],") and "a=-1" in repr(one)
    assert str(one) == one.text
    assert str(one.input_type("t")) == "class[C]"

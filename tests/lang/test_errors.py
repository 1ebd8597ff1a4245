"""What a wrong text is told: the message, the place, the caret, the way out."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import glo_dsl as glo
from glo_dsl.errors import GloError, Source, Span, did_you_mean
from glo_dsl.passes.pipeline import check_filled, compile_program

BAD = """
loss f(x: real) = x ** 2
foo
loss f(x: real) = foo
loss f(x: real) = exq(x)
loss f(x: real) = if x > 0 then x
loss f(x: real) = if x > 0 x else 1
loss f(x: real) = let y = x
loss f(x: real) = let y = x y
loss f(x: real) = (x + 1
loss f(x: real) = x + 1)
loss f(x: real) = (x + 1]
loss f(x: real) = x[0
loss f(x: real) = 2 x
loss f(x: real) = log x
loss f(x: real) = x +
loss f(x: real) = * x
loss f(x: real) =
loss f(x: real)
loss f(x: real) x
loss f(x real) = x
loss f(x) = x
loss f() = 1
loss (x: real) = x
f(x: real) = x
import stdd
def g(x: real) = x
def g(x) = x + y loss f(x: real) = g(x)
def g(x) = g(x) loss f(x: real) = g(x)
def g(x, x) = x loss f(x: real) = g(x, x)
def g(x) = x loss f(x: real) = g(x, x)
def g(x) = x def g(y) = y
loss f(x: real) = x loss f(x: real) = x
loss f(x: real, x: real) = x
loss f(x: real; x = 1) = x
loss f(z: real[C]) = z
loss f(x: real) = x > 0
loss f(t: class[C]) = t
loss f(z: real[C], t: class[C]) = sum(z * t)
loss f(z: real[C], t: class) = z[t]
loss f(z: real[K]) = sum(z)
loss f(z: vector) = z
loss f(z: real[C) = z
loss f(z: rael[C]) = sum(z)
loss f(x: real) = sum(x)
loss f(x: real) = x[x]
loss f(z: real[C]) = sum(z[z])
loss f(x: real) = log(x, 2)
loss f(x: real) = max(x, 1, 2)
loss f(x: real) = log
loss f(x: real) = x(2)
loss f(x: real) = x and x
loss f(x: real) = if x then 1 else 0
loss f(x: real, b: bool) = if b == x then 1 else 0
loss f(x: real) = if 1 < x < 2 then 1 else 0
loss f(x: real) = 1 < x < 2
loss f(x: real) = x > 0 or x and
loss f(x: real) = x % 2
loss f(x: real) = x && x
loss f(x: real) = !x
loss f(x: real) = "x"
loss f(x: real) = x = 2
loss f(x: real) = 1e999
loss f(x: real) = x;
loss f(x: real; a) = x
loss f(x: real; a = y) = x
loss f(x: real; a = nan) = x
loss f(x: real; a = 5 in [0, 1]) = x
loss f(x: real; a = 5 in [1, 0]) = x
loss f(x: real; a = 5 in (0, 1)) = x
loss f(b: bool in [0, 1]) = 1
loss f(pi: real) = pi
loss f(x: real) = let C = 1 in C
loss f(let: real) = 1
loss f(x: real) = x + then
loss f(x: shared real) = x
loss f(z: real[C], t: shared class[C]) = z[t]
loss f(x: real) = ?h
loss f(x: real) = ?h()
loss f(b: bool) = ?h(b)
loss f(x: real) = x..2
loss f(x: real) = λ
loss f(x: real) = sigmod(x)
loss f(x: real) = x true
""".strip().split("\n")


def complaint(text: str) -> GloError:
    with pytest.raises(GloError) as caught:
        glo.loads(text, "bad.glo")
    return caught.value


def test_messages_of_bad_texts(golden: Callable[[str, str], None]) -> None:
    golden("\n\n".join(str(complaint(text)) for text in BAD) + "\n", "errors.txt")


@pytest.mark.parametrize("text", BAD)
def test_the_caret_stands_under_the_place(text: str) -> None:
    error = complaint(text)
    assert error.span is not None and error.source is not None
    head, line, caret, *hint = str(error).split("\n")
    assert head.startswith(f"bad.glo:{error.span.line}:{error.span.column}: ")
    assert line == "  " + text
    assert caret.index("^") == 2 + error.span.column - 1
    assert caret.count("^") == len(caret.strip()) <= max(1, len(text) - error.span.column + 1)
    assert len(hint) <= 1 or len(error.diagnostics) > 1
    assert not error.message.endswith(".")


@pytest.mark.parametrize(
    ("text", "underlined"),
    [
        ("loss f(x: real) =\n  log(x) +\n  foo * 2", "foo"),
        ("# \u2028 two\x0cpages \x85\nloss f(x: real) = foo", "foo"),
        ("loss f(x: real) =\r\n  1 +\r\n\tsotfmax(x)\r\n", "sotfmax"),
        ("loss f(x: real) = 1 + " + "x + " * 60 + "fooo + x" * 40, "fooo"),
        ("# first\n\n\ndef g(x) = bar(x)\nloss f(x: real) = g(x)", "bar"),
        ("loss f(x: real) = x\nloss g(x: real) = log(x, 2)", "log(x, 2)"),
    ],
)
def test_the_underlined_text_is_the_one_that_is_wrong(text: str, underlined: str) -> None:
    error = complaint(text)
    head, line, caret, *_ = str(error).split("\n")
    start = caret.index("^")
    assert line[start : start + caret.count("^")] == underlined
    assert f":{text.split(underlined)[0].count(chr(10)) + 1}:" in head
    assert "\r" not in line and len(line) < 120


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("loss f(x: real) = x ** 2", "power is written ^"),
        ("foo", "a file holds definitions"),
        ("loss f(x: real) = exq(x)", "did you mean exp?"),
        ("loss f(logits: real[C]) = sum(logit)", "did you mean logits?"),
        ("def double(x) = 2 * x\nloss f(x: real) = doubel(x)", "did you mean double?"),
        ("loss f(x: real) = 2 x", "multiplication is written *"),
        ("loss f(x: real) = (x + 1\nloss g(x: real) = x", "line 1, column 19 is never closed"),
    ],
)
def test_the_hint_says_what_to_write(text: str, hint: str) -> None:
    assert hint in (complaint(text).hint or "")


def test_an_unfilled_hole_is_refused_where_it_is_compiled() -> None:
    (loss,) = glo.loads("# space\nloss f(x: real) = ?h(x)", "space.glo").values()
    for attempt in (lambda: check_filled(loss), lambda: compile_program(loss, ["x"]), lambda: glo.compile(loss)):
        with pytest.raises(GloError, match=r"f has a hole: \?h") as caught:
            attempt()
        assert str(caught.value).startswith("space.glo:2:6: ") and "glo search" in str(caught.value)


def test_an_error_without_a_text_is_its_message_and_hint() -> None:
    assert str(GloError("it broke", hint="mend it")) == "it broke\n  mend it"
    assert str(GloError("it broke", Span(1, 1))) == "it broke"


def test_a_place_once_known_is_kept() -> None:
    error = GloError("x", Span(1, 2)).at(Span(3, 4), Source("text"))
    assert error.span == Span(1, 2) and error.source == Source("text")


def test_did_you_mean_is_silent_when_nothing_is_near() -> None:
    assert did_you_mean("qqq", ["softmax"]) is None


def test_files_that_cannot_be_read_are_named(tmp_path: object) -> None:
    from pathlib import Path

    path = Path(str(tmp_path)) / "bytes.glo"
    with pytest.raises(GloError, match=r"cannot read .*bytes\.glo"):
        glo.load(path)
    path.write_bytes(b"\xff\xfe loss")
    with pytest.raises(GloError, match=r"bytes.glo is not UTF-8 text"):
        glo.load(path)

"""All errors of a file at once: one broken definition costs no other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import glo_dsl as glo
from glo_dsl.errors import Source
from glo_dsl.lang.definitions import check
from glo_dsl.lang.syntax import MAX_ERRORS, parse_file

GOOD = ("loss ok{n}(x: real) = x * x", "def fine{n}(a) = a + 1", "loss row{n}(z: real[C], t: class[C]) = z[t]")
BROKEN = (
    "loss bad{n}(x: real) = (x * x", "loss bad{n}(x: real) = x x", "loss bad{n}(x) = x", "def bad{n}(x = x",
    "loss bad{n}(x: real) = x +", "loss bad{n}(x: real) = if x > 0 then x", "law bad{n}.: x > 0", "example 1 ==",
    "loss bad{n}(x: real) = x % 2", "import 3", 'loss bad{n}(x: real) = "text"', "loss bad{n}(x: real) = x]",
)  # fmt: skip


@given(
    st.lists(st.booleans().flatmap(lambda good: st.tuples(st.just(good), st.sampled_from(GOOD if good else BROKEN))))
)
def test_every_good_definition_is_read_and_every_bad_one_reported_once(parts: list[tuple[bool, str]]) -> None:
    lines = [text.format(n=n) for n, (_, text) in enumerate(parts)]
    parsed = parse_file(Source("\n".join(lines)))
    good = [n for n, (fine, _) in enumerate(parts) if fine]
    assert [str(node.children[0]) for node in parsed.definitions] == [lines[n].split()[1].split("(")[0] for n in good]
    assert [node.meta.line for node in parsed.definitions] == [n + 1 for n in good]
    assert len(parsed.errors) == min(len(parts) - len(good), MAX_ERRORS)


def test_errors_of_syntax_names_and_types_come_together_in_the_order_of_the_text() -> None:
    text = """
    loss a(x: real) = foo(x) + bar
    loss b(x: real) = x +
    loss c(z: real[C]) = z
    loss d(x: real) = d2(x)
    def d2(x) = x + baz
    law a.even: a(x) == a(
    loss e(x: real) = b(x) + x
    """
    found = check(text)
    assert [(d.span.line, d.code) for d in found.errors if d.span] == [
        (2, "unknown-function"), (2, "unknown-name"), (3, "unexpected-end"), (4, "body-per-class"),
        (6, "unknown-name"), (7, "unclosed-bracket"),
    ]  # fmt: skip
    with pytest.raises(glo.GloError) as error:
        glo.loads(text)
    assert len(error.value.diagnostics) == 6 and str(error.value).count("<string>:") == 6


def test_what_calls_a_broken_definition_is_not_blamed() -> None:
    found = check("loss broken(x: real) = (x\nloss f(x: real) = broken(x) + y\nlaw broken.even: broken(x) == 1")
    assert [d.code for d in found.errors] == ["unclosed-bracket", "unknown-name"]


def test_one_mistake_is_said_once() -> None:
    found = check("def g(x) = x + typo loss a(x: real) = g(x) * g(2 * x) loss b(x: real) = g(x)")
    assert len(found.errors) == 1


def test_warnings_do_not_stand_where_an_error_does() -> None:
    found = check("loss f(x: real, y: real) = foo(x)")
    assert [d.severity for d in found.diagnostics] == ["error"]


def test_a_file_of_errors_is_read_in_bounded_time_and_length() -> None:
    found = check("loss x(\n" * 30_000)
    assert 0 < len(found.diagnostics) <= 200


@given(st.text(alphabet='loss def(x:real)=+-*/[],;.\n "#?exp123', max_size=80))
def test_no_text_breaks_the_checker(text: str) -> None:
    check(text)
    check(f"loss f(x: real) = x * x\n{text}\nloss g(x: real) = x")

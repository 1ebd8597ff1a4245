"""Trees with all tokens, and the comments beside them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from glo_dsl.errors import GloError, Source
from glo_dsl.lang.concrete import comments, concrete, reserved, terminal
from glo_dsl.lang.syntax import KEYWORDS, MAX_TEXT
from tests.lang.files import files, tokens_of


@settings(max_examples=settings().max_examples // 4)
@given(files(2))
def test_tokens_and_comments_are_the_whole_text(text: str) -> None:
    rest = text
    for comment in comments(text)[::-1]:
        assert rest.startswith(comment.text, comment.start)
        rest = rest[: comment.start] + rest[comment.start + len(comment.text) :]
    assert "".join(rest.split()) == "".join("".join(tokens_of(text)).split())


def test_comments_know_their_lines() -> None:
    found = comments('# a\n\nimport "#b" # c\n \t# d #e\n')
    assert [(c.text, c.line, c.alone) for c in found] == [("# a", 0, True), ("# c", 2, False), ("# d #e", 3, True)]


def test_reserved_words_are_the_keywords() -> None:
    assert sorted(reserved()) == sorted(KEYWORDS)
    assert terminal("NUMBER").startswith("([0-9]+")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def f(x) = (x", "the text ends too early"),
        ("def f(x) = x\n" * (MAX_TEXT // 13 + 1), "the limit is 300000"),
        ("def f(x) = x ! x", "unexpected character '!'"),
    ],
)
def test_what_is_no_glo_text_is_refused(text: str, message: str) -> None:
    with pytest.raises(GloError, match=message):
        concrete(Source(text))


def test_nesting_has_no_limit() -> None:
    assert tokens_of(f"def f(x) = {'(' * 5000}x{')' * 5000}")[5:] == ["=", *["("] * 5000, "x", *[")"] * 5000]

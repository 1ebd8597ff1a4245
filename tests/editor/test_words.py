from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from glo_dsl.editor.words import NAME_PATTERN, NUMBER_PATTERN, is_name, words_of
from glo_dsl.lang.syntax import grammar


def test_names_and_numbers_are_those_of_the_grammar() -> None:
    terminals = dict(re.findall(r"^(NAME|NUMBER): /(.*)/$", grammar("glo.lark"), re.M))
    assert terminals == {"NAME": NAME_PATTERN, "NUMBER": NUMBER_PATTERN}


def test_words_of_every_kind() -> None:
    found = words_of('loss f2(x) <= 1.5e-3 "a # b" # let\n+- x')
    assert [(word.kind, word.text) for word in found.words] == [
        ("keyword", "loss"), ("name", "f2"), ("sign", "("), ("name", "x"), ("sign", ")"), ("sign", "<="),
        ("number", "1.5e-3"), ("string", '"a # b"'), ("sign", "+-"), ("name", "x"),
    ]  # fmt: skip
    assert not found.in_comment(29) and found.in_comment(30) and found.in_comment(34) and not found.in_comment(35)


@given(st.text())
def test_no_word_is_lost_and_none_is_made_up(text: str) -> None:
    found = words_of(text)
    assert all(text[word.start : word.end] == word.text for word in found.words)
    covered = {place for word in found.words for place in range(word.start, word.end)}
    covered |= {place for start, end in found.comments for place in range(start, end)}
    assert all(character.isspace() for place, character in enumerate(text) if place not in covered)


def test_keywords_are_no_names() -> None:
    assert is_name("android") and is_name("_x1")
    assert not is_name("and") and not is_name("1x") and not is_name("") and not is_name("x y") and not is_name("é")

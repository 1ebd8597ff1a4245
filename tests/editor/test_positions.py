from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glo_dsl.editor.positions import Lines
from glo_dsl.errors import Span

TEXTS = st.text(st.sampled_from("ab\n\r\u2028é😀"), max_size=20)


@pytest.mark.parametrize(("encoding", "column"), [("utf-8", 5), ("utf-16", 3), ("utf-32", 2)])
def test_columns_count_code_units(encoding: str, column: int) -> None:
    lines = Lines("x\n😀ab", encoding)
    assert lines.position(4) == (1, column) and lines.offset(1, column) == 4


def test_a_column_within_a_character_is_that_character() -> None:
    assert Lines("a😀b").offset(0, 2) == 1


def test_what_lies_beyond_is_the_end() -> None:
    lines = Lines("ab\r\ncd")
    assert (lines.offset(0, 99), lines.offset(1, 99), lines.offset(99, 0), lines.offset(-1, 5)) == (2, 6, 6, 0)
    assert lines.position(99) == (1, 2)


@given(TEXTS, st.sampled_from(["utf-8", "utf-16", "utf-32"]))
def test_positions_lead_back(text: str, encoding: str) -> None:
    lines = Lines(text, encoding)
    for offset in range(len(text) + 1):
        between = text[offset - 1 : offset + 1] == "\r\n"
        assert lines.offset(*lines.position(offset)) == (offset - 1 if between else offset)


def test_a_lone_carriage_return_ends_a_line_for_the_protocol_and_none_for_a_message() -> None:
    lines = Lines("a\rb\nc")
    assert lines.position(2) == (1, 0)
    assert lines.of_span(Span(1, 3)) == (2, 3) and lines.of_span(Span(2, 1)) == (4, 5)


@given(TEXTS, st.integers(1, 9), st.integers(1, 9), st.integers(1, 9))
def test_any_span_lies_in_the_text(text: str, line: int, column: int, length: int) -> None:
    start, end = Lines(text).of_span(Span(line, column, length))
    assert 0 <= start <= end <= len(text)

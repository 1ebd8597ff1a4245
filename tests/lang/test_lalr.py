"""The tight loop and Lark itself find the same trees, with the same places, and refuse the same texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lark import Token, Tree
from lark.exceptions import UnexpectedInput

from glo_dsl.lang.lalr import TableParser
from glo_dsl.lang.show import show
from glo_dsl.lang.syntax import _parser
from glo_dsl.lang.zoo_files import zoo_files, zoo_text
from glo_dsl.verify.strategies import losses

LARK = _parser()
TIGHT = {start: TableParser(LARK, start) for start in ("start", "expr")}
EXAMPLES = [file.read_text() for file in sorted((Path(__file__).parents[2] / "examples").glob("*.glo"))]


def everything(tree: Tree[Token]) -> list[Any]:
    """All trees and tokens of a tree with their places."""
    found: list[Any] = []
    for part in tree.iter_subtrees_topdown():
        meta = part.meta
        place = (
            () if meta.empty else (meta.line, meta.column, meta.end_line, meta.end_column, meta.start_pos, meta.end_pos)
        )
        found.append((part.data, place))
        for c in part.children:
            if isinstance(c, Token):
                found.append((c.type, str(c), c.line, c.column, c.end_line, c.end_column, c.start_pos, c.end_pos))
            elif c is None:
                found.append(None)
    return found


def compare(text: str, start: str = "start") -> bool:
    """Whether the text is in the language; both have to say so."""
    try:
        expected = LARK.parse(text, start)
    except UnexpectedInput:
        assert TIGHT[start].parse(text) is None
        return False
    found = TIGHT[start].parse(text)
    assert found is not None and found == expected and everything(found) == everything(expected)
    return True


@pytest.mark.parametrize("text", [*map(zoo_text, zoo_files()), *EXAMPLES, "", "\n\n# nothing\r\n"])
def test_files_are_read_as_lark_reads_them(text: str) -> None:
    assert compare(text)


@given(losses())
def test_drawn_losses_are_read_as_lark_reads_them(loss: Any) -> None:
    assert compare(f"# above\n\n{loss.text} # behind\r\n\tlaw drawn.it: 1 < 2")
    assert compare(f"{show(loss.expr)} # behind", "expr") and not compare(show(loss.expr))
    assert not compare(loss.text, "expr")


PIECES = (
    "loss f", "(", ")", "x: real", "[C]", ",", ";", "=", "==", "let ", "in ", "if ", "then ", "else ", "x", "1.5", "^",
    "-", "+", "+- 1", "?h(x)", "law f.a:", "example ", "per ", "import std", '"a.glo"', "for ", "\n", " ", "# c\n",
    "%", "not ", "shared ", "true", "inner", "prob[C]", "1e-3",
)  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_any_text_is_accepted_or_refused_alike(text: str) -> None:
    compare(text)
    compare(text, "expr")
    compare(f"loss f(x: real) = {text}")

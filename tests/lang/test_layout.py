"""Where lines end, and where comments go."""

from __future__ import annotations

import pytest

from glo_dsl.lang.layout import CUT, HARD, MAX_INDENT, SPACE, Doc, Fill, Group, Nest, Remark, render

TRAILING, ABOVE, MORE = Remark("# t", alone=False), Remark("# a", alone=True), Remark("# m", alone=False)
LIST: Doc = Group(("f(", Nest(2, (CUT, "aa,", SPACE, "bb")), CUT, ")"))


def lines(*docs: Doc, width: int = 20) -> list[str]:
    return render(docs, width)[0]


@pytest.mark.parametrize(
    ("doc", "width", "expected"),
    [
        (LIST, 9, ["f(aa, bb)"]),
        (LIST, 8, ["f(", "  aa,", "  bb", ")"]),
        ((LIST, ";"), 9, ["f(", "  aa,", "  bb", ");"]),
        ((LIST, SPACE, ";"), 9, ["f(aa, bb)", ";"]),
        ((LIST, Group((SPACE, ";"))), 9, ["f(aa, bb)", ";"]),
        (Group(("x", SPACE, LIST)), 9, ["x", "f(aa, bb)"]),
        (Group(("x", HARD, "y")), 9, ["x", "y"]),
        (Fill(("aa,", "bb,", "cc,", "dd")), 7, ["aa, bb,", "cc, dd"]),
        ((Nest(2, Fill(("aa,", "bb,", "cc"))), ";"), 7, ["aa, bb,", "  cc;"]),
        (Group(Fill(("aa,", "bb,", "cc"))), 10, ["aa, bb, cc"]),
        ((Nest(MAX_INDENT + 20, ("a", HARD, "b")), HARD, "c"), 9, ["a", " " * MAX_INDENT + "b", "c"]),
    ],
)
def test_groups_break_where_they_must(doc: Doc, width: int, expected: list[str]) -> None:
    assert lines(doc, width=width) == expected


@pytest.mark.parametrize(
    ("doc", "expected"),
    [
        (Group(("x", TRAILING, SPACE, "y")), ["", "x  # t", "y"]),
        (Group(("x", SPACE, "y", TRAILING)), ["", "x y  # t"]),
        (Group(("x", SPACE, ABOVE, "y")), ["", "x", "# a", "y"]),
        (Group((ABOVE, "x", SPACE, "y")), ["", "# a", "x y"]),
        (Group(("x", ABOVE, "y", SPACE, "z")), ["", "# a", "xy z"]),
        (("x", TRAILING, "y", MORE, "z"), ["", "# t", "xyz  # m"]),
        (("x", TRAILING, ABOVE, "y"), ["", "# t", "xy  # a"]),
        (Group((Group(("x", SPACE, "y")), ABOVE, "z", SPACE, "w")), ["", "# a", "x yz w"]),
        (Group(("x", TRAILING, Group(("y", SPACE, "z")))), ["", "xy z  # t"]),
        (Group(("w", SPACE, "x", TRAILING, Group(("y", SPACE, "z")))), ["", "w xy z  # t"]),
        (Group((Group(("x", TRAILING)), SPACE, "y")), ["", "x  # t", "y"]),
        (Fill(("x", ("y", TRAILING), "z", (ABOVE, "w"), "v")), ["", "x y  # t", "z", "# a", "w v"]),
        (Nest(2, (HARD, ABOVE, "x", HARD, "y")), ["", "", "  # a", "  x", "  y"]),
        (("x" * 20, TRAILING), ["", "x" * 20 + "  # t"]),
    ],
)
def test_comments_stay_with_their_words(doc: Doc, expected: list[str]) -> None:
    assert lines(HARD, doc) == expected


@pytest.mark.parametrize(
    ("doc", "expected", "carried"),
    [
        (("x", ABOVE, "y"), ["xy  # a"], []),
        (("x", ABOVE, "y", TRAILING), ["xy  # a"], ["# t"]),
        (("x", ABOVE, "y", TRAILING, HARD, "z"), ["xy  # a", "# t", "z"], []),
        (Group(("x", ABOVE, "y", SPACE, "z")), ["xy  # a", "z"], []),
    ],
)
def test_no_comment_goes_above_the_first_line(doc: Doc, expected: list[str], carried: list[str]) -> None:
    assert render(doc, 20) == (expected, carried)

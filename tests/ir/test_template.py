"""Templates: what is found out once is what substitution finds each time."""

from __future__ import annotations

from hypothesis import given

from glo_dsl.ir.expr import Expr, apply, const, substitute, var
from glo_dsl.ir.template import Template
from glo_dsl.ir.types import REAL, REAL_ROW
from glo_dsl.verify.strategies import expressions

A, B, G = var("a", REAL_ROW), var("b", REAL), var("g", REAL_ROW)
LEAVES = (var("z", REAL_ROW), var("x", REAL), const(2.0))


@given(expressions([A, B], REAL, max_depth=4), expressions(LEAVES, REAL, max_depth=3), expressions(LEAVES, REAL_ROW))
def test_filled_is_substituted(root: Expr, one: Expr, row: Expr) -> None:
    """A number where the template has a row, too: its rows then are what `rebuild` makes of them."""
    for value in (row, one):
        assert Template(root, (A, B)).filled((value, one)) is substitute((root,), {A: value, B: one})[0]


def test_letters_that_do_not_occur_and_a_letter_alone() -> None:
    z = LEAVES[0]
    assert Template(apply("exp", const(1.0)), (A, G)).filled((z, z)) is apply("exp", const(1.0))
    assert Template(G, (A, G)).filled((z, apply("exp", z))) is apply("exp", z)

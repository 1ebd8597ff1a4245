"""Which rules are tried on a node: all that match it, in their order."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from glo_dsl.ir.expr import CLASSES, Apply, Expr, apply, const, substitute, var, walk
from glo_dsl.ir.types import CLASS_INDEX, REAL, REAL_ROW, UNIFORM
from glo_dsl.passes import rules
from glo_dsl.passes.match import LETTERS, Rule, Rules, matches, parse_rules
from glo_dsl.verify.strategies import expressions

ALL = [rule for name in ("IDENTITIES", "STABILITY", "CHEAPNESS", "LOWERED", "WALKED")
       for rule in parse_rules(getattr(rules, name))]  # fmt: skip
LEAVES = (var("z", REAL_ROW), var("x", REAL), var("k", UNIFORM), var("t", CLASS_INDEX), CLASSES, const(0.0), const(2.0))


def those_that_match(node: Apply) -> list[Rule]:
    return [rule for rule in ALL if any(True for _ in matches(rule.left, node, {}))]


def check(node: Expr) -> None:
    if isinstance(node, Apply):
        tried = Rules(ALL).of(node)
        assert [rule for rule in tried if rule in those_that_match(node)] == those_that_match(node)


@settings(max_examples=settings().max_examples // 4)
@given(expressions(LEAVES, REAL, max_depth=4))
def test_every_rule_that_matches_is_tried_in_order(expr: Expr) -> None:
    for node in walk((expr,)):
        check(node)


@pytest.mark.parametrize("swapped", [False, True])
def test_so_are_the_left_sides_of_the_rules_themselves(swapped: bool) -> None:
    for rule in ALL:
        (left,) = substitute((rule.left,), {LETTERS["n"]: const(2.0), LETTERS["m"]: const(3.0)})
        assert isinstance(left, Apply)
        node = apply(left.op, *reversed(left.args)) if swapped and left.op.commutes else left
        assert rule in Rules(ALL).of(node)
        check(node)


def test_few_rules_are_tried_where_none_matches() -> None:
    (node,) = (r.left for r in parse_rules("a + exp(b) = b"))
    assert len(ALL) > 100 and len(Rules(ALL).of(node)) < 10

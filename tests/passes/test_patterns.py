"""Readings of patterns are what trying one argument after the other finds, in the same order."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings

from glo_dsl.errors import GloError
from glo_dsl.ir.expr import CLASSES, Apply, Const, Expr, Var, apply, const, substitute, var, walk
from glo_dsl.ir.types import CLASS_INDEX, REAL, REAL_ROW, UNIFORM
from glo_dsl.passes import rules
from glo_dsl.passes.match import Rule, Rules, parse_rules
from glo_dsl.passes.patterns import LETTERS, Binding, letters, matches
from glo_dsl.passes.simplify import rewrite
from glo_dsl.verify.strategies import expressions

ALL = [rule for name in ("IDENTITIES", "STABILITY", "CHEAPNESS", "LOWERED", "WALKED")
       for rule in parse_rules(getattr(rules, name))]  # fmt: skip
LEAVES = (var("z", REAL_ROW), var("x", REAL), var("k", UNIFORM), var("t", CLASS_INDEX), CLASSES, const(0.0), const(2.0))


def stands_for(letter: str, node: Expr) -> bool:
    if letter in "xykl":
        return node.type.kind == "real" and node.type.per_class == (letter in "xy")
    if letter in "nm":
        return isinstance(node, Const) and node.type.kind == "real"
    return node.type.kind == LETTERS[letter].type.kind


def tried(pattern: Expr, node: Expr, binding: Binding) -> Iterator[Binding]:
    if isinstance(pattern, Var) and pattern is not CLASSES:
        bound = binding.get(pattern.name)
        if bound is node or (bound is None and stands_for(pattern.name, node)):
            yield {**binding, pattern.name: node}
    elif isinstance(pattern, Apply):
        if isinstance(node, Apply) and node.op is pattern.op:
            yield from arguments(pattern.args, node.args, binding)
            if node.op.commutes:
                yield from arguments(pattern.args, node.args[::-1], binding)
    elif pattern is node:
        yield binding


def arguments(patterns: tuple[Expr, ...], nodes: tuple[Expr, ...], binding: Binding) -> Iterator[Binding]:
    if not patterns:
        yield binding
        return
    for first in tried(patterns[0], nodes[0], binding):
        yield from arguments(patterns[1:], nodes[1:], first)


def different(found: Iterator[Binding]) -> list[Binding]:
    """Each once: the two orders of equal arguments are one reading."""
    kept: list[Binding] = []
    for binding in found:
        if binding not in kept:
            kept.append(binding)
    return kept


def check(node: Expr) -> None:
    for rule in ALL:
        want = different(tried(rule.left, node, {}))
        assert different(matches(rule.left, node, {})) == want
        value = node.args[0] if node.args else node
        for bound in ({name: value} for name in letters(rule.left) if stands_for(name, value)):
            assert different(matches(rule.left, node, bound)) == different(tried(rule.left, node, bound))


@settings(max_examples=settings().max_examples // 8)
@given(expressions(LEAVES, REAL, max_depth=4))
def test_random_expressions(expr: Expr) -> None:
    for node in walk((expr,)):
        check(node)


@pytest.mark.parametrize("rule", ALL, ids=lambda rule: " ".join(rule.text.split()))
def test_left_sides_with_one_value_for_several_letters(rule: Rule) -> None:
    a, b, c, x, y, n, m = (LETTERS[letter] for letter in "abcxynm")
    equal: list[dict[Expr, Expr]] = [{}, {b: a, c: a}, {y: x}]
    for some in equal:
        check(substitute((rule.left,), {n: const(2.0), m: const(2.0), **some})[0])


@pytest.mark.parametrize("circle", ["exp(a) = log(a)\nlog(a) = exp(a)", "exp(a) = exp(log(a))", "exp(a) = -exp(a)"])
def test_rules_that_go_in_circles_are_found_out(circle: str) -> None:
    with pytest.raises(GloError, match="go in circles"):
        rewrite((apply("exp", var("x", REAL)),), Rules(parse_rules(circle)))

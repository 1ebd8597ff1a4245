"""Every rewrite rule is an equation that holds, and one that is used."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import glo_dsl as glo
from glo_dsl.errors import GloError
from glo_dsl.ir.bounds import ranges
from glo_dsl.ir.evaluate import Array, evaluate
from glo_dsl.ir.expr import CLASSES, Expr, Var, apply, const, substitute, var, variables
from glo_dsl.ir.types import ANY, REAL, REAL_ROW, Interval
from glo_dsl.passes import rules
from glo_dsl.passes.match import LETTERS, Rule, holds, parse_rules
from glo_dsl.passes.simplify import family, rewrite

ROWS, C = 4, 3
TABLES = {name: getattr(rules, name) for name in ("IDENTITIES", "STABILITY", "CHEAPNESS", "LOWERED", "WALKED")}
TOGETHER = {"LOWERED": family("IDENTITIES", "LOWERED"), "WALKED": family("IDENTITIES", "LOWERED", "WALKED")}
CASES = [(name, rule) for name, text in TABLES.items() for rule in parse_rules(text)]
EACH_RULE = pytest.mark.parametrize(("table", "rule"), CASES, ids=[" ".join(rule.text.split()) for _, rule in CASES])


def narrowed(rule: Rule, broad: bool) -> tuple[dict[str, Expr], Expr, Expr]:
    """The letters of a rule, some of `a b c` per sample unless `broad`, and both sides over them."""
    letters: dict[str, Expr] = dict(LETTERS)
    if not broad:
        letters |= {letter: var(letter, REAL) for letter in "abc"}
    replace = {LETTERS[letter]: meaning for letter, meaning in letters.items()}
    left, right = substitute((rule.left, rule.right), replace)
    return letters, left, right


def draw_values(rule: Rule, letters: dict[str, Expr], seed: int) -> dict[Var, Array]:
    """Signed values with zeros and ties, moved to where the conditions of the rule hold."""
    rng = np.random.default_rng(seed)
    shapes = {v.type: (ROWS if v.type.per_sample else 1, C if v.type.per_class else 1) for v in letters.values()}
    values: dict[Var, Array] = {}
    for name, letter in letters.items():
        assert isinstance(letter, Var)
        shape = shapes[letter.type]
        if letter.type.kind == "real":
            plain, ties = rng.uniform(-3, 3, shape), rng.integers(-2, 3, shape).astype(float)
            values[letter] = _into(rule, name, np.where(rng.integers(0, 2, shape) == 0, plain, ties))
        elif letter.type.kind == "bool":
            values[letter] = rng.integers(0, 2, shape).astype(bool)
        else:
            values[letter] = rng.integers(0, C, shape)
    return values


def _into(rule: Rule, name: str, array: Array) -> Array:
    if f"{name} >= 0" in rule.conditions:
        array = np.abs(array)
    if f"{name} <= 0" in rule.conditions:
        array = -np.abs(array)
    if f"{name} > 0" in rule.conditions:
        array = np.abs(array) + 0.01
    if f"{name} >= 1" in rule.conditions:
        array = np.abs(array) + 1
    return np.where(array == 0, 1.0, array) if f"{name} != 0" in rule.conditions else array


@EACH_RULE
@settings(max_examples=settings().max_examples // 8)
@given(st.booleans(), st.integers(0, 2**32 - 1))
def test_both_sides_are_equal_where_the_left_is_finite(table: str, rule: Rule, broad: bool, seed: int) -> None:
    try:
        letters, left, right = narrowed(rule, broad)
    except GloError:  # the left side needs a row: it matches nothing else
        letters, left, right = narrowed(rule, True)
    one, other = evaluate([left, right], draw_values(rule, letters, seed), C)
    shape = np.broadcast_shapes(one.shape, other.shape)
    one, other = np.broadcast_to(one, shape), np.broadcast_to(other, shape)
    finite = np.isfinite(one)
    np.testing.assert_allclose(other[finite], one[finite], rtol=1e-9, atol=1e-12)


def instance(rule: Rule) -> tuple[Expr, Expr]:
    """Both sides over variables and literals for which every condition of the rule is provable."""
    replace: dict[Expr, Expr] = {LETTERS["n"]: const(3.0), LETTERS["m"]: const(5.0)}
    for name, letter in LETTERS.items():
        if letter not in replace and letter.type.kind == "real":
            replace[letter] = var(f"the_{name}", letter.type, _provable(rule, name))
    if any(" later " in condition for condition in rule.conditions):
        w = var("w", REAL_ROW)
        replace[LETTERS["k"]] = apply("sum", apply("exp", apply("sub", w, apply("max", w))))
    left, right = substitute((rule.left, rule.right), replace)
    assert all(holds(condition, {name: replace.get(v, v) for name, v in LETTERS.items()}, ranges(replace.values()))
               for condition in rule.conditions)  # fmt: skip
    return left, right


def _provable(rule: Rule, name: str) -> Interval:
    if f"{name} > 0" in rule.conditions or f"{name} != 0" in rule.conditions:
        return Interval(0.5, 2.0)
    if any(c.startswith(("invertible", "small")) and c.endswith(name) for c in rule.conditions):
        return Interval(0.5, 2.0)
    if f"{name} <= 0" in rule.conditions:
        return Interval(-np.inf, 0.0)
    lo = 0.0 if f"{name} >= 0" in rule.conditions else -np.inf
    return Interval(max(lo, -2.0), 2.0) if f"finite {name}" in rule.conditions else Interval(lo, np.inf)


@EACH_RULE
def test_the_left_side_is_rewritten_to_the_normal_form_of_the_right(table: str, rule: Rule) -> None:
    left, right = instance(rule)
    tables = TOGETHER.get(table, family("IDENTITIES", "STABILITY", "CHEAPNESS"))
    mine, theirs = rewrite((left, right), tables)
    assert mine is theirs
    assert mine is not left or left is right


@EACH_RULE
def test_a_condition_that_is_not_proved_keeps_the_left_side(table: str, rule: Rule) -> None:
    if not rule.conditions:
        return
    unknown = (name for name, v in LETTERS.items() if v.type.kind == "real" and name not in "nm")
    replace: dict[Expr, Expr] = {LETTERS[name]: var(f"the_{name}", LETTERS[name].type, ANY) for name in unknown}
    replace |= {LETTERS["n"]: const(-3.0), LETTERS["m"]: const(5e-9 if "n beside m" in rule.conditions else 5.0)}
    if "plain x" in rule.conditions:
        replace[LETTERS["x"]] = apply("onehot", LETTERS["t"])
    (left,) = substitute((rule.left,), replace)
    assert rule.rewrite(left, ranges((left,))) is None


@pytest.mark.parametrize(
    ("condition", "least", "most", "proved"),
    [
        ("invertible k", 1e-37, 1e37, True), ("invertible k", 1e-39, 1.0, False), ("invertible k", 1.0, 3e38, False),
        ("invertible square k", 1e-18, 1e18, True), ("invertible square k", 1e-20, 1.0, False),
        ("invertible square k", 1.0, 1e20, False), ("small x", -1e9, 1e9, True), ("small x", 0.0, 1e10, False),
        ("small x", -1e10, 0.0, False), ("k >= 1", 1.0, 9.0, True), ("k >= 1", 0.9, 9.0, False),
        ("x <= 0", -9.0, 0.0, True), ("x <= 0", -9.0, 1e-9, False),
    ],
)  # fmt: skip
def test_conditions_of_what_float32_holds(condition: str, least: float, most: float, proved: bool) -> None:
    letter = next(word for word in condition.split() if word in LETTERS)
    meaning = {letter: var("v", LETTERS[letter].type, Interval(least, most))}
    assert holds(condition, meaning, {}) == proved


@pytest.mark.parametrize("guard", ["1 - p + 1e-8", "1e-14 + (p - 1)", "p - 1 - 1e-14"])
def test_a_small_literal_is_not_lost_beside_a_large_one(guard: str) -> None:
    p = torch.ones(1)
    for target in ("c", "torch"):
        value = glo.compile(glo.loads(f"loss f(p: real) = log(abs({guard}))")["f"], target)(p)
        assert value.isfinite(), target


def test_no_rule_forgets_a_letter() -> None:
    for _, rule in CASES:
        assert set(variables((rule.right,))) <= {*variables((rule.left,)), CLASSES}, rule.text


def test_no_rule_stands_twice() -> None:
    for name, text in TABLES.items():
        lines = [" ".join(line.split()) for line in text.strip().splitlines()]
        assert len(lines) == len(set(lines)), name

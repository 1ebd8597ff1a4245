from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from glo_dsl.evolve.space import with_coefficients
from glo_dsl.evolve.variation import (
    Vocabulary,
    crossover,
    mutate,
    paths,
    random_leaf,
    random_tree,
    replaced,
    subtree,
)
from glo_dsl.ir.evaluate import evaluate
from glo_dsl.ir.expr import Apply, Const, Expr, apply, const, size, var, walk
from glo_dsl.ir.table import OPS
from glo_dsl.ir.types import REAL_ROW

X, Y = var("x", REAL_ROW), var("y", REAL_ROW)
WORDS = Vocabulary((X, Y))
seeds = st.integers(0, 2**32 - 1)


def tree(seed: int, depth: int = 3) -> Expr:
    return random_tree(WORDS, np.random.default_rng(seed), depth)


def in_vocabulary(expr: Expr) -> bool:
    operators = WORDS.operators()
    return all(
        node in (X, Y)
        or (isinstance(node, Const) and node.value == int(node.value))
        or (isinstance(node, Apply) and node.op in operators)
        for node in walk((expr,))
    )


@given(seeds, st.integers(0, 4))
def test_random_trees_keep_to_their_depth_and_vocabulary(seed: int, depth: int) -> None:
    expr = tree(seed, depth)
    assert max(len(path) for path in paths(expr)) <= depth
    assert in_vocabulary(expr)


@given(seeds)
def test_paths_address_every_node_of_the_tree(seed: int) -> None:
    expr = tree(seed)
    found = paths(expr)
    assert len(found) == size(expr) == len(set(found))
    for path in found:
        assert replaced(expr, path, subtree(expr, path)) is expr


@given(seeds, seeds)
def test_crossover_exchanges_subtrees(one: int, two: int) -> None:
    first, second = tree(one), tree(two)
    left, right = crossover(first, second, WORDS, np.random.default_rng(one ^ two))
    assert in_vocabulary(left) and in_vocabulary(right)
    if max(size(left), size(right)) <= WORDS.largest and left is not first and right is not second:
        assert size(left) + size(right) == size(first) + size(second)


@given(seeds, seeds)
def test_children_are_never_larger_than_allowed(one: int, two: int) -> None:
    words = Vocabulary((X, Y), largest=7, structural=0.5, point=0.5)
    generator = np.random.default_rng(two)
    parent = random_tree(words, np.random.default_rng(one), 2)
    child = mutate(parent, words, generator)
    assert size(child) <= max(words.largest, size(parent))
    assert in_vocabulary(child)


def test_mutation_changes_something_sooner_or_later_and_nothing_at_rate_zero() -> None:
    parent = apply("mul", X, apply("log", Y))
    generator = np.random.default_rng(0)
    assert any(mutate(parent, WORDS, generator) is not parent for _ in range(50))
    still = Vocabulary((X, Y), point=0.0, structural=0.0)
    assert all(mutate(parent, still, generator) is parent for _ in range(50))


def test_literals_move_by_one() -> None:
    words = Vocabulary((X,), point=1.0, structural=0.0, literals=(), literal_weight=0.0)
    moved = {mutate(const(3.0), words, np.random.default_rng(n)) for n in range(20)}
    assert moved == {X}  # a literal is a leaf: after moving it is replaced by another leaf, and X is the only one


def test_draws_follow_the_weights() -> None:
    generator = np.random.default_rng(1)
    leaves = [random_leaf(WORDS, generator) for _ in range(4000)]
    share = sum(leaf in (X, Y) for leaf in leaves) / len(leaves)
    assert abs(share - 6 / 8) < 0.03  # x and y weigh 3 each, 1 and -1 weigh 1 each


def test_a_vocabulary_may_have_weights_of_its_own() -> None:
    words = Vocabulary((X, Y), weights=(("exp", 9.0), ("mul", 1.0), ("log", 0.0)), literals=())
    assert [(op.name, words.weight(op)) for op in words.operators()] == [("exp", 9.0), ("mul", 1.0)]
    assert words.weight(OPS["log"]) == words.weight(OPS["add"]) == 0.0
    drawn = [random_tree(words, np.random.default_rng(n), 1) for n in range(2000)]
    names = [tree.op.name for tree in drawn if isinstance(tree, Apply)]
    assert set(names) == {"exp", "mul"} and abs(names.count("exp") / len(names) - 0.9) < 0.04
    changed = [mutate(apply("exp", X), replace(words, point=1.0, structural=0.0), np.random.default_rng(0))]
    assert changed[0] in (apply("exp", X), apply("exp", Y))


@given(seeds)
def test_leaves_below_unary_operators_where_asked_for(seed: int) -> None:
    words = replace(WORDS, leaves_below_unary=True)
    expr = random_tree(words, np.random.default_rng(seed), 4)
    assert all(not node.args[0].args for node in walk((expr,)) if len(node.args) == 1)


def test_without_that_they_nest() -> None:
    trees = [random_tree(WORDS, np.random.default_rng(n), 3) for n in range(100)]
    assert any(node.args[0].args for tree in trees for node in walk((tree,)) if len(node.args) == 1)


@given(seed=st.integers(0, 2**32 - 1))
def test_conditions_stay_conditions(seed: int) -> None:
    """Known losses have them, and what is bred of these must still be an expression of numbers."""
    generator, words = np.random.default_rng(seed), replace(WORDS, point=0.3, structural=0.1)
    x, y = words.terms
    root: Expr = apply("select", apply("gt", y, const(0.1)), apply("log", y), apply("mul", x, apply("exp", y)))
    for _ in range(3):
        root = mutate(root, words, generator)
        root, other = crossover(root, random_tree(words, generator, 2), words, generator)
        assert all(subtree(root, path).type.kind == "real" for path in paths(root))
        assert root.type.kind == other.type.kind == "real"
    expr, params = with_coefficients(root)
    row = np.random.default_rng(0).uniform(0.1, 1, (3, 4))
    defaults = {p.var: np.full((1, 1), p.default) for p in params}
    values = evaluate([root, expr], {x: row, y: row**2, **defaults}, 4)
    np.testing.assert_allclose(*np.broadcast_arrays(*values), equal_nan=True)

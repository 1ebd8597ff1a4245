from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import glo_dsl as glo
from glo_dsl.evolve.space import Space, space_of
from glo_dsl.evolve.strategies.glo import Fate, Glo, Individual, Settings, roulette
from glo_dsl.evolve.variation import Vocabulary, paths, random_tree
from glo_dsl.evolve.work import Told
from glo_dsl.ir.expr import Expr, apply, const, size, variables
from glo_dsl.lang.definitions import losses_of
from glo_dsl.passes.pipeline import compile_program
from tests.evolve.strategies.judges import BAIKAL, Judge, hashed, run

ROOT = Path(__file__).parents[3]
PAPER = space_of(glo.load(ROOT / "examples" / "glo.glo")["glo"])
MARGIN = space_of(
    glo.loads("loss m(z: real[C], t: class[C]; k = 2 in [0, 3]) = -k * log(softmax(z)[t]) + ?g(max(z), z[t])")["m"]
)
SMALL = Settings(population=30, elites=3, depth=3, generations=4, samples=4, sample_generations=2)
x, y = PAPER.terms
seeds = st.integers(0, 2**32 - 1)


def small(seed: int, space: Space = PAPER, **changes: object) -> Glo:
    return Glo(space, replace(SMALL, **changes), seed)  # type: ignore[arg-type]


def test_the_settings_of_the_paper() -> None:
    assert Settings() == Settings(population=80, elites=6, crossover=0.8, depth=2, sigma=1.5)
    words = Vocabulary.paper(PAPER.terms)
    assert {op.name: words.weight(op) for op in words.operators()} == {
        "log": 3, "sqrt": 2, "square": 1, "add": 1, "sub": 1, "mul": 1, "div": 1
    }  # fmt: skip
    assert (words.term_weight, words.literals, words.literal_weight) == (3, (1, -1), 1)
    assert (words.point, words.structural) == (0.05, 0.025)


def test_the_first_trees_are_drawn_as_in_the_paper() -> None:
    words, generator = Vocabulary.paper(PAPER.terms), np.random.default_rng(0)
    trees = [random_tree(words, generator, 2) for _ in range(3000)]
    roots = Counter(getattr(getattr(tree, "op", None), "name", str(tree)) for tree in trees)
    weights = {
        "log": 3,
        "sqrt": 2,
        "square": 1,
        "add": 1,
        "sub": 1,
        "mul": 1,
        "div": 1,
        "x": 3,
        "y": 3,
        "1": 1,
        "-1": 1,
    }
    total = sum(weights.values())
    names = {str(x): "x", str(y): "y", str(const(1.0)): "1", str(const(-1.0)): "-1"}
    for root, count in roots.items():
        share = weights[names.get(root, root)] / total
        assert abs(count - 3000 * share) < 5 * np.sqrt(3000 * share * (1 - share))
    assert len(roots) == len(weights)
    assert max(len(path) for tree in trees for path in paths(tree)) == 2
    assert all(not tree.args[0].args for tree in trees if len(tree.args) == 1)


def test_the_roulette_draws_in_proportion_to_fitness() -> None:
    fitness = [0.1, 0.0, 0.4, 0.3, 0.2]
    drawn = Counter(roulette(fitness, 10_000, np.random.default_rng(0)))
    for n, share in enumerate(fitness):
        assert abs(drawn[n] - 10_000 * share) <= 5 * np.sqrt(10_000 * share * (1 - share))


def test_the_roulette_without_any_fitness_is_fair() -> None:
    drawn = Counter(roulette([0.0] * 4, 10_000, np.random.default_rng(0)))
    assert all(abs(drawn[n] - 2500) < 5 * np.sqrt(10_000 * 3 / 16) for n in range(4))


@given(st.lists(st.floats(0, 1e308) | st.just(5e-324), min_size=1, max_size=8), seeds)
def test_the_roulette_takes_any_fitness(fitness: list[float], seed: int) -> None:
    drawn = roulette(fitness, 20, np.random.default_rng(seed))
    assert len(drawn) == 20
    assert all(fitness[n] > 0 for n in drawn) or max(fitness) == 0


@pytest.mark.parametrize("fitness", [[], [0.5, -0.1]])
def test_the_roulette_cannot_go_below_zero(fitness: list[float]) -> None:
    with pytest.raises(ValueError, match="none below 0"):
        roulette(fitness, 1, np.random.default_rng(0))


@given(seeds, st.sampled_from([PAPER, MARGIN]))
@settings(max_examples=8)
def test_what_is_asked_about_is_in_the_language(seed: int, space: Space) -> None:
    search = small(seed, space)
    for asked, _ in run(search, hashed):
        for n, p in enumerate(asked):
            assert n % 4 or compile_program(p.loss, ["z"]).name
            assert all(v in variables((p.loss.expr,)) for v in p.loss.inputs)
            if p.origin != "sample":
                assert p.notes["size"] <= search.words.largest  # type: ignore[operator]
    tree = search.best
    if tree is not None:
        assert losses_of(space.text(tree))["best"].expr is space.fill(tree).expr


def test_trees_do_not_grow_beyond_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    words = replace(Vocabulary.paper(PAPER.terms), largest=9)
    search = Glo(PAPER, replace(SMALL, generations=12), 0, words)
    trees, settle = {individual.tree for individual in search.population}, search._settle
    monkeypatch.setattr(search, "_settle", lambda new: trees.update(i.tree for i in new) or settle(new))
    run(search, lambda loss: Told(1.0))
    assert {tree.digest for tree in trees} == search.fates.keys()
    assert 7 <= max(size(tree) for tree in trees) <= 9


@given(seeds)
@settings(max_examples=15)
def test_each_generation_keeps_the_fittest_and_asks_about_none_twice(seed: int) -> None:
    search = small(seed)
    asked_about: list[Expr] = []
    while (asked := search.ask()) and search.constants is None:
        trees = search._trees
        assert len(trees) == len(asked) == len(set(trees)) and not set(trees) & set(asked_about)
        assert all(PAPER.fill(tree).expr is p.loss.expr for tree, p in zip(trees, asked))
        asked_about += trees
        search.tell([hashed(p.loss) for p in asked])
        before, generation = search.population, search.generation
        search.ask()
        if search.generation == generation + 1:
            assert len(search.population) == SMALL.population
            fitness = sorted((search.fates[i.tree.digest].fitness for i in before), reverse=True)[:3]
            assert [search.fates[i.tree.digest].fitness for i in search.population[:3]] == fitness
            assert all(i in before for i in search.population[:3])
    numbers = [fate.number for fate in search.fates.values() if fate.number is not None]
    assert sorted(numbers) == list(range(len(asked_about)))
    told = [t for t, fate in sorted(search.fates.items(), key=lambda f: f[1].number or 0) if fate.number]
    assert told == [tree.digest for tree in asked_about[1:]]


def test_untrained_trees_have_fitness_zero_and_are_counted_by_reason() -> None:
    search = small(0, population=200, elites=6)
    assert all({x, y} <= set(variables((tree,))) for tree in search._trees)
    untrained = {individual.tree for individual in search.population} - set(search._trees)
    assert {tree.digest for tree in untrained} == search.fates.keys()
    for tree in untrained:
        assert search.fates[tree.digest] == Fate(0.0, None) and not {x, y} <= set(variables((tree,)))
    reasons = {"does not vary as the hole does", "does not depend on t", "does not depend on z"}
    assert search.counts.keys() == reasons | {"asked", "known"} and search.counts.total() == 200


def test_a_first_generation_has_about_seven_trees_to_train_of_which_three_are_finite() -> None:
    judge = Judge()
    first = [Glo(PAPER, Settings(), seed).ask() for seed in range(30)]
    assert 6 < np.mean([len(asked) for asked in first]) < 8
    assert 2.5 < np.mean([sum(judge(p.loss).fitness is not None for p in asked) for asked in first]) < 3.5


def test_what_a_hole_need_not_mention() -> None:
    """The loss around this hole depends on z and t by itself."""
    search = small(0, MARGIN)
    assert search.counts.keys() <= {"asked", "known", "does not vary as the hole does"}


def test_a_failure_and_a_fitness_below_zero_are_zero() -> None:
    search = small(8)
    outcomes = [Told(None, "diverged"), Told(float("nan")), Told(-3.0), Told(0.25)]
    asked = search.ask()
    search.tell([outcomes[min(n, 3)] for n in range(len(asked))])
    told = [f.fitness for f in search.fates.values() if f.number is not None]
    assert told[:4] == [0.0, 0.0, 0.0, 0.25]


def test_crossover_happens_as_often_as_said_and_children_of_both_parents_are_kept() -> None:
    search = small(0)
    one, two = apply("add", x, apply("log", y)), apply("mul", apply("sub", x, y), y)
    search.words = replace(search.words, point=0.0, structural=0.0)
    search.fates = {one.digest: Fate(0.5, 3), two.digest: Fate(0.5, 7)}
    parents = Individual(one, "random"), Individual(two, "random")
    pairs = [search._children(*parents) for _ in range(2000)]
    crossed = [pair for pair in pairs if pair[0].origin == "crossover"]
    assert abs(len(crossed) - 1600) < 5 * np.sqrt(2000 * 0.8 * 0.2)
    assert all(size(a.tree) + size(b.tree) == size(one) + size(two) for a, b in crossed)
    assert all((a.parents, b.parents) == ((3, 7), (7, 3)) for a, b in crossed)
    assert all((a.tree, b.tree) == (one, two) for a, b in pairs if a.origin == "mutation")


def test_a_generation_is_the_elites_and_both_children_of_every_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    search, made = small(8, elites=4), list[Individual]()
    search.tell([Told(0.5)] * len(search.ask()))
    children = search._children
    monkeypatch.setattr(search, "_children", lambda *pair: made.extend(found := children(*pair)) or found)
    search._breed()
    assert len(made) == 26 and len(set(made)) > 10 and search.population[4:] == made


def test_parents_are_numbers_of_proposals() -> None:
    search = small(4)
    log = run(search, Judge())
    proposals = [p for asked, _ in log for p in asked]
    assert {p.origin for p in proposals} >= {"random", "crossover", "sample"}
    for number, p in enumerate(proposals):
        assert all(parent < number for parent in p.parents)
        assert (p.parents == ()) == (p.origin == "random") or p.origin == "mutation"


def winner_of(tree: Expr, **changes: object) -> Glo:
    """A search whose population was this tree alone."""
    search = small(8, generations=1, **changes)
    search.tell([Told(0.0)] * len(search.ask()))
    search._learn(tree, Fate(0.5, 5))
    return search


def test_the_winner_gets_a_coefficient_at_every_node_from_ones() -> None:
    tree = apply("mul", apply("mul", apply("log", y), x), const(-2.0))
    search = winner_of(tree, samples=400)
    asked = search.ask()
    assert all(p.parents == (5,) and p.origin == "sample" and len(p.loss.params) == 6 == size(tree) for p in asked)
    values = np.array([list(p.loss.defaults.values()) for p in asked])
    assert search.constants is not None and search.constants.search.sampling.active is False
    literal = int(np.argmin(values.mean(0)))
    np.testing.assert_allclose(np.delete(values, literal, 1).mean(0), 1, atol=5 * 1.5 / 20)
    np.testing.assert_allclose(np.delete(values, literal, 1).std(0), 1.5, rtol=0.2)
    np.testing.assert_allclose([values[:, literal].mean(), values[:, literal].std()], [-2, 3], rtol=0.25)


def test_the_answer_is_the_fittest_of_all_told() -> None:
    tree = apply("sub", apply("log", y), apply("div", x, y))
    search = winner_of(tree)
    assert search.answer is not None and search.answer.expr is glo.loads(BAIKAL)["baikal"].expr
    asked = search.ask()
    search.tell([Told(0.4)] * len(asked))
    assert search.answer.expr is PAPER.fill(tree).expr
    asked = search.ask()
    search.tell([Told(0.6), *[Told(0.7)] * (len(asked) - 1)])
    assert search.answer.expr is asked[1].loss.expr and search.answer.params == asked[1].loss.params
    assert glo.loads(str(search.answer))["best"].defaults == search.answer.defaults
    assert search.ask() == ()


def test_coefficients_have_names_of_their_own() -> None:
    text = "loss m(z: real[C], t: class[C]; c0 = 2) = let cc7 = c0, c = z in -mean(cc7 * ?g(softmax(c), onehot(t)))"
    space = space_of(glo.loads(text)["m"])
    search = Glo(space, replace(SMALL, generations=1), 8)
    search.tell([Told(0.2)] * len(search.ask()))
    search.tell([Told(0.4)] * len(asked := search.ask()))
    assert [p.name for p in asked[0].loss.params][:3] == ["c0", "ccc0", "ccc1"]
    assert search.answer is not None and search.answer.params == asked[0].loss.params


def test_without_any_fitness_it_ends_without_an_answer() -> None:
    search = small(0)
    assert 1 <= len(run(search, lambda loss: Told(None, "diverged"))) <= SMALL.generations
    assert search.ask() == () and search.answer is None


def test_it_comes_nearer_than_random_trees() -> None:
    """To a gradient that no tree of the first generation has."""
    judge = Judge(text=BAIKAL.replace("log(y) - x / y", "(x - y) / (1 + 2 * y) + sqrt(y) * x"))
    plan = Settings(generations=8, sample_generations=0)
    gains, means = [], []
    for seed in range(3):
        search = Glo(PAPER, plan, seed)
        told = [t.fitness or 0 for _, told in run(search, judge) for t in told]
        drawn = fitness_of_random(seed, len(told), judge)
        gains.append(max(told) - max(drawn))
        means.append(np.mean([search.fates[i.tree.digest].fitness for i in search.population]) - np.mean(drawn))
    assert min(gains) > 0 and np.mean(gains) > 0.05 and min(means) > 0.05


def fitness_of_random(seed: int, count: int, judge: Judge) -> Sequence[float]:
    generator, words = np.random.default_rng(seed), Vocabulary.paper(PAPER.terms)
    trees: dict[Expr, None] = {}
    while len(trees) < count:
        tree = random_tree(words, generator, 3)
        if {x, y} <= set(variables((tree,))):
            trees[tree] = None
    return [judge(PAPER.fill(tree)).fitness or 0 for tree in trees]


@pytest.mark.parametrize("changes", [{"elites": 30}, {"elites": -1}, {"generations": 0}, {"depth": -1}])
def test_settings_that_are_none(changes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="larger than its elites"):
        small(0, **changes)


def test_an_outcome_for_each_proposal() -> None:
    search = small(0)
    with pytest.raises(ValueError, match="proposals wait for an outcome, got 0"):
        search.tell([])

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

import pytest

import glo_dsl as glo
from glo_dsl.evolve.space import space_of
from glo_dsl.evolve.strategies.islands import ROUNDS, Islands, Settings
from glo_dsl.evolve.strategies.starts import Start
from glo_dsl.evolve.work import Proposal, Told
from glo_dsl.ir.expr import apply, size
from tests.evolve.conftest import GLO
from tests.evolve.strategies.judges import Judge, run

SPACE = space_of(glo.loads(GLO)["glo"])
X, Y = SPACE.terms
KNOWN = [Start("zoo: one", apply("mul", X, Y)), Start("zoo: two", apply("mul", X, apply("log", Y)))]
SMALL = Settings(population=8, breadth=5, generations=8, islands=2, members=8)
BRED = replace(SMALL, islands=1, crossover=0.8, newcomers=0.05)


def made(settings: Settings = SMALL, seed: int = 0, known: Sequence[Start] = ()) -> Islands:
    return Islands(SPACE, settings, seed, 4, known)


def test_known_losses_are_asked_about_first_and_named_in_what_comes_of_them() -> None:
    every = [p for asked, _ in run(made(BRED, 3, KNOWN), Judge()) for p in asked]
    assert [p.origin for p in every[:3]] == ["zoo: one", "zoo: two", "random"]

    def seeds(p: Proposal) -> set[object]:
        found = p.notes.get("seeds", [])
        assert isinstance(found, list)
        return set(found)

    assert [seeds(p) for p in every[:3]] == [{"zoo: one"}, {"zoo: two"}, set()]
    for p in every[2:]:
        assert seeds(p) == set().union(*(seeds(every[number]) for number in p.parents))
    assert any(seeds(p) and len(p.parents) == 2 for p in every)


def test_nothing_is_asked_twice_or_without_hope() -> None:
    strategy, judge = made(), Judge()
    asked = [p for generation, _ in run(strategy, judge) for p in generation]
    assert len({p.genotype for p in asked}) == len(asked)
    assert sum(judge(p.loss).fitness is None for p in asked) <= 0.1 * len(asked)
    assert strategy.dropped["no usable gradient"] > strategy.dropped["gradient known"] > 0


def test_a_space_without_anything_to_ask_about_is_an_end() -> None:
    """Here nothing that fills the hole has a gradient; it is not bred for ever, and asked again it is the same."""
    text = "loss f(z: real[C], t: class[C]) = let x = onehot(t), y = softmax(z) in sum(?f(x) + 0 * y)"
    strategy = Islands(space_of(glo.loads(text)["f"]), SMALL, 0, 4)
    assert strategy.ask() == strategy.ask() == ()
    assert strategy.dropped == {"no usable gradient": ROUNDS * SMALL.population * SMALL.breadth}


def test_a_space_that_has_been_asked_about_ends() -> None:
    """One whose losses all have one of two gradients, after a generation."""
    text = "loss f(z: real[C], t: class[C]) = let x = onehot(t) in sum(x * ?f(x)) * log_softmax(z)[t]"
    strategy = Islands(space_of(glo.loads(text)["f"]), SMALL, 0, 4)
    log = run(strategy, Judge())
    assert 1 <= len(log) < SMALL.generations and strategy.ask() == ()


def test_foresight_finds_more_that_is_good() -> None:
    """By a judge whose fitness is how near the gradient comes to that of Baikal."""

    def mean(foresight: float) -> float:
        logs = [run(made(replace(SMALL, foresight=foresight), seed), Judge()) for seed in range(3)]
        return fmean(t.fitness or 0.0 for log in logs for _, told in log for t in told)

    assert mean(1.0) > 1.05 * mean(0.0)


def test_the_best_of_every_size_are_kept() -> None:
    strategy = made(seed=1)
    log = run(strategy, Judge())
    told = [(p, t) for asked, outcomes in log for p, t in zip(asked, outcomes) if t.fitness is not None]
    for elite in strategy.elites:
        of_its_size = [
            t.fitness for p, t in told if p.genotype is not None and size(p.genotype) == size(elite.genotype)
        ]
        assert elite.fitness == max(f for f in of_its_size if f is not None)


def test_members_whose_gradient_is_known_are_none() -> None:
    strategy = made()
    count = len(strategy.ask())
    strategy.tell([Told(0.9, "gradient known")] * count)
    assert strategy.elites == []


def test_the_first_generation_may_come_to_nothing() -> None:
    strategy = made()
    while asked := strategy.ask():
        strategy.tell([Told(None, "diverged")] * len(asked))
    with pytest.raises(ValueError, match="0 proposals wait"):
        strategy.tell([])

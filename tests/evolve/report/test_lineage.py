"""Ancestors of any history of proposals, also of one that no strategy has made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from glo_dsl.evolve.compare import Grid, Result
from glo_dsl.evolve.config import Config
from glo_dsl.evolve.report.lineage import DEPTH, Ancestor, lineage
from glo_dsl.evolve.report.story import About, Asked, Generation, Loss, Outcome, Story
from tests.evolve.report.conftest import story_of


def story(parents: list[list[int]]) -> Story:
    """Of proposals with these parents, the last of them the best."""
    asked = tuple(
        Asked(n, 0, f"loss f(x: real) = {n}", "made", tuple(some), 1, "trained", n / 100, {1: n / 100})
        for n, some in enumerate(parents)
    )
    generations = (Generation(0, len(asked), asked),)
    return Story(Config("", "f"), About(), "interrupted", "search", (1,), generations, None)


def written(ancestor: Ancestor) -> Iterator[Ancestor]:
    yield ancestor
    for parent in ancestor.parents:
        yield from written(parent)


@example([[], [0], [1], [1], [2, 3]])
@given(st.lists(st.lists(st.integers(-2, 30), max_size=6), min_size=1, max_size=25))
def test_a_lineage_is_what_can_be_reached(parents: list[list[int]]) -> None:
    found = lineage(story(parents))
    assert found is not None and found.tree.asked.number == len(parents) - 1
    reached: set[int] = set()
    waiting = [len(parents) - 1]
    while waiting:
        child = waiting.pop()
        if child not in reached:
            reached.add(child)
            waiting += [p for p in parents[child] if 0 <= p < child]
    assert [a.number for a in found.all] == sorted(reached)
    told = list(written(found.tree))
    assert {a.asked.number for a in told} <= reached
    expanded = [a.asked.number for a in told if a.parents]
    assert len(expanded) == len(set(expanded))  # each is written out once


@given(st.integers(1, 12))
def test_a_long_line_is_cut_and_says_so(length: int) -> None:
    found = lineage(story([[], *([n] for n in range(length))]))
    assert found is not None and len(found.all) == length + 1
    told = list(written(found.tree))
    assert len(told) == min(length, DEPTH) + 1 and told[-1].more == (length > DEPTH)


def loss(name: str, text: str) -> Loss:
    return Loss(name, text, text, 1, Result(name, Grid((1.0,), (0.5,)), (0.1, 0.2)))


def test_one_with_tuned_constants_was_proposed_without() -> None:
    finalists = (loss("found1_tuned", "loss found1_tuned(x: real) = 1.07"), loss("found1", "loss found1(x: real) = 1"))
    whole = replace(story([[], [0], [1]]), outcome=Outcome(loss("base", ""), finalists, 1, 2))
    found = lineage(whole)
    assert found is not None and (found.name, found.tree.asked.number) == ("found1", 1)
    alone = replace(whole, outcome=Outcome(loss("base", ""), finalists[:1], 1, 2))
    assert lineage(alone) is None


def test_nothing_has_no_lineage() -> None:
    assert lineage(story([])) is None


def test_the_winner_of_a_search_has_one(ended: Path) -> None:
    whole = story_of(ended)
    found = lineage(whole)
    assert found is not None and whole.outcome is not None
    winner = found.tree.asked
    assert winner.fate == "trained" and whole.last in winner.scores
    base = whole.outcome.best.name.removesuffix("_tuned")
    (finalist,) = [f for f in whole.outcome.finalists if f.name == base]
    assert found.name == base and winner.text.partition("(")[2] == finalist.restated.partition("(")[2]

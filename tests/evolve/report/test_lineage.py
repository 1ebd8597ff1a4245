"""Ancestors of any history of proposals, also of one that no strategy has made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from glo_dsl.evolve.config import Config
from glo_dsl.evolve.report.lineage import DEPTH, Ancestor, lineage
from glo_dsl.evolve.report.story import About, Asked, Generation, Story
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

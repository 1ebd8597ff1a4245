"""Where the winner comes from: its ancestors among the proposals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from glo_dsl.evolve.report.story import Asked, Story

DEPTH = 5
"""Generations of parents that are written out; a figure has all of them."""

WIDTH = 4
"""Parents of one that are written out; no strategy has as many."""


@dataclass(frozen=True)
class Ancestor:
    """A proposal with its parents. Of one that is shown already, or is too far back, `parents` is empty and
    `more` True."""

    asked: Asked
    parents: tuple[Ancestor, ...] = ()
    more: bool = False


@dataclass(frozen=True)
class Lineage:
    """The winner as it was proposed, what it descends from written out, and all of its ancestors and their parents.

    Attributes:
        name: what the winner is called, and the loss that it was tuned from.
        all: in the order of asking, the winner last.
    """

    name: str
    tree: Ancestor
    all: tuple[Asked, ...]


def lineage(story: Story) -> Lineage | None:
    """That of the best loss; None where it was never proposed, as the mean of a distribution is not."""
    asked = story.asked
    name, text = _winner(story, asked)
    winner = next((a for a in asked if text and a.fate == "trained" and _body(a.text) == _body(text)), None)
    if winner is None:
        return None
    known = _ancestors(winner, asked)
    return Lineage(name, _tree(winner, asked, DEPTH, set()), tuple(sorted(known, key=lambda a: a.number)))


def _winner(story: Story, asked: Sequence[Asked]) -> tuple[str, str]:
    """The name and the text of the loss that was proposed: of a finalist with tuned constants, before that."""
    if story.outcome is None:
        ranked = [a for a in asked if story.last in a.scores]
        best = max(ranked, key=lambda a: (a.scores[story.last], -a.complexity), default=None)
        return "the best so far", best.text if best else ""
    best_name = story.outcome.best.name.removesuffix("_tuned")
    texts = {f.name: f.restated for f in story.outcome.finalists}
    return best_name, texts.get(best_name, story.outcome.best.restated)


def _body(text: str) -> str:
    """A definition without its name."""
    return text.partition("(")[2].strip()


def _parents(child: Asked, asked: Sequence[Asked]) -> list[Asked]:
    """Those before it: whatever a study says, a lineage has no circle."""
    return [asked[n] for n in dict.fromkeys(child.parents) if 0 <= n < child.number]


def _ancestors(winner: Asked, asked: Sequence[Asked]) -> list[Asked]:
    found: dict[int, Asked] = {}
    waiting = [winner]
    while waiting:
        child = waiting.pop()
        if child.number not in found:
            found[child.number] = child
            waiting += _parents(child, asked)
    return list(found.values())


def _tree(child: Asked, asked: Sequence[Asked], depth: int, seen: set[int]) -> Ancestor:
    parents = _parents(child, asked)[:WIDTH]
    if parents and (depth == 0 or child.number in seen):
        return Ancestor(child, more=True)
    seen.add(child.number)
    return Ancestor(child, tuple(_tree(parent, asked, depth - 1, seen) for parent in parents))

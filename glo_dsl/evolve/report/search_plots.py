"""How a search went: its progress, its front, what its funnel held back, what its rungs are worth, and a lineage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from glo_dsl.evolve.report.figure import (
    BASE,
    BEST,
    FATES,
    QUIET,
    Drawing,
    dots,
    drawn,
    fitness_axis,
    labelled,
    stretched,
    whole_numbers,
)
from glo_dsl.evolve.report.lineage import Lineage
from glo_dsl.evolve.report.story import Asked, Generation, Story

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FEWEST = 5
"""Candidates that a rank correlation is told of."""

BARS = 60
"""Of the funnel: more generations are put together."""


def whole(story: Story) -> list[Asked]:
    """Proposals whose gradient class was trained to the end."""
    return [asked for asked in story.asked if story.last in asked.scores]


def progress(story: Story) -> Drawing | None:
    """Best and median validation fitness against trainings used."""
    at: list[int] = []
    best: list[float] = []
    middle: list[float] = []
    for generation in story.generations:
        found = [a.scores[story.last] for a in generation.asked if story.last in a.scores]
        if found:
            at.append(generation.trainings)
            best.append(max([*found, *best[-1:]]))
            middle.append(median(found))
    if not at:
        return None

    def paint(axes: list[Axes]) -> None:
        (ax,) = axes
        ax.plot(at, stretched(middle), color=QUIET, linewidth=0.8)
        ax.plot(at, stretched(best), color=BEST, linewidth=1.6, drawstyle="steps-post")
        shown = [*middle, *best]
        if story.outcome is not None:
            base = max(story.outcome.baseline.result.grid.accuracy)
            ax.axhline(float(stretched(base)), color=BASE, linewidth=1.2, linestyle=(0, (5, 2)))
            shown.append(base)
        fitness_axis(ax, "y", shown, 0.03)
        ax.set_xlim(left=0)
        labelled(ax, "networks trained", "validation fitness")

    words = (
        f"Best validation fitness rises from {best[0]:.4f} to {best[-1]:.4f} over {at[-1]} networks; "
        f"the median of the last generation is {middle[-1]:.4f}."
    )
    return drawn("progress", words, paint)


def front(story: Story) -> Drawing | None:
    """Fitness against complexity, of every candidate that was trained, with the best of each size."""
    full = whole(story)
    if not full:
        return None
    part = [a for a in story.asked if a.fate == "trained" and a.fitness is not None and story.last not in a.scores]
    best: list[Asked] = []
    for asked in sorted(full, key=lambda a: (a.complexity, -a.scores[story.last])):
        if not best or asked.scores[story.last] > best[-1].scores[story.last]:
            best.append(asked)

    def paint(axes: list[Axes]) -> None:
        (ax,) = axes
        short = [a.fitness for a in part if a.fitness is not None]
        dots(ax, [a.complexity for a in part], stretched(short), QUIET, 1.9, 0.45)
        dots(ax, [a.complexity for a in full], stretched([a.scores[story.last] for a in full]), BEST, 2.4, 0.5)
        x, y = [a.complexity for a in best], [a.scores[story.last] for a in best]
        largest = max(a.complexity for a in full)
        ax.step([*x, largest], stretched([*y, y[-1]]), where="post", color=BEST, linewidth=1.2)
        dots(ax, x, stretched(y), BEST, 5.5)
        fitness_axis(ax, "y", [*(a.scores[story.last] for a in full), *short])
        whole_numbers(ax)
        labelled(ax, "size of the expression, in nodes", "validation fitness")

    ends = f"{best[0].scores[story.last]:.4f} at size {best[0].complexity} to {best[-1].scores[story.last]:.4f} at size"
    words = f"{len(full)} candidates trained to the end; the best of each size go from {ends} {best[-1].complexity}."
    return drawn("front", words, paint)


def fates(story: Story) -> list[tuple[str, int]]:
    """What became of the proposals: the trained first, then by number."""
    counts = sum((generation.fates for generation in story.generations), Counter[str]())
    return sorted(counts.items(), key=lambda item: (item[0] != "trained", -item[1], item[0]))


def colour_of_fate(place: int) -> str:
    """The colour of the fate at a place of `fates`."""
    return FATES[min(place, len(FATES) - 1)]


def funnel(story: Story) -> Drawing | None:
    """The share of proposals by what became of them, over the generations."""
    found = fates(story)
    if not found:
        return None
    bars = _bars(story.generations)
    total = np.array([sum(bar.values()) for bar in bars], dtype=float)

    def paint(axes: list[Axes]) -> None:
        (ax,) = axes
        step = len(story.generations) / len(bars)
        at, below = step * (np.arange(len(bars)) + 0.5), np.zeros(len(bars))
        for place, (fate, _) in enumerate(found):
            share = np.array([bar[fate] for bar in bars]) / total
            ax.bar(at, share, 0.96 * step, below, color=colour_of_fate(place), linewidth=0)
            below += share
        ax.set(xlim=(0, len(story.generations)), ylim=(0, 1))
        ax.grid(False)
        whole_numbers(ax)
        labelled(ax, "generation", "share of the proposals")

    words = "Of all proposals: " + ", ".join(f"{count} {fate}" for fate, count in found) + "."
    return drawn("funnel", words, paint, height=2.3)


def _bars(generations: Sequence[Generation]) -> list[Counter[str]]:
    count = min(BARS, len(generations))
    ends = [len(generations) * n // count for n in range(count + 1)]
    found = [sum((g.fates for g in generations[a:b]), Counter[str]()) for a, b in pairwise(ends)]
    return [bar for bar in found if bar]


def agreement(story: Story) -> tuple[int, float | None]:
    """How many gradient classes were judged on the first rung and the last, and Spearman's rho between the two."""
    pairs = _pairs(story)
    if len(pairs) < FEWEST or len({x for x, _ in pairs}) < 2 or len({y for _, y in pairs}) < 2:
        return len(pairs), None
    from scipy.stats import spearmanr

    return len(pairs), float(spearmanr([x for x, _ in pairs], [y for _, y in pairs]).statistic)


def _pairs(story: Story) -> list[tuple[float, float]]:
    if len(story.steps) < 2:
        return []
    first = [a for a in story.asked if a.fate == "trained" and story.last in a.scores and story.steps[0] in a.scores]
    return [(a.scores[story.steps[0]], a.scores[story.last]) for a in first]


def rungs(story: Story) -> Drawing | None:
    """Fitness on the first rung against the last, of those that reached it."""
    pairs = _pairs(story)
    if not pairs:
        return None
    first, last = zip(*pairs)

    def paint(axes: list[Axes]) -> None:
        (ax,) = axes
        dots(ax, stretched(first), stretched(last), BEST, 2.6, 0.5)
        fitness_axis(ax, "x", first, 0.05)
        fitness_axis(ax, "y", last, 0.05)
        labelled(ax, f"after {story.steps[0]} steps", f"validation fitness after {story.last} steps")

    count, rho = agreement(story)
    rank = "no rank correlation can be told" if rho is None else f"Spearman's rho is {rho:.2f}"
    return drawn("rungs", f"{count} candidates on both rungs; {rank}.", paint)


def pedigree(story: Story, found: Lineage) -> Drawing | None:
    """All ancestors of the winner: generation and fitness, joined to their parents."""
    known = {a.number: (a.generation, fitness) for a in found.all if (fitness := _fitness(a, story.last)) is not None}
    if len(known) < 2:
        return None

    def paint(axes: list[Axes]) -> None:
        (ax,) = axes
        pairs = [(known[p], known[c.number]) for c in found.all if c.number in known for p in c.parents if p in known]
        ends = np.array([(*a, *b, np.nan, np.nan) for a, b in pairs]).reshape(-1, 2)  # one path, with gaps
        ax.plot(ends[:, 0], stretched(ends[:, 1]), color=QUIET, linewidth=0.6, alpha=0.7)
        x, y = zip(*known.values())
        dots(ax, x, stretched(y), BEST, 4.0)
        if found.tree.asked.number in known:
            at, top = known[found.tree.asked.number]
            dots(ax, [at], stretched([top]), BASE, 8.0)
        fitness_axis(ax, "y", y, 0.02)
        whole_numbers(ax)
        labelled(ax, "generation", "validation fitness")

    oldest = min(found.all, key=lambda a: a.number)
    words = f"{len(found.all) - 1} ancestors of {found.name}, the first of generation {oldest.generation}."
    return drawn("pedigree", words, paint)


def _fitness(asked: Asked, last: int) -> float | None:
    return asked.scores.get(last, asked.fitness)

"""What stands on the page: the parts of a story in words, figures and rows of tables, ready for the template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from glo_dsl.evolve.report import loss_plots, search_plots
from glo_dsl.evolve.report.figure import BASE, BEST, DASHES, QUIET, Drawing, coloured
from glo_dsl.evolve.report.formula import formula
from glo_dsl.evolve.report.lineage import Ancestor, lineage
from glo_dsl.evolve.report.settings import QUERIES, commands
from glo_dsl.evolve.report.shapes import shape_of
from glo_dsl.evolve.report.story import Loss, Outcome, Story
from glo_dsl.evolve.report.visible import shortened

LONGEST = 4000
"""Characters of an ancestor."""

MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Key:
    """An entry of a legend: a line, or a block of colour."""

    name: str
    color: str
    dash: str | None = ""


def contents(story: Story, place: str) -> dict[str, Any]:
    """All that the template shows."""
    return {
        "story": story, "place": place, "outcome": story.outcome, "headline": headline(story),
        "task": story.config.task.rpartition(":")[2] or story.config.task,
        "rows": _rows(story.outcome) if story.outcome else [], "formula": _formula(story),
        "search": _search(story), "losses": _losses(story), "origin": _origin(story),
        "config": [(name, _said(value)) for name, value in story.config.as_json().items() if name != "space"],
        "commands": commands(story.config), "queries": QUERIES, "unit": _unit(story),
    }  # fmt: skip


def headline(story: Story) -> str:
    """What came of the search, in a sentence that claims no more than the test does."""
    outcome = story.outcome
    if outcome is None:
        asked = len(story.asked)
        state = f"is running: {story.stage}" if story.state == "running" else f"was interrupted while {story.stage}"
        return f"This search {state}. {asked} proposals so far; nothing has been measured on test data yet."
    best, base = outcome.best, outcome.baseline
    gain = best.result.mean - base.result.mean
    against = f"{base.name} with its own best learning rate"
    seeds = f"{len(best.result.accuracies)} fresh seeds each, on test data that nothing had looked at"
    if best.p is None or best.p >= 0.05:
        return f"No difference from {against} can be shown: the gain is {_gain(gain, story)} ({_p(best.p)}; {seeds})."
    word = "better" if gain > 0 else "worse"
    return f"The loss that was found is {_gain(abs(gain), story)} {word} than {against} ({_p(best.p)}; {seeds})."


def _unit(story: Story) -> str:
    return "test accuracy" if story.about.metric == "accuracy" else "test R\N{SUPERSCRIPT TWO}"


def _gain(gain: float, story: Story) -> str:
    accuracy = story.about.metric == "accuracy"
    text = f"{100 * gain:.2f} points" if accuracy else f"{gain:.4f}"
    return text.replace("-", MINUS)


def _p(p: float | None) -> str:
    return "no spread to test by" if p is None or p != p else f"Welch's p = {p:.2g}"


def _rows(outcome: Outcome) -> list[dict[str, Any]]:
    base = outcome.baseline.result
    found = []
    for place, loss in enumerate((outcome.baseline, *outcome.finalists)):
        result, grid = loss.result, loss.result.grid
        found.append({
            "name": loss.name, "text": loss.text, "baseline": place == 0, "best": place == 1,
            "size": loss.complexity or "", "rate": f"{grid.best:.3g}", "interior": grid.interior,
            "grid": f"{min(grid.rates):.4g} to {max(grid.rates):.4g}",
            "diverged": f"{result.diverged} of {len(result.accuracies)}",
            "validation": f"{max(grid.accuracy):.4f}", "mean": f"{result.mean:.4f}",
            "error": f"{result.standard_error:.4f}", "attacked": result.under_attack,
            "gain": "" if place == 0 else f"{100 * (result.mean - base.mean):+.2f}".replace("-", MINUS),
            "p": "" if loss.p is None or loss.p != loss.p else f"{loss.p:.2g}",
        })  # fmt: skip
    return found


def _formula(story: Story) -> Markup:
    """Of our own making: see `formula` for what can be in it."""
    return Markup(formula(story.outcome.best.restated)) if story.outcome else Markup()


def _svg(drawing: Drawing | None) -> dict[str, Any] | None:
    """Of our own making: see `figure` for what can be in it."""
    return None if drawing is None else {"svg": Markup(drawing.svg), "words": drawing.words}


def _search(story: Story) -> dict[str, Any]:
    found = search_plots.fates(story)
    total = sum(count for _, count in found)
    shown = [Key(fate, coloured(search_plots.colour_of_fate(n)), None) for n, (fate, _) in enumerate(found)]
    classes, rho = search_plots.agreement(story)
    return {
        "progress": _svg(search_plots.progress(story)), "front": _svg(search_plots.front(story)),
        "funnel": _svg(search_plots.funnel(story)), "rungs": _svg(search_plots.rungs(story)),
        "fates": [(key, count, f"{100 * count / total:.1f}") for key, (_, count) in zip(shown, found)],
        "classes": classes, "rho": None if rho is None else f"{rho:.2f}".replace("-", MINUS), "total": total,
        "progress_keys": [Key("best so far", coloured(BEST)), Key("median of a generation", coloured(QUIET))]
        + ([Key("baseline at its best rate", coloured(BASE), "5 2")] if story.outcome else []),
    }  # fmt: skip


def _losses(story: Story) -> dict[str, Any] | None:
    """The pictures of the finalists and the baseline; None before there are any, or where they are no losses."""
    outcome = story.outcome
    if outcome is None:
        return None
    some = [*outcome.finalists[: loss_plots.MOST], outcome.baseline]
    styles = [*(loss_plots.style(place) for place in range(len(some) - 1)), loss_plots.style(-1)]
    found: dict[str, Any] = {
        "grids": _svg(loss_plots.grids(some, styles)), "keys": _keys(some, styles), "values": None, "gradients": None,
        "rule": None, "balance": [], "pair": _keys([some[0], some[-1]], [styles[0], (styles[-1][0], 0)]),
    }  # fmt: skip
    curves = _curves(story, outcome, some, styles)
    if not curves:
        return found
    classes = story.about.metric == "accuracy"
    across = "probability of the target" if classes else "prediction less target"
    by = "the target's logit" if classes else "the prediction"
    found |= {
        "values": _svg(loss_plots.values(curves, across)), "gradients": _svg(loss_plots.gradients(curves, across, by)),
        "classes": classes,
    }  # fmt: skip
    pair = [c for c in (curves[0], curves[-1]) if classes]
    if pair:
        found |= {"rule": _svg(loss_plots.rule(pair, across)), "balance": [loss_plots.balance(c) for c in pair]}
    return found


def _curves(
    story: Story, outcome: Outcome, some: Sequence[Loss], styles: Sequence[tuple[str, int]]
) -> list[loss_plots.Curve]:
    unit = outcome.baseline.result.grid.best
    shapes = [shape_of(loss.restated, story.about) for loss in some]
    return [
        loss_plots.Curve(shortened(loss.name), shape, loss.result.grid.best / unit, color, dash)
        for loss, shape, (color, dash) in zip(some, shapes, styles)
        if shape is not None
    ]


def _keys(some: Sequence[Loss], styles: Sequence[tuple[str, int]]) -> list[Key]:
    return [Key(shortened(loss.name), coloured(color), _dashes(dash)) for loss, (color, dash) in zip(some, styles)]


def _dashes(place: int) -> str:
    """As SVG has them; the lines of a drawing are half as thick again as a unit."""
    pattern = DASHES[place]
    return "" if isinstance(pattern, str) else " ".join(f"{1.5 * length:g}" for length in pattern[1])


def _origin(story: Story) -> dict[str, Any] | None:
    found = lineage(story)
    if found is None:
        return None
    return {
        "name": found.name, "count": len(found.all) - 1, "tree": _node(found.tree, story),
        "pedigree": _svg(search_plots.pedigree(story, found)),
    }  # fmt: skip


def _node(ancestor: Ancestor, story: Story) -> dict[str, Any]:
    asked = ancestor.asked
    fitness = asked.scores.get(story.last, asked.fitness)
    return {
        "number": asked.number, "generation": asked.generation, "origin": asked.origin,
        "fitness": "" if fitness is None else f"{fitness:.4f}", "text": shortened(asked.text, LONGEST),
        "more": ancestor.more, "parents": [_node(parent, story) for parent in ancestor.parents],
    }  # fmt: skip


def _said(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} = {_said(v)}" for name, v in value.items()) or "\N{EN DASH}"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_said, value))
    return "the task's" if value is None else str(value)

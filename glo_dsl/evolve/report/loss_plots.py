"""What losses look like: value, gradient and learning rule along one prediction, and their learning-rate grids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from glo_dsl.evolve.report.figure import (
    BASE,
    DASHES,
    QUIET,
    SERIES,
    Drawing,
    drawn,
    fitness_axis,
    labelled,
    stretched,
    within,
)
from glo_dsl.evolve.report.shapes import Array, Shape
from glo_dsl.evolve.report.story import Loss

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TIMES = "\N{MULTIPLICATION SIGN} relative learning rate"

MOST = 6
"""Losses in a picture, besides the baseline."""


@dataclass(frozen=True)
class Curve:
    """A loss with its shape, the factor that makes its steps those of its own learning rate, and how it is drawn."""

    name: str
    shape: Shape
    factor: float
    color: str
    dash: int


def style(place: int) -> tuple[str, int]:
    """Colour and dashes of the finalist at a place; None is the baseline's, -1."""
    return (BASE, 1) if place < 0 else (SERIES[place % len(SERIES)], 0 if place == 0 else 1 + place % (len(DASHES) - 1))


def values(curves: Sequence[Curve], across: str) -> Drawing:
    """The value of each loss, from its least, times its learning rate over the baseline's."""
    lines = [_from_least(c.shape.value) * c.factor for c in curves]
    words = "; ".join(f"{c.name} is least at {_least(c.shape):.2f}" for c in curves)
    return _lines("values", curves, lines, across, f"loss {TIMES}", f"Value of the losses: {words}.")


def gradients(curves: Sequence[Curve], across: str, by: str) -> Drawing:
    """The gradient of each loss, times its learning rate over the baseline's."""
    lines = [c.shape.gradient * c.factor for c in curves]
    words = "; ".join(f"{c.name} is 0 at {_zero(c.shape)}" for c in curves)
    up = f"gradient by {by} {TIMES}"
    return _lines("gradients", curves, lines, across, up, f"Gradients: {words}.")


def _lines(name: str, curves: Sequence[Curve], lines: Sequence[Array], across: str, up: str, words: str) -> Drawing:
    def paint(axes: list[Axes]) -> None:
        (ax,) = axes
        ax.axhline(0, color=QUIET, linewidth=0.6)
        for curve, line in reversed(list(zip(curves, lines))):  # the best on top
            ax.plot(curve.shape.at, line, color=curve.color, linestyle=DASHES[curve.dash], linewidth=1.5)
        ax.set(xlim=(curves[0].shape.at[0], curves[0].shape.at[-1]), ylim=within(lines))
        labelled(ax, across, up)

    return drawn(name, words, paint)


def _from_least(value: Array) -> Array:
    finite = value[np.isfinite(value)]
    return value - (finite.min() if len(finite) else 0.0)


def _least(shape: Shape) -> float:
    return float(shape.at[np.argmin(np.where(np.isfinite(shape.value), shape.value, np.inf))])


def _zero(shape: Shape) -> str:
    """Where the gradient changes its sign."""
    signs = np.sign(shape.gradient)
    crossings = shape.at[:-1][(signs[:-1] * signs[1:] < 0)]
    return ", ".join(f"{x:.2f}" for x in crossings[:4]) or "no place between"


def rule(curves: Sequence[Curve], across: str) -> Drawing:
    """The learning rule's weights of the target, and of another class."""

    def paint(axes: list[Axes]) -> None:
        (ax,) = axes
        limits = within([s * c.factor for c in curves for s in (c.shape.target_weight, c.shape.other_weight)], 0.985)
        straight = max(map(abs, limits)) / 30
        ax.set_yscale("asinh", linear_width=straight)
        ax.minorticks_off()
        ax.axhline(0, color=QUIET, linewidth=0.6)
        for curve in reversed(curves):
            ax.plot(curve.shape.at, curve.shape.target_weight * curve.factor, color=curve.color, linewidth=1.7)
            ax.plot(
                curve.shape.at, curve.shape.other_weight * curve.factor, color=curve.color, linewidth=1.3,
                linestyle=DASHES[2],
            )  # fmt: skip
        ax.set(xlim=(0, 1), ylim=limits)
        marks = _marks(straight, limits)
        ax.yaxis.set_ticks(marks, [f"{m:g}".replace("-", "\N{MINUS SIGN}") for m in marks])
        labelled(ax, across, f"weight {TIMES}")

    return drawn("rule", "Learning rule: " + "; ".join(map(balance, curves)) + ".", paint)


def _marks(straight: float, limits: tuple[float, float]) -> list[float]:
    """Round weights on an axis that is straight near 0 and logarithmic beyond."""
    powers = [digit * 10.0**power for power in range(-12, 13) for digit in (1, 3)]
    sizes = [size for size in powers if 1.5 * straight < size < max(map(abs, limits))]
    return [m for m in (*(-s for s in reversed(sizes)), 0.0, *sizes) if limits[0] <= m <= limits[1]]


def balance(curve: Curve) -> str:
    """Up to which prediction a loss pulls towards the label."""
    pulls = curve.shape.target_weight > curve.shape.other_weight
    if pulls.all():
        return f"{curve.name} pulls towards the label everywhere"
    if not pulls.any():
        return f"{curve.name} pushes away from the label everywhere"
    turns = curve.shape.at[:-1][pulls[:-1] != pulls[1:]]
    return f"{curve.name} turns between pull and push at {', '.join(f'{x:.2f}' for x in turns[:4])}"


def grids(losses: Sequence[Loss], styles: Sequence[tuple[str, int]]) -> Drawing:
    """Validation fitness over the learning rate, in units of the best of each grid."""

    def paint(axes: list[Axes]) -> None:
        (ax,) = axes
        for loss, (color, dash) in reversed(list(zip(losses, styles))):
            grid = loss.result.grid
            x, y = np.array(grid.rates) / grid.best, stretched(grid.accuracy)
            ax.plot(x, y, color=color, linestyle=DASHES[dash], linewidth=1.3, marker="o", markersize=2.2)
        ax.axvline(1, color=QUIET, linewidth=0.6)
        ax.set_xscale("log", base=2)
        ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        fitness_axis(ax, "y", [f for loss in losses for f in loss.result.grid.accuracy], 0.08)
        labelled(ax, "learning rate over the best one", "validation fitness")

    ends = [loss.name for loss in losses if not loss.result.grid.interior]
    words = f"no optimum inside the grid of {', '.join(ends)}" if ends else "every grid has its optimum inside"
    return drawn("grids", f"Learning rates of {len(losses)} losses: {words}.", paint)

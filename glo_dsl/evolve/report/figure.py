"""Drawings for the page: matplotlib without its global state, made into SVG that follows the colours of the page.

No text of a study is in a drawing, only numbers and our own words: what needs a name has it in the HTML beside.
"""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from glo_dsl.errors import GloError
from glo_dsl.evolve.report.visible import visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Paint = Callable[["list[Axes]"], None]
"""Draws on empty axes."""

WIDTH, HEIGHT = 4.3, 2.6
"""Inches, of 72 units of the drawing."""

INK, QUIET, RULE = "#010101", "#010102", "#010103"
BEST, BASE = "#010104", "#010105"
SERIES = (BEST, "#010106", "#010107", "#010108", "#010109", "#01010a")
FATES = (BEST, "#01010b", "#01010c", "#01010d", "#01010e", "#01010f")
"""Colours by what they are for: each stands for a variable of the style sheet, in the order of `VARIABLES`."""

VARIABLES = (
    "ink", "quiet", "rule", "best", "base", "two", "three", "four", "five", "six",
    "fate-2", "fate-3", "fate-4", "fate-5", "fate-6",
)  # fmt: skip
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.2, 1.6)), (0, (5, 1.6, 1.2, 1.6)), (0, (8, 2)), (0, (3, 1.2)))
"""Lines are told apart without colour too."""

SETTINGS = {
    "svg.fonttype": "none", "svg.hashsalt": "glo", "text.parse_math": False, "text.usetex": False,
    "font.family": ["DejaVu Sans"], "font.size": 8, "axes.linewidth": 0.6, "path.simplify": False,
    "axes.facecolor": "none", "figure.facecolor": "none",
    "axes.formatter.use_mathtext": False, "axes.formatter.useoffset": False, "axes.unicode_minus": True,
}  # fmt: skip

_SVG, _XLINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}"


@dataclass(frozen=True)
class Drawing:
    """An SVG element, and in words what it shows."""

    svg: str
    words: str


def labelled(axes: Axes, x: str, y: str) -> None:
    """Names of the axes: that of the upright one lies above it, to be read."""
    axes.set_xlabel(x, color=INK)
    axes.set_title(y, color=INK, loc="left", fontsize=8)


def whole_numbers(axes: Axes) -> None:
    """No ticks below the picture where nothing can be."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))


def dots(axes: Axes, x: ArrayLike, y: ArrayLike, color: str, size: float = 4.0, opacity: float = 1.0) -> None:
    """Points as a few paths, which take a tenth of the text of as many marks; many on one spot are a larger point."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    points = np.column_stack([np.asarray(x, dtype=float), np.asarray(y, dtype=float)])
    points = points[np.isfinite(points).all(axis=1)]
    if not len(points):
        return
    spread = np.ptp(points, axis=0)
    places = np.round((points - points.min(axis=0)) / np.where(spread > 0, spread, 1) * (600, 400))
    _, first, counts = np.unique(places, axis=0, return_index=True, return_counts=True)
    doublings = np.minimum(np.log2(counts).astype(int), 6)
    for doubling in np.unique(doublings).tolist():
        some = points[first[doublings == doubling]]
        path = Path(np.repeat(some, 2, axis=0), [Path.MOVETO, Path.LINETO] * len(some))
        patch = PathPatch(path, facecolor="none", edgecolor=color, linewidth=size * 1.17**doubling, alpha=opacity)
        patch.set(capstyle="round", zorder=3)
        axes.add_patch(patch)
    axes.update_datalim(points)
    axes.autoscale_view()


def within(values: Sequence[ArrayLike], share: float = 0.97) -> tuple[float, float]:
    """Limits that hold most of the values: what goes to infinity leaves the picture.

    >>> [round(limit, 2) for limit in within([[0.0, 1.0], [float("inf")]])]
    [-0.04, 1.04]
    """
    every = np.concatenate([np.ravel(np.asarray(v, dtype=float)) for v in values])
    every = every[np.isfinite(every)]
    if not len(every):
        return -1.0, 1.0
    low, high = np.quantile(every, [1 - share, share]).tolist()
    margin = 0.07 * (high - low) or 1.0
    return low - margin, high + margin


LEAST = 1e-4
"""What is left to 1 is shown down to this."""


def stretched(fitness: ArrayLike) -> Any:
    """Where a fitness stands on an axis: by the logarithm of what is left to 1, the error rate or the variance not
    explained, so that 0.98 is as far from 0.96 as 0.96 from 0.92."""
    return -np.log10(np.maximum(1 - np.asarray(fitness, dtype=float), LEAST))


def fitness_axis(axes: Axes, which: Literal["x", "y"], fitness: ArrayLike, lowest: float = 0.0) -> None:
    """Limits and ticks for a stretched axis; `lowest` is the share of the values that may lie beyond its lower end."""
    found = np.sort(np.ravel(np.asarray(fitness, dtype=float)))
    low, high = stretched([found[int(lowest * (len(found) - 1))], found[-1]]).tolist()
    margin = max(0.05 * (high - low), 0.005)
    low, high = low - margin, high + margin
    marks = _marks(low, high)
    axes.set(**{f"{which}lim": (low, high)})
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_ticks([float(stretched(m)) for m in marks], [f"{m:.4g}".replace("-", "\N{MINUS SIGN}") for m in marks])


def _marks(low: float, high: float, most: int = 7) -> list[float]:
    """Round fitnesses between two places of a stretched axis, far enough apart for their names."""
    kept: list[float] = []
    for steps in ([1, 2, 5], *(np.arange(1, 10, step).tolist() for step in (0.5, 0.2, 0.1, 0.02))):
        marks = [1 - digit * 10.0**power for power in range(-4, 4) for digit in steps]
        marks = [m for m in marks if low <= float(stretched(m)) <= high]
        kept = []
        for mark in marks:  # from the upper end, which matters most
            if not kept or float(stretched(kept[-1]) - stretched(mark)) > (high - low) / most:
                kept.append(mark)
        if len(kept) > 2:
            break
    return kept


def drawn(name: str, words: str, paint: Paint, rows: int = 1, columns: int = 1, height: float = HEIGHT) -> Drawing:
    """What `paint` does to axes, row by row, as SVG; `name` keeps its parts apart from those of others on the page.

    Raises:
        GloError: there is no matplotlib.
    """
    try:
        from matplotlib import rc_context
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure
    except ImportError:
        raise GloError("matplotlib is missing", hint="pip install 'glo-dsl[search]'") from None
    buffer = io.BytesIO()
    with rc_context(SETTINGS):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        all_axes = np.ravel(figure.subplots(rows, columns, squeeze=False)).tolist()
        for axes in all_axes:
            _plain(axes)
        paint(all_axes)
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None})
    root = ET.fromstring(buffer.getvalue())
    _clean(root, name)
    words = visible(words)
    root.attrib = {"viewBox": root.attrib["viewBox"], "role": "img", "aria-label": words}
    return Drawing(coloured(ET.tostring(root, encoding="unicode")), words)


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(QUIET)
    axes.tick_params(colors=QUIET, width=0.6, length=3)
    axes.grid(True, color=RULE, linewidth=0.5)
    axes.set_axisbelow(True)


def _clean(root: ET.Element, name: str) -> None:
    """Leaves what is drawn: no namespaces, no metadata, no style of its own, no names that nothing refers to."""
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.removeprefix(_SVG) in ("metadata", "style"):
                parent.remove(child)
    used = set(re.findall(r"#([\w-]+)", " ".join(v for node in root.iter() for v in node.attrib.values())))
    for node in root.iter():
        node.tag, node.tail = node.tag.removeprefix(_SVG), None
        node.text = (node.text or "").strip() or None
        kept = {key.removeprefix(_XLINK): value for key, value in node.attrib.items() if key != "id" or value in used}
        node.attrib = {key: _local(key, value, name) for key, value in kept.items()}


def _local(key: str, value: str, name: str) -> str:
    if key == "id":
        return f"{name}-{value}"
    if key in ("d", "points", "transform", "x", "y", "width", "height"):
        return re.sub(r"-?\d+\.\d{2,}", lambda number: f"{float(number[0]):.2f}".rstrip("0").rstrip("."), value).strip()
    if key == "style":
        value = re.sub(r"font-family: [^;]+", "font-family: var(--sans)", value)
    return re.sub(r"(url\(#|^#)(?=[\w-])", rf"\g<1>{name}-", value) if "#" in value and key != "style" else value


def coloured(svg: str) -> str:
    """Colours as the variables of the style sheet that they stand for."""
    for place, variable in enumerate(VARIABLES, start=1):
        svg = svg.replace(f"#0101{place:02x}", f"var(--{variable})")
    return svg

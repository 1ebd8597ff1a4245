"""Drawings: the same each time, apart from each other, and with all that they are given."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glo_dsl.evolve.report.figure import BASE, BEST, Drawing, _marks, dots, drawn, fitness_axis, labelled, stretched


def paint(points: np.ndarray) -> Callable[[list[Any]], None]:
    def call(axes: list[Any]) -> None:
        dots(axes[0], points[:, 0], points[:, 1], BEST)
        axes[0].axhline(0.5, color=BASE)
        labelled(axes[0], "$x$ across", "up")

    return call


def example(name: str, count: int = 50) -> Drawing:
    return drawn(name, 'a "title" & <more>', paint(np.random.default_rng(0).random((count, 2))))


def test_the_same_each_time_but_for_its_name() -> None:
    one, other = example("one").svg, example("other").svg
    assert one == example("one").svg != other and one.replace("one-", "other-") == other


def test_drawings_share_no_name_and_point_at_their_own() -> None:
    for name in ("one", "other"):
        root = ET.fromstring(example(name).svg)
        made = {e.attrib["id"] for e in root.iter() if "id" in e.attrib}
        assert made and all(n.startswith(f"{name}-") for n in made)
        used = set(re.findall(r'(?:href="|url\()#([\w-]+)', example(name).svg))
        assert used == made


def test_text_is_text_and_no_formula() -> None:
    root = ET.fromstring(example("one").svg)
    said = ["".join(e.itertext()) for e in root.iter("text")]
    assert "$x$ across" in said and root.attrib["aria-label"] == 'a "title" & <more>'


def test_colors_are_those_of_the_page() -> None:
    svg = example("one").svg
    assert "var(--best)" in svg and "var(--base)" in svg and "#01" not in svg


def test_many_points_take_little_room() -> None:
    assert len(example("one", 10_000).svg) < 400_000


def test_points_on_one_spot_are_larger() -> None:
    widths = set(re.findall(r"stroke-width: ([\d.]+); [^\"]*linecap: round", drawn(
        "a", "many points on one spot", paint(np.array([[0.0, 0.0]] * 9 + [[1.0, 1.0]]))).svg))  # fmt: skip
    assert len(widths) == 2


@settings(max_examples=40)
@given(st.lists(st.floats(-1e6, 1), min_size=1, max_size=9))
def test_ticks_are_few_and_inside(fitness: list[float]) -> None:
    low, high = stretched([min(fitness), max(fitness)]).tolist()
    marks = _marks(low - 0.01, high + 0.01)
    places = [float(stretched(m)) for m in marks]
    assert len(marks) <= 8 and all(low - 0.02 <= place <= high + 0.02 for place in places)
    assert places == sorted(places, reverse=True)


def test_the_axis_is_stretched_towards_1() -> None:
    assert np.diff(stretched([0.92, 0.96, 0.98])).tolist() == pytest.approx([np.log10(2)] * 2)
    assert np.isfinite(stretched([1.0, 2.0])).all()

    def call(axes: list[Any]) -> None:
        fitness_axis(axes[0], "y", [0.9, 0.98])

    assert ">0.95<" in drawn("a", "an axis for fitness", call).svg

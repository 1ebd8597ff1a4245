"""Known losses that a search begins with."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

import glo_dsl as glo
from glo_dsl.errors import GloError
from glo_dsl.evolve.funnel import Funnel
from glo_dsl.evolve.space import space_of
from glo_dsl.evolve.strategies.starts import cross_entropy_series, starts, starts_on_record
from glo_dsl.evolve.strategies.taylor import terms
from glo_dsl.ir.expr import size
from tests.evolve.conftest import GLO

SPACE = space_of(glo.loads(GLO)["glo"])


class Page:
    """A book of one event."""

    def __init__(self, written: Any = None) -> None:
        self.written = written

    def stored(self, kind: str) -> Any:
        assert kind == "start"
        return self.written

    def record(self, kind: str, payload: dict[str, Any]) -> None:
        assert kind == "start" and self.written in (None, payload)
        self.written = payload


@pytest.mark.parametrize("order", [2, 3, 5])
@pytest.mark.parametrize("centre", [(0.0, 0.5), (0.5, 0.5), (0.2, 1.0)])
def test_the_error_of_the_series_is_of_the_next_order(order: int, centre: tuple[float, float]) -> None:
    """Of x log(y), less what has no y in it: that is x log(centre)."""
    theta = cross_entropy_series(order, *centre)

    def error(step: float) -> float:
        dx, dy = 0.7 * step, -step
        series = sum(c * dx**i * dy**j for c, (i, j) in zip(theta[2:], terms(order)))
        return abs((centre[0] + dx) * math.log1p(dy / centre[1]) - series)

    assert error(0.1) > 0 and math.log10(error(0.1) / error(0.01)) == pytest.approx(order + 1, abs=0.3)


def test_what_is_known_comes_once_and_the_small_ones_first() -> None:
    found = starts("both", SPACE, 10, largest=25)
    sizes = [size(start.genotype) for start in found]
    assert sizes == sorted(sizes) and max(sizes) <= 25
    origins = [start.origin for start in found]
    assert "zoo: cross_entropy" in origins and "zoo: gce" in origins
    assert any(origin.startswith("taylor: order 3") for origin in origins)
    assert ("zoo: brier" in origins) and "taylor: order 2 around 0.5" not in origins  # these train alike
    funnel = Funnel(10)
    keys = [funnel.peek(SPACE.fill(start.genotype)).key for start in found]
    assert all(keys) and len(set(keys)) == len(keys)


def test_kinds() -> None:
    assert starts("none", SPACE, 10, 25) == [] == starts_on_record(Page(), "none", SPACE, 10)
    zoo, taylor = (starts(kind, SPACE, 10, 25) for kind in ("zoo", "taylor"))  # type: ignore[arg-type]
    assert {start.origin.partition(":")[0] for start in zoo} == {"zoo"}
    assert {start.origin.partition(":")[0] for start in taylor} == {"taylor"}
    with pytest.raises(ValueError, match="start is one of none, zoo, taylor, both, got 'some'"):
        starts("some", SPACE, 10, 25)  # type: ignore[arg-type]


def test_starts_are_written_down_and_read_back(monkeypatch: pytest.MonkeyPatch) -> None:
    page = Page()
    first = starts_on_record(page, "taylor", SPACE, 10)
    assert len(first) > 3
    monkeypatch.setattr("glo_dsl.evolve.strategies.starts.starts", None)  # a book that has them needs no library
    assert starts_on_record(Page(json.loads(json.dumps(page.written))), "taylor", SPACE, 10) == first


@pytest.mark.parametrize("written", [{}, {"losses": 7}, {"losses": ["x"]}, {"losses": [["zoo: a", "sotfmax(x)"]]}, []])
def test_starts_that_make_no_sense_are_refused(written: Any) -> None:
    with pytest.raises(GloError):
        starts_on_record(Page(written), "both", SPACE, 10)

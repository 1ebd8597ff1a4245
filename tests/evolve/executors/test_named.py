"""Executors by name, and what is said to who asks for what there is not."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

from glo_dsl import GloError
from glo_dsl.evolve.executors.dispatch import cores
from glo_dsl.evolve.executors.named import executor_named
from tests.evolve.executors.workload import Workload


def test_there_are_as_many_workers_as_cores_unless_said() -> None:
    for name in ("in-process", "processes"):
        with executor_named(name, None, Workload) as executor:
            assert executor.capacity == cores()
        with executor_named(name, 7, Workload) as executor:
            assert executor.capacity == 7


@pytest.mark.parametrize(
    ("name", "settings", "message", "hint"),
    [
        ("proceses", {}, "no executor proceses", "did you mean processes?"),
        ("slurm", {}, "no executor slurm", "there are in-process, processes, ray"),
        ("in-process", {"time_limit": 3.0}, "threads have no time limit", "the executor processes has one"),
        ("processes", {"address": "auto"}, "the executor processes has no address", "an address is that of a Ray"),
    ],
)
def test_mistakes_are_answered(name: str, settings: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(GloError) as error:
        executor_named(name, 1, Workload, **settings)
    assert error.value.message.startswith(message) and str(error.value.hint).startswith(hint)


@pytest.mark.parametrize(
    "settings", [{"workers": 0}, {"time_limit": 0.0}, {"time_limit": float("nan")}, {"time_limit": -1}, {"retries": -1}]
)
def test_numbers_out_of_range_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        executor_named("processes", **{"workers": 1, "factory": Workload, **settings})


def test_a_factory_that_cannot_travel_is_refused() -> None:
    with pytest.raises(TypeError, match=r"the factory cannot be pickled: .*; functions of a module"):
        executor_named("processes", 1, lambda: Workload())


@pytest.mark.parametrize(
    ("name", "library", "extra"), [("processes", "pebble", "search"), ("ray", "ray", "ray")], ids=["pebble", "ray"]
)
def test_a_library_that_is_missing_is_named(
    name: str, library: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(GloError) as error:
        executor_named(name, 1, Workload)
    assert error.value.hint == f"pip install 'glo-dsl[{extra}]'"


def test_the_example_of_the_manual_runs(tmp_path: Path) -> None:
    page = Path(__file__).parents[3] / "docs" / "search-executors.md"
    (block,) = re.findall(r"^```python\n(.*?)^```$", page.read_text(encoding="utf-8"), re.M | re.S)
    (tmp_path / "block.py").write_text(block)
    assert runpy.run_path(str(tmp_path / "block.py"))["results"] == {n: n**3 for n in range(5)}

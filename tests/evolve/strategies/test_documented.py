"""docs/search-strategies.md has every setting with its default."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from glo_dsl.evolve.strategies import cmaes, glo, islands, nsga2, taylor, tuners

PAGE = (Path(__file__).parents[3] / "docs" / "search-strategies.md").read_text(encoding="utf-8")


SETTINGS = [cmaes.Sampling, glo.Settings, islands.Settings, nsga2.Settings, taylor.Settings, tuners.Tuning]


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: s.__module__)
def test_settings_are_documented_with_their_defaults(settings: type) -> None:
    name = settings.__module__.rpartition(".")[2]
    section = next(part for part in PAGE.split("\n## ") if f"strategies/{name}.py" in part.splitlines()[0])
    table = section[section.index(f"| `{settings.__name__}` |") :].split("\n\n")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| (?:`(.*?)`)? *\|", table, re.M))
    rows.pop(settings.__name__, None)
    wanted = {f.name: "" if f.default is dataclasses.MISSING else str(f.default) for f in dataclasses.fields(settings)}
    assert rows == wanted

"""What the page says that one can run does run, whatever the study holds."""

from __future__ import annotations

import sqlite3
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glo_dsl.evolve.config import Config, configured
from glo_dsl.evolve.report.settings import QUERIES, commands, toml_of
from tests.evolve.conftest import GLO, small
from tests.evolve.report.conftest import EVIL

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
values = st.recursive(
    st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False) | st.booleans() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=5,
)  # fmt: skip


@given(st.dictionaries(texts, values, max_size=4), texts, st.none() | st.integers(1, 9))
def test_toml_is_read_back(options: dict[str, Any], task: str, steps: int | None) -> None:
    config = Config(GLO, "glo", task=task, task_options=options, strategy_options=options, steps=steps)
    found = tomllib.loads(toml_of(config))
    assert configured(GLO, "glo", found) == config


def test_commands_make_the_files_and_search(tmp_path: Path) -> None:
    """By a shell, in which `glo` is what writes down its words."""
    evil = EVIL.replace("\udc80", "") + "'; touch harm; '`touch harm`$(touch harm)\n'\nEOF\n"
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "glo").write_text("#!/bin/sh\nprintf '%s\\0' \"$@\" > words\n")
    (tmp_path / "bin" / "glo").chmod(0o755)
    config = Config(evil, "--out=" + evil, task=evil)
    path = f"{tmp_path / 'bin'}:/usr/bin:/bin"
    subprocess.run(["sh", "-e", "-c", commands(config)], cwd=tmp_path, env={"PATH": path}, check=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bin", "search.toml", "space.glo", "words"]
    assert (tmp_path / "space.glo").read_bytes() == evil.encode()
    assert tomllib.loads((tmp_path / "search.toml").read_bytes().decode())["task"] == evil
    words = (tmp_path / "words").read_bytes().decode().split("\0")[:-1]
    assert words[:3] == ["search", "space.glo", f"--loss={config.loss}"]


def test_the_settings_of_a_search_are_all_there() -> None:
    config = small()
    assert configured(config.space, config.loss, tomllib.loads(toml_of(config))) == config


@pytest.mark.parametrize("title", QUERIES)
def test_queries_answer(title: str, ended: Path) -> None:
    db = sqlite3.connect(f"file:{ended / 'study.sqlite3'}?mode=ro", uri=True)
    rows = db.execute(QUERIES[title]).fetchall()
    db.close()
    assert len(rows) > 1 and all(value is not None for row in rows for value in row)

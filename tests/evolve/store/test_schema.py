"""Files of every version that there was are read by this one."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from glo_dsl.errors import GloError
from glo_dsl.evolve.store import schema
from glo_dsl.evolve.store.place import FILE
from glo_dsl.evolve.store.records import Records
from glo_dsl.evolve.store.rows import Evaluation, Event
from glo_dsl.evolve.store.study import Study
from tests.evolve.store.conftest import Clock


@pytest.fixture(params=["version_1.sql", "version_2.sql"])
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A directory with a study of a version that there was, or is."""
    return laid(request.param, tmp_path)


def laid(name: str, directory: Path) -> Path:
    connection = sqlite3.connect(directory / FILE)
    connection.executescript((Path(__file__).parent / name).read_text())
    connection.close()
    return directory


def tables(directory: Path) -> dict[str, str]:
    connection = sqlite3.connect(directory / FILE)
    found = dict(connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall())
    connection.close()
    return found


def test_stored_studies_are_brought_up_to_date(stored: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """And hold what they held. This fails where a version that was stored is changed: a new one is to be added."""
    with Study.open(stored) as study:
        assert study.config() == {"seed": 1, "task": "digits"}
        assert study.events() == [Event(1, "ask", {"generation": 0}), Event(2, "tell", [0.5, None])]
        assert study.known([b"\x01\xff"], [0, 1], 0) == {
            (b"\x01\xff", 0): Evaluation(b"\x01\xff", 0, 0, 0.5, {"loss": 0.25}, "", 0.125),
            (b"\x01\xff", 1): Evaluation(b"\x01\xff", 1, 0, None, {}, "diverged", 0.125),
        }
        assert [(u.state, u.attempt, u.failures, u.reason) for u in study.units(0)] == [
            ("done", 1, 0, ""), ("queued", 1, 1, "killed"),
        ]  # fmt: skip
        assert [(c["place"], c["class"], c["verdict"]) for c in study.candidates()] == [
            (0, b"\x01\xff", ""), (1, None, "no gradient"),
        ]  # fmt: skip
        study.take()
        assert study.driver().token == 2
        study.check()
    new = tmp_path_factory.mktemp("new")
    Study.create(new, {}).close()
    assert tables(stored) == tables(new)


def test_a_front_of_version_1_becomes_a_note(tmp_path: Path) -> None:
    """Its table had no reader; what stood there is not thrown away."""
    with Study.open(laid("version_1.sql", tmp_path)) as study:
        assert study.noted("front") == [{"candidate": 1, "figures": {"mean": 0.5}}]
        assert study.best() == [] and [c["evaluations"] for c in study.candidates()] == [[], []]  # no jobs, no lines
    assert "front" not in tables(tmp_path)


def test_trainings_of_version_2(tmp_path: Path) -> None:
    with Study.open(laid("version_2.sql", tmp_path)) as study:
        first, second = study.candidates()
    assert [(e["key"], e["seed"], e["fitness"], e["rate"]) for e in first["evaluations"]] == [
        ("01FF", 0, 0.5, 0.5), ("01FF", 1, None, 0.5),
    ]  # fmt: skip
    assert second["evaluations"] == []


def add_thanks(db: sqlite3.Connection) -> None:
    db.execute("ALTER TABLE candidate ADD COLUMN thanks TEXT NOT NULL DEFAULT 'to all'")


def broken(db: sqlite3.Connection) -> None:
    add_thanks(db)
    db.execute("ALTER TABLE nowhere RENAME TO something")


@contextlib.contextmanager
def next_version(step: Callable[[sqlite3.Connection], None]) -> Iterator[None]:
    schema.MIGRATIONS.append(step)
    try:
        yield
    finally:
        schema.MIGRATIONS.remove(step)


def test_the_next_version(stored: Path) -> None:
    with next_version(add_thanks):
        with pytest.raises(GloError, match="older glo-dsl") as older:
            Records.open(stored)
        assert older.value.hint == "resume the search once: that brings it up to date"
        for _ in range(2):  # the second time there is nothing to do
            with Study.open(stored) as study:
                assert [c["thanks"] for c in study.candidates()] == ["to all"] * 2 and len(study.events()) == 2
        with Records.open(stored) as records:
            assert len(records.events()) == 2
    for opened in (Study.open, Records.open):
        with pytest.raises(GloError) as newer:
            opened(stored)
        assert newer.value.message.endswith("newer glo-dsl (version 3 of the tables, known here: 2)")
        assert newer.value.hint == "install a newer glo-dsl: pip install -U glo-dsl"


def test_a_migration_is_all_or_nothing(stored: Path) -> None:
    before = tables(stored)
    with next_version(broken), pytest.raises(GloError, match="no such table: nowhere"):
        Study.open(stored)
    assert tables(stored) == before
    Study.open(stored).close()


def test_a_study_in_use_is_not_migrated(study: Study, tmp_path: Path, clock: Clock) -> None:
    before = tables(tmp_path / "study")
    with next_version(add_thanks), pytest.raises(GloError, match="is being searched by this process"):
        Study.open(tmp_path / "study", clock)
    study.heartbeat()
    assert tables(tmp_path / "study") == before


@pytest.mark.parametrize("value", ["0", "-1", '"1"', "null", "1.5"])
def test_versions_that_never_were(stored: Path, value: str) -> None:
    connection = sqlite3.connect(stored / FILE)
    connection.execute("UPDATE meta SET value = ? WHERE key = 'schema'", (value,))
    connection.commit()
    connection.close()
    with pytest.raises(GloError, match="is damaged, or not a study: it has tables of something else"):
        Study.open(stored)

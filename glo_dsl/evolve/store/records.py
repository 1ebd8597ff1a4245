"""Reading a study, while a search writes it or after."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from glo_dsl.errors import GloError
from glo_dsl.evolve.store.database import Database
from glo_dsl.evolve.store.driver import Driver, driver_of
from glo_dsl.evolve.store.place import FILE, directory_of_study
from glo_dsl.evolve.store.plain_json import decode
from glo_dsl.evolve.store.rows import Evaluation, Event, Unit, Verified
from glo_dsl.evolve.store.schema import MIGRATIONS, read_meta, version
from glo_dsl.evolve.store.units import COLUMNS, unit_of

_AT_ONCE = 500
"""Gradient classes in one question; SQLite takes some 30 000 variables."""


class Records:
    """A study for those who only look: every answer is of one moment, and no writer waits for it.

    Every method raises GloError where the file cannot be read.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def open(cls, directory: str | Path) -> Self:
        """The study in a directory, which may be one that cannot be written.

        Raises:
            GloError: there is none, it is of another version of glo-dsl, or it cannot be read.
        """
        path = file_of_study(directory)
        database = Database(path, "ro")
        try:
            with database.snapshot() as db:
                found = version(db, path)
            if found != len(MIGRATIONS):
                raise no_study(path) if found == 0 else GloError(
                    f"{path} was written by an older glo-dsl", hint="resume the search once: that brings it up to date"
                )  # fmt: skip
        except BaseException:
            database.close()
            raise
        return cls(database)

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except GloError:
            if error is None:  # what went wrong first is what is to be told
                raise

    def check(self) -> None:
        """Reads the whole file. Raises GloError if it is damaged."""
        self._database.check()

    def config(self) -> dict[str, Any]:
        """What the study was created with."""
        with self._database.snapshot() as db:
            found = read_meta(db, "config")
        return found if isinstance(found, dict) else {}

    def noted(self, key: str) -> object:
        """What is noted under a key, or None."""
        with self._database.snapshot() as db:
            return read_meta(db, key)

    def driver(self) -> Driver:
        """Who drives it, or did last."""
        with self._database.snapshot() as db:
            return driver_of(db)

    def events(self, kinds: Collection[str] = (), after: int = 0) -> list[Event]:
        """The events of these kinds, or of all, in their order; those with a number above `after`."""
        chosen = f"AND kind IN ({_marks(kinds)})" if kinds else ""
        with self._database.snapshot() as db:
            rows = db.execute(
                f"SELECT n, kind, payload FROM event WHERE n > ? {chosen} ORDER BY n", (after, *kinds)
            ).fetchall()
        return [Event(n, kind, decode(payload)) for n, kind, payload in rows]

    def known(
        self, classes: Collection[bytes], seeds: Collection[int], rung: int
    ) -> dict[tuple[bytes, int], Evaluation]:
        """What is known already of these gradient classes and seeds on a rung, by (class, seed)."""
        seeds, found = list(dict.fromkeys(seeds)), {}
        with self._database.snapshot() as db:
            for some in _in_parts(list(dict.fromkeys(classes)), _AT_ONCE):
                rows = db.execute(
                    f"""SELECT class, seed, rung, fitness, metrics, reason, seconds FROM evaluation
                        WHERE class IN ({_marks(some)}) AND seed IN ({_marks(seeds)}) AND rung = ?""",
                    (*some, *seeds, rung),
                )
                found.update({(row[0], row[1]): evaluation_of(row) for row in rows})
        return found

    def units(self, generation: int) -> list[Unit]:
        """The units of a generation in their order."""
        with self._database.snapshot() as db:
            rows = db.execute(f"SELECT {COLUMNS} FROM unit WHERE generation = ? ORDER BY id", (generation,)).fetchall()
        return [unit_of(row) for row in rows]

    def work(self) -> dict[str, int]:
        """How many units there are in each state."""
        with self._database.snapshot() as db:
            return dict(db.execute("SELECT state, count(*) FROM unit GROUP BY state ORDER BY state").fetchall())

    def candidates(self, generation: int | None = None) -> list[dict[str, Any]]:
        """The candidates of a generation, or of all, each with the evaluations of its gradient class."""
        chosen, values = ("", ()) if generation is None else ("WHERE generation = ?", (generation,))
        with self._database.snapshot() as db:
            rows = _dicts(db, f"SELECT * FROM candidate {chosen} ORDER BY generation, place", values)
            evaluations: dict[bytes, list[dict[str, Any]]] = {}
            about = "" if generation is None else f"WHERE class IN (SELECT class FROM candidate {chosen})"
            for row in _dicts(db, f"SELECT * FROM evaluation {about} ORDER BY class, rung, seed", values):
                row["metrics"] = decode(row["metrics"])
                evaluations.setdefault(row.pop("class"), []).append(row)
        for row in rows:
            row["origin"] = decode(row["origin"])
            row["evaluations"] = evaluations.get(row["class"], [])
        return rows

    def best(self, limit: int = 10) -> list[dict[str, Any]]:
        """The gradient classes of largest mean fitness on the highest rung first; see the view of that name."""
        with self._database.snapshot() as db:
            return _dicts(db, "SELECT * FROM best LIMIT ?", (limit,))

    def front(self) -> list[Verified]:
        """The verified results, in the order of their candidates."""
        with self._database.snapshot() as db:
            rows = db.execute("SELECT candidate, figures FROM front ORDER BY candidate").fetchall()
        return [Verified(candidate, decode(figures)) for candidate, figures in rows]


def file_of_study(directory: str | Path) -> Path:
    """The file of the study in a directory.

    Raises:
        GloError: there is none.
    """
    path = directory_of_study(Path(directory)) / FILE
    try:
        there = path.is_file()
    except OSError as error:  # the directory may not be entered
        raise GloError(f"{path} cannot be opened: {error.strerror}", hint="change its permissions") from None
    if not there:
        raise no_study(path)
    return path


def no_study(path: Path) -> GloError:
    return GloError(f"there is no study in {path.parent}", hint="name a directory that a search wrote, or begin one")


def evaluation_of(row: tuple[Any, ...]) -> Evaluation:
    """From the columns class, seed, rung, fitness, metrics, reason, seconds."""
    gradient_class, seed, rung, fitness, metrics, reason, seconds = row
    return Evaluation(gradient_class, seed, rung, fitness, decode(metrics), reason, seconds)


def _dicts(db: sqlite3.Connection, query: str, values: tuple[object, ...] = ()) -> list[dict[str, Any]]:
    cursor = db.execute(query, values)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def _marks(values: Collection[object]) -> str:
    return ", ".join("?" * len(values))


def _in_parts(values: list[bytes], size: int) -> Iterator[list[bytes]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]

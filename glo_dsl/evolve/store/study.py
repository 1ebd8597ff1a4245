"""A study for those who write it: the driver of a search, and workers."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from glo_dsl import __version__
from glo_dsl.errors import GloError
from glo_dsl.evolve.store import driver, units
from glo_dsl.evolve.store.database import Database
from glo_dsl.evolve.store.place import FILE, directory_of_study, refuse_network
from glo_dsl.evolve.store.plain_json import encode
from glo_dsl.evolve.store.process import Process, this_process
from glo_dsl.evolve.store.records import Records, file_of_study, no_study
from glo_dsl.evolve.store.rows import Candidate, Evaluation, Unit, Verified
from glo_dsl.evolve.store.schema import MIGRATIONS, migrate, version, write_meta

MOST_FAILURES = 3
"""A unit that has gone wrong so often is given up."""

OWN = frozenset({"schema", "config", "glo_dsl", "driver"})
"""What stands in `meta` besides notes."""

LEASE = 60.0
"""Seconds for which a driver that cannot be seen is waited for."""


class Study(Records):
    """All of `Records`, and writing. Each method is one transaction: when it returns, what it wrote is there to stay.

    One process at a time drives: it takes the study, begins generations and records events. One that has not taken it
    may work: claim units and finish them. Threads may share a Study, processes may not. Every method raises GloError
    where the file cannot be written, or where another process has taken the study from this one; then nothing is
    written. `clock` gives seconds since 1970, which the processes of a study must agree on.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as directory, Study.create(directory, {"task": "digits"}) as study:
    ...     study.take()
    ...     _ = study.begin(0, {"asked": 1}, [Candidate("loss f(x: real) = x", "random", b"x", 1)], ["train x"])
    ...     unit = study.claim("here", seconds=600)
    ...     study.finish(unit.id, unit.attempt, [Evaluation(b"x", seed=0, rung=0, fitness=0.9)])
    ...     study.known([b"x"], [0], rung=0)[b"x", 0].fitness
    True
    0.9
    """

    def __init__(self, database: Database, clock: Callable[[], float], process: Process) -> None:
        super().__init__(database)
        self._clock = clock
        self._process = process
        self._token: int | None = None
        self._seconds = LEASE

    @classmethod
    def create(
        cls, directory: str | Path, config: Mapping[str, Any], clock: Callable[[], float] = time.time,
        process: Process | None = None,
    ) -> Self:  # fmt: skip
        """A new study in a directory, which is made if need be.

        Raises:
            GloError: there is one already, or the place is not fit for one.
            TypeError, ValueError: `config` is not JSON.
        """
        encode(config)
        place = directory_of_study(Path(directory), make=True)
        with _closed_on_error(Database(place / FILE, "rwc")) as database, database.transaction() as db:
            if version(db, database.path):
                raise GloError(f"there is a study in {place} already", hint="resume it, or choose another directory")
            migrate(db, 0)
            write_meta(db, "config", config)
            write_meta(db, "glo_dsl", __version__)
        return cls(database, clock, process or this_process())

    @classmethod
    def open(
        cls, directory: str | Path, clock: Callable[[], float] = time.time, process: Process | None = None
    ) -> Self:
        """The study of a directory, brought up to date if an older glo-dsl wrote it.

        Raises:
            GloError: there is none, it is damaged, a newer glo-dsl wrote it, or it cannot be written.
        """
        path, process = file_of_study(directory), process or this_process()
        refuse_network(path.parent)
        with _closed_on_error(Database(path, "rw")) as database:
            database.check(thorough=False)
            with database.transaction() as db:
                old = version(db, path)
                if old == 0:
                    raise no_study(path)
                if old < len(MIGRATIONS):
                    driver.refuse_if_driven(db, path, process, clock())
                    migrate(db, old)
                write_meta(db, "glo_dsl", __version__)  # and by that, that it can be written is known from the start
        return cls(database, clock, process)

    def close(self) -> None:
        """Gives the study back if this process drives it. What it holds is on record already."""
        try:
            self.leave()
        finally:
            self._token = None
            super().close()

    def take(self, seconds: float = LEASE) -> None:
        """Makes this process the driver. It must write, or call `heartbeat`, more often than every `seconds`.

        A driver whose process is dead on this computer is replaced at once, any other when its lease has ended. The
        units that it had claimed go back into the queue.

        Raises:
            GloError: another one drives; the message says which.
        """
        with self._database.transaction() as db:
            token = driver.take(db, self._database.path, self._process, self._clock(), seconds)
        self._token, self._seconds = token, seconds

    def heartbeat(self) -> None:
        """Lengthens the lease of the driver; every write does so too."""
        with self._driving():
            pass

    def leave(self) -> None:
        """Gives the study back, if this process has it."""
        if self._token is not None:
            with self._database.transaction() as db:
                driver.leave(db, self._token)
            self._token = None

    def record(self, kind: str, payload: object) -> int:
        """Adds an event; its number."""
        with self._driving() as db:
            return _add_event(db, kind, payload)

    def note(self, key: str, value: object) -> None:
        """Keeps something about the search beside its events, by which nothing is decided; a later note replaces it.

        Raises:
            ValueError: what the study keeps of itself is under this key.
        """
        if key in OWN:
            raise ValueError(f"{key} is the study's own")
        with self._driving() as db:
            write_meta(db, key, value)

    def begin(
        self, generation: int, payload: object, candidates: Sequence[Candidate], payloads: Sequence[object]
    ) -> tuple[int, ...]:
        """Adds an event "ask", the candidates of a generation and units of work with these payloads.

        Returns:
            the numbers of the units.

        Raises:
            ValueError: this generation has begun before.
        """
        with self._driving() as db:
            if db.execute("SELECT 1 FROM candidate WHERE generation = ?", (generation,)).fetchall():
                raise ValueError(f"generation {generation} has begun before")
            _add_event(db, "ask", payload)
            db.executemany(
                "INSERT INTO candidate (generation, place, text, origin, class, complexity, verdict)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (generation, place, units.storable(c.text), encode(c.origin), c.gradient_class, c.complexity,
                     units.storable(c.verdict))
                    for place, c in enumerate(candidates)
                ],
            )  # fmt: skip
            return units.queue(db, generation, payloads)

    def claim(self, owner: str, seconds: float, most_failures: int = MOST_FAILURES) -> Unit | None:
        """Leases the first unit in the queue to a worker; None if there is none. Before that, see `expire`."""
        with self._writing() as db:
            units.expire(db, self._clock(), most_failures)
            return units.claim(db, owner, self._clock() + seconds, self._token or 0)

    def expire(self, most_failures: int = MOST_FAILURES) -> int:
        """Puts units whose lease has ended back into the queue, or gives them up. How many there were."""
        with self._writing() as db:
            return units.expire(db, self._clock(), most_failures)

    def extend(self, unit: int, attempt: int, seconds: float) -> bool:
        """Leases a unit for longer; False if it is leased to this attempt no more."""
        with self._writing() as db:
            return units.extend(db, unit, attempt, self._clock() + seconds)

    def release(self, unit: int, attempt: int) -> bool:
        """Puts a unit back into the queue, and that is no failure; False if this attempt has it no more."""
        with self._writing() as db:
            return units.release(db, unit, attempt)

    def finish(self, unit: int, attempt: int, evaluations: Sequence[Evaluation]) -> bool:
        """Stores evaluations that are not there yet, and that the unit is done; may be repeated.

        Returns:
            False for an attempt that is not the unit's last, or of a unit that was given up: the evaluations are stored
            all the same, for they are as true, but the unit stays as it is.
        """
        with self._writing() as db:
            return units.finish(db, unit, attempt, evaluations)

    def fail(self, unit: int, attempt: int, reason: str, most_failures: int = MOST_FAILURES) -> bool:
        """Puts a unit that went wrong back into the queue, or gives it up; False if this attempt has it no more."""
        with self._writing() as db:
            return units.fail(db, unit, attempt, reason, most_failures)

    def set_front(self, front: Sequence[Verified]) -> None:
        """Replaces the verified results."""
        with self._driving() as db:
            db.execute("DELETE FROM front")
            db.executemany("INSERT INTO front VALUES (?, ?)", [(v.candidate, encode(v.figures)) for v in front])

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction in which a driver is still the driver."""
        with self._database.transaction() as db:
            if self._token is not None:
                driver.keep(db, self._database.path, self._token, self._clock(), self._seconds)
            yield db

    @contextlib.contextmanager
    def _driving(self) -> Iterator[sqlite3.Connection]:
        """A transaction for the driver alone."""
        if self._token is None:
            raise GloError("only who drives a study may write this", hint="call take() first")
        with self._writing() as db:
            yield db


def _add_event(db: sqlite3.Connection, kind: str, payload: object) -> int:
    text = encode(payload)
    return db.execute("INSERT INTO event (kind, payload) VALUES (?, ?)", (units.storable(kind), text)).lastrowid or 0


@contextlib.contextmanager
def _closed_on_error(database: Database) -> Iterator[Database]:
    try:
        yield database
    except BaseException:
        database.close()
        raise

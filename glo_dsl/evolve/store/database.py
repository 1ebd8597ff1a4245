"""The connection to the file of a study: how it is opened, and what a transaction on it promises."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from glo_dsl.errors import GloError
from glo_dsl.evolve.store.place import network_file_system, refuse_network
from glo_dsl.evolve.store.trouble import damaged, in_plain_words

PATIENCE = 10.0
"""Seconds that a transaction waits for those of other processes."""

_WAL_LIMIT = 16 << 20  # bytes that the log keeps on disk when a long reader has let it grow


class Database:
    """One connection. Its transactions are of one thread at a time, whichever; a forked process cannot use it.

    Every commit survives the death of this process, by SIGKILL too. A power cut may lose the last ones, never the file:
    `synchronous=NORMAL` leaves it to the system when the log reaches the disk.
    """

    def __init__(self, path: Path, mode: Literal["ro", "rw", "rwc"]) -> None:
        """Raises GloError where the file cannot be opened so."""
        if sqlite3.sqlite_version_info < (3, 35):
            raise GloError(
                f"this Python has SQLite {sqlite3.sqlite_version}, and a study needs 3.35 or newer",
                hint="use a Python that was built with a newer SQLite, such as one from conda or uv",
            )
        self.path = path
        self._mode = mode
        self._lock = threading.RLock()
        self._process = os.getpid()
        with self._plain():
            self._connection = _reading(path) if mode == "ro" else _connection(path, f"mode={mode}")
            try:
                self._prepare()
            except BaseException:
                self._connection.close()
                raise

    def _prepare(self) -> None:
        db = self._connection
        for pragma in ("trusted_schema=OFF", "foreign_keys=ON"):
            db.execute(f"PRAGMA {pragma}")
        if self._mode == "ro":
            return
        (kind,) = db.execute("PRAGMA journal_mode=WAL").fetchone()
        if kind != "wal":
            raise GloError(
                f"{self.path} lies where processes cannot share memory, so SQLite cannot keep a study safe there",
                hint="choose a directory on a disk of this computer",
            )
        db.execute("PRAGMA synchronous=NORMAL")
        db.execute(f"PRAGMA journal_size_limit={_WAL_LIMIT}")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All that is written within is stored, or, if anything is raised, nothing of it.

        Raises:
            GloError: whatever SQLite complains of.
        """
        with self._plain(), self._lock:
            db = self._mine()
            try:
                db.execute("BEGIN IMMEDIATE")
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:  # some errors have ended it already
                    with contextlib.suppress(sqlite3.Error):
                        db.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """All that is read within is of one moment; writers are not kept waiting."""
        with self._plain(), self._lock:
            db = self._mine()
            db.execute("BEGIN")
            try:
                yield db
            finally:
                with contextlib.suppress(sqlite3.Error):
                    db.execute("ROLLBACK")

    def check(self, thorough: bool = True) -> None:
        """Raises GloError where the file is damaged; without `thorough`, does not compare indices with their tables."""
        with self.snapshot() as db:
            pragma = "integrity_check" if thorough else "quick_check"
            (finding,) = db.execute(f"PRAGMA {pragma}(1)").fetchone()
        if finding != "ok":
            raise damaged(self.path, finding)

    def close(self) -> None:
        with self._plain(), self._lock:
            if os.getpid() == self._process:
                self._connection.close()

    def _mine(self) -> sqlite3.Connection:
        if os.getpid() != self._process:  # two processes on one connection are what damages SQLite's files
            raise GloError(
                f"{self.path} was opened by process {self._process}, of which this one is a fork",
                hint="start processes by spawn, or open the study again there",
            )
        return self._connection

    @contextlib.contextmanager
    def _plain(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise in_plain_words(error, self.path) from error


def _reading(path: Path) -> sqlite3.Connection:
    """Whoever reads writes too: the shared index of the log, beside the file.

    Where that cannot be and there is no log, nobody is writing, and the file alone is everything.
    """
    logged = path.with_name(path.name + "-wal").exists()
    if network_file_system(path.parent):
        if logged:
            refuse_network(path.parent)
        return _connection(path, "mode=ro&immutable=1")
    connection = _connection(path, "mode=ro")
    try:
        connection.execute("SELECT 1 FROM sqlite_master").fetchall()
    except sqlite3.OperationalError:
        connection.close()
        if logged:
            raise
        return _connection(path, "mode=ro&immutable=1")
    return connection


def _connection(path: Path, options: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.as_uri()}?{options}", uri=True, timeout=PATIENCE, isolation_level=None, check_same_thread=False
    )

"""Who drives a study: one process at a time, and one that has lost it can write nothing any more.

The token counts the drivers that there were. Each write of a driver compares its own with the file's in the transaction
of that write, so that one who was asleep while another took over finds out before it does harm.
"""

from __future__ import annotations

import sqlite3
from dataclasses import asdict, dataclass
from pathlib import Path

from glo_dsl.errors import GloError
from glo_dsl.evolve.store.process import Process
from glo_dsl.evolve.store.schema import read_meta, write_meta

_KEY = "driver"


@dataclass(frozen=True, slots=True)
class Driver:
    """The last driver of a study: `process` is None when it has left; its lease ends at `until`, seconds since 1970."""

    token: int
    process: Process | None
    until: float

    def drives(self, now: float) -> bool:
        """Whether it must be waited for: not if its lease has ended, and not if its process is seen to be dead."""
        return self.process is not None and now < self.until and self.process.alive() is not False


def driver_of(db: sqlite3.Connection) -> Driver:
    found = read_meta(db, _KEY)
    if not isinstance(found, dict):
        return Driver(0, None, 0.0)
    process = found["process"]
    return Driver(found["token"], Process(**process) if process else None, found["until"])


def refuse_if_driven(db: sqlite3.Connection, path: Path, process: Process, now: float) -> Driver:
    """The last driver, which has gone.

    Raises:
        GloError: it has not.
    """
    last = driver_of(db)
    if last.process is not None and last.drives(now):
        here = last.process == process
        who = "this process" if here else f"process {last.process.pid} on {last.process.host}"
        hint = "close the study that is open here" if here else "wait for it, or stop it"
        raise GloError(
            f"{path.parent} is being searched by {who}",
            hint=f"{hint}; should it be dead, its hold ends in {last.until - now:.0f} s",
        )
    return last


def take(db: sqlite3.Connection, path: Path, process: Process, now: float, seconds: float) -> int:
    """Makes `process` the driver, and queues again what earlier drivers had claimed: they can finish none of it.

    Returns:
        its token.

    Raises:
        GloError: another one drives.
    """
    token = refuse_if_driven(db, path, process, now).token + 1
    _write(db, Driver(token, process, now + seconds))
    db.execute("UPDATE unit SET state = 'queued', owner = '' WHERE state = 'leased' AND driver > 0")
    return token


def keep(db: sqlite3.Connection, path: Path, token: int, now: float, seconds: float) -> None:
    """Lengthens the lease if a third of it has gone by.

    Raises:
        GloError: another process has taken the study.
    """
    driver = driver_of(db)
    if driver.token != token:
        who = driver.process
        by = f"process {who.pid} on {who.host}" if who else "another process, which has left it"
        raise GloError(
            f"this process drives {path.parent} no longer: it was taken over by {by}",
            hint="let that search go on, or stop it and resume; nothing was written",
        )
    if driver.until - now < seconds * 2 / 3:
        _write(db, Driver(token, driver.process, now + seconds))


def leave(db: sqlite3.Connection, token: int) -> None:
    """Gives the study back, unless it was lost already."""
    if driver_of(db).token == token:
        _write(db, Driver(token, None, 0.0))
        db.execute("UPDATE unit SET state = 'queued', owner = '' WHERE state = 'leased' AND driver = ?", (token,))


def _write(db: sqlite3.Connection, driver: Driver) -> None:
    process = asdict(driver.process) if driver.process else None
    write_meta(db, _KEY, {"token": driver.token, "process": process, "until": driver.until})

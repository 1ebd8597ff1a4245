"""What SQLite complains of, said for those who run a search."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from glo_dsl.errors import GloError

_FULL = (
    "there is no room to write {path} (full disk, quota, or limit of file size)",
    "all that was stored before is safe: make room, then resume the search; if there is room, the disk is failing",
)
_BUSY = (
    "{path} is busy: another process has been writing for too long",
    "wait for it, or stop what else has the file open, then resume",
)
_READ_ONLY = (
    "{path} may not be written",
    "SQLite needs to write the file and its directory: change the permissions, or copy the directory to where you may",
)
_CORRUPT = (
    "{path} is damaged, or not a study",
    "restore a copy; `sqlite3 FILE .recover` may save what is readable",
)
_CANNOT_OPEN = (
    "{path} cannot be opened",
    "look whether it is there, and whether you may read the file and write its directory",
)
_BROKEN_DISK = (
    "{path} cannot be read or written: the disk, or what it is mounted by, reports an error",
    "look into the system's log; copy the directory elsewhere before you go on",
)

_BY_CODE = {
    "SQLITE_FULL": _FULL, "SQLITE_IOERR_WRITE": _FULL, "SQLITE_IOERR_SHMSIZE": _FULL, "SQLITE_IOERR_SHMMAP": _FULL,
    "SQLITE_BUSY": _BUSY, "SQLITE_LOCKED": _BUSY, "SQLITE_READONLY": _READ_ONLY, "SQLITE_PERM": _READ_ONLY,
    "SQLITE_CORRUPT": _CORRUPT, "SQLITE_NOTADB": _CORRUPT, "SQLITE_CANTOPEN": _CANNOT_OPEN,
    "SQLITE_IOERR": _BROKEN_DISK,
}  # fmt: skip


def in_plain_words(error: sqlite3.Error, path: Path) -> GloError:
    """The error to raise instead.

    >>> print(in_plain_words(sqlite3.OperationalError("some new thing"), Path("study.sqlite3")))
    study.sqlite3 cannot be used: some new thing
    """
    code: str = getattr(error, "sqlite_errorname", "") or ""  # SQLITE_BUSY_SNAPSHOT is a kind of SQLITE_BUSY
    known = _BY_CODE.get(code) or _BY_CODE.get("_".join(code.split("_")[:2]))
    if known is None:
        return GloError(f"{path} cannot be used: {error}")
    message, hint = known
    return GloError(message.format(path=path), hint=hint)


def damaged(path: Path, finding: str) -> GloError:
    """For a file that can be read, and holds what no study does."""
    message, hint = _CORRUPT
    return GloError(f"{message.format(path=path)}: {finding}", hint=hint)

"""The on-disk store of built kernels: per user, content-addressed, written atomically, verified on load."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

DIGITS = 32


@cache
def directory() -> Path:
    """Where kernels are kept: `$GLO_CACHE_DIR`, else `$XDG_CACHE_HOME/glo-dsl`, else `~/.cache/glo-dsl`.

    A directory that cannot be made private to this user is not used: a kernel is code, and code from a place that
    others can write to is theirs. A fresh temporary directory serves instead.
    """
    chosen = os.environ.get("GLO_CACHE_DIR")
    try:
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        path = Path(chosen) if chosen else Path(home) / "glo-dsl"
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if _is_private(path) and os.access(path, os.W_OK):
            return path
    except (OSError, RuntimeError):
        pass
    return Path(tempfile.mkdtemp(prefix="glo-dsl-"))


def _is_private(path: Path) -> bool:
    status = path.stat()
    if hasattr(os, "getuid") and status.st_uid != os.getuid():
        return False
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH | stat.S_IRWXG | stat.S_IRWXO):
        path.chmod(0o700)
    return not path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def key_of(*facts: str) -> str:
    """The name of what is built from these facts and nothing else."""
    digest = hashlib.sha256()
    for fact in facts:
        data = fact.encode()
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()[:DIGITS]


def fetch(key: str, suffix: str, build: Callable[[Path], None]) -> Path:
    """The file of this key, built by `build(path)` if it is missing or not what was written.

    Two processes that build the same key at once both succeed: each writes a file of its own and renames it.
    """
    found = _find(key, suffix)
    if found is not None:
        return found
    handle, name = tempfile.mkstemp(prefix=f".{key}-", suffix=suffix, dir=directory())
    os.close(handle)
    temporary = Path(name)
    try:
        build(temporary)
        target = directory() / f"{key}-{_content(temporary)}{suffix}"
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    return target


def _find(key: str, suffix: str) -> Path | None:
    """The intact file of this key; a damaged one is removed."""
    for path in directory().glob(f"{key}-*{suffix}"):
        if path.name == f"{key}-{_content(path)}{suffix}":
            return path
        path.unlink(missing_ok=True)
    return None


def _content(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:DIGITS]

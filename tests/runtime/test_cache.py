"""The store of built kernels: private, verified, safe for many processes, replaced when it cannot be used."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

import pytest

from glo_dsl.runtime import cache

WRITER = """
import sys, time
from pathlib import Path
from glo_dsl.runtime.cache import fetch

def build(path):
    path.write_text("begun")
    time.sleep(0.3)
    path.write_text("done")

print(fetch("k", ".so", build).read_text())
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache directory of its own, not yet made."""
    path = tmp_path / "a" / "cache"
    monkeypatch.setenv("GLO_CACHE_DIR", str(path))
    cache.directory.cache_clear()
    yield path
    cache.directory.cache_clear()


def write(text: str, calls: list[str] | None = None) -> Callable[[Path], None]:
    def build(path: Path) -> None:
        if calls is not None:
            calls.append(text)
        path.write_text(text)

    return build


def test_the_directory_is_private(folder: Path) -> None:
    assert cache.directory() == folder
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_directory_open_to_others_is_closed(folder: Path) -> None:
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    assert cache.directory() == folder
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_what_was_built_is_not_built_again(folder: Path) -> None:
    calls: list[str] = []
    paths = {cache.fetch("k", ".so", write("kernel", calls)) for _ in range(3)}
    assert calls == ["kernel"] and len(paths) == 1
    assert cache.fetch("other", ".so", write("else", calls)).read_text() == "else"
    assert [p.name for p in folder.iterdir() if p.name.startswith(".")] == []


@pytest.mark.parametrize("damage", ["kerne", "kernel!", "", "evil"])
def test_a_file_that_is_not_what_was_written_is_built_again(folder: Path, damage: str) -> None:
    path = cache.fetch("k", ".so", write("kernel"))
    path.write_text(damage)
    calls: list[str] = []
    assert cache.fetch("k", ".so", write("kernel", calls)).read_text() == "kernel"
    assert calls == ["kernel"] and len(list(folder.iterdir())) == 1


def test_a_build_that_fails_leaves_nothing_behind(folder: Path) -> None:
    def fail(path: Path) -> None:
        path.write_text("half")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        cache.fetch("k", ".so", fail)
    assert list(folder.iterdir()) == []


def test_two_processes_that_build_at_once_both_succeed(folder: Path) -> None:
    both = [subprocess.Popen([sys.executable, "-c", WRITER], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate(timeout=60)[0] for process in both] == ["done\n", "done\n"]
    assert len(list(folder.iterdir())) == 1


def test_a_file_that_another_process_has_loaded_is_replaced_not_overwritten(folder: Path) -> None:
    def while_another_builds(path: Path) -> None:
        theirs = cache.fetch("k", ".so", write("kernel"))
        loaded.append(theirs.open())
        path.write_text("kernel")

    loaded: list[TextIO] = []
    path = cache.fetch("k", ".so", while_another_builds)
    with loaded[0] as held:
        assert held.read() == "kernel" and os.fstat(held.fileno()).st_ino != path.stat().st_ino


@pytest.mark.parametrize("obstacle", ["a file in the way", "not writable", "of another user"])
def test_a_directory_that_cannot_be_used_is_replaced(
    folder: Path, tmp_path: Path, obstacle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder.parent.mkdir()
    if obstacle == "a file in the way":
        folder.write_text("")
    else:
        folder.mkdir()
    if obstacle == "not writable":
        monkeypatch.setattr(os, "access", lambda path, mode: False)  # for root, all is writable
    if obstacle == "of another user":
        monkeypatch.setattr(os, "getuid", lambda: folder.stat().st_uid + 1)
    other = cache.directory()
    assert other != folder and stat.S_IMODE(other.stat().st_mode) == 0o700
    assert cache.fetch("k", ".so", write("kernel")).parent == other


def test_a_key_tells_its_facts_apart() -> None:
    keys = {cache.key_of("ab", "c"), cache.key_of("a", "bc"), cache.key_of("abc"), cache.key_of("abc", "")}
    assert len(keys) == 4 and all(len(key) == cache.DIGITS for key in keys)
    assert cache.key_of("ab", "c") in keys


def test_without_the_variable_the_user_s_own_cache_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.directory.cache_clear()
    monkeypatch.delenv("GLO_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    try:
        assert cache.directory() == tmp_path / "glo-dsl"
    finally:
        cache.directory.cache_clear()

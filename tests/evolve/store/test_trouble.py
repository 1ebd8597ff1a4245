"""Bad weather: full disks, damaged files, places that are not fit; each said in plain words, and nothing lost."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from glo_dsl.errors import GloError
from glo_dsl.evolve.store import database
from glo_dsl.evolve.store.place import FILE
from glo_dsl.evolve.store.process import this_process
from glo_dsl.evolve.store.records import Records
from glo_dsl.evolve.store.rows import Evaluation
from glo_dsl.evolve.store.study import Study

OPENERS = pytest.mark.parametrize("kind", [Study, Records])


def test_a_study_is_created_once(tmp_path: Path) -> None:
    Study.create(tmp_path / "a" / "b", {"x": 1}).close()
    with pytest.raises(GloError) as error:
        Study.create(tmp_path / "a" / "b", {"x": 2})
    assert error.value.message == f"there is a study in {tmp_path / 'a' / 'b'} already"
    assert error.value.hint == "resume it, or choose another directory"
    with Records.open(tmp_path / "a" / "b") as records:
        assert records.config() == {"x": 1}


def test_a_study_that_was_half_made_is_none(tmp_path: Path) -> None:
    database.Database(tmp_path / FILE, "rwc").close()  # as one that was killed then
    for opener in (Study.open, Records.open):
        with pytest.raises(GloError, match="there is no study in"):
            opener(tmp_path)
    Study.create(tmp_path, {}).close()


@OPENERS
def test_places_without_a_study(kind: type[Records], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    for name, said in {
        "missing": "there is no directory", "file": "is a file, and a study is a directory", ".": "there is no study",
        "file/below": "there is no directory", "circle": "cannot be used",
    }.items():  # fmt: skip
        with pytest.raises(GloError, match=said) as error:
            kind.open(tmp_path / name)
        assert error.value.hint
    assert sorted(p.name for p in tmp_path.iterdir()) == ["circle", "file"]  # nothing was left behind


@pytest.mark.parametrize("name", ["file", "file/below", "circle"])
def test_places_for_no_study(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    with pytest.raises(GloError, match=r"is a file|cannot be used: "):
        Study.create(tmp_path / name, {})


@pytest.mark.parametrize("name", ["a b", "50%", "what?mode=memory", "#1", "\u00fc", "file:x"])
def test_directories_of_any_name(name: str, tmp_path: Path) -> None:
    with Study.create(tmp_path / name, {"name": name}), Records.open(tmp_path / name) as records:
        assert records.config() == {"name": name}
    assert (tmp_path / name / FILE).exists()


@OPENERS
@pytest.mark.parametrize(
    "content", [b"no database at all, however long it is" * 99, b"SQLite format 3\x00" + b"\xff" * 4096]
)
def test_files_of_something_else(content: bytes, kind: type[Records], tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(GloError, match="is damaged, or not a study") as error:
        kind.open(tmp_path)
    assert "restore a copy" in (error.value.hint or "")
    assert (tmp_path / FILE).read_bytes() == content


@OPENERS
def test_databases_of_something_else(kind: type[Records], tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / FILE)
    other.execute("CREATE TABLE songs (title TEXT)")
    other.close()
    with pytest.raises(GloError, match="or not a study: it has tables of something else"):
        kind.open(tmp_path)
    with pytest.raises(GloError, match="or not a study: it has tables of something else"):
        Study.create(tmp_path, {})


def test_damage_is_found(tmp_path: Path) -> None:
    with Study.create(tmp_path, {}) as study:
        study.take()
        for k in range(300):
            study.record("tell", "x" * 100 + str(k))
    whole = (tmp_path / FILE).read_bytes()
    found = 0
    for page in range(1, len(whole) // 4096):
        (tmp_path / FILE).write_bytes(whole[: page * 4096] + b"\x5a" * 4096 + whole[(page + 1) * 4096 :])
        with pytest.raises(GloError, match="is damaged, or not a study") as error:
            Study.open(tmp_path)
        assert error.value.hint
        found += 1
        with pytest.raises(GloError, match="is damaged"), Records.open(tmp_path) as records:
            records.check()
    assert found > 10
    (tmp_path / FILE).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(GloError, match="is damaged"):
        Study.open(tmp_path)


def test_values_that_no_study_holds(study: Study, tmp_path: Path) -> None:
    study.record("tell", 1)
    study.begin(0, {}, [], [1])
    other = sqlite3.connect(tmp_path / "study" / FILE)
    other.execute("UPDATE unit SET payload = '{'")
    other.commit()
    other.close()
    with pytest.raises(GloError, match=r"the study holds '\{', which is not JSON"):
        study.units(0)


def test_no_room_for_files(tmp_path: Path) -> None:
    """In a process that may write so much and no more, as on a full disk or at the end of a quota."""
    script = Path(__file__).parent / "fill.py"
    run = subprocess.run([sys.executable, script, tmp_path, "300000"], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    full, after = (json.loads(line) for line in run.stdout.splitlines())
    assert full["message"] == (f"there is no room to write {tmp_path / FILE} (full disk, quota, or limit of file size)")
    assert "make room, then resume the search" in full["hint"]
    assert after == {"readable": full["stored"], "again": 3, "finished": True} and full["stored"] > 10
    with Records.open(tmp_path) as records:
        records.check()
        assert [e.payload for e in records.events(["tell"])] == list(range(full["stored"]))
        assert [u.state for u in records.units(0)] == ["done"]


def test_no_room_in_the_database(study: Study) -> None:
    """The error that SQLite has for a full disk itself, in the middle of a transaction of many rows."""
    study.begin(0, {}, [], [None])
    unit = study.claim("here", 60)
    assert unit is not None
    pages = study._database._connection.execute("PRAGMA page_count").fetchone()[0]
    study._database._connection.execute(f"PRAGMA max_page_count = {pages + 3}")
    found = [Evaluation(k.to_bytes(32, "big"), 0, 0, 0.5, {"k": k}) for k in range(2000)]
    with pytest.raises(GloError, match="there is no room to write"):
        study.finish(unit.id, unit.attempt, found)
    study._database.check()
    assert study.known([e.gradient_class for e in found], [0], 0) == {} and study.units(0) == [unit]
    study._database._connection.execute("PRAGMA max_page_count = 100000")
    assert study.finish(unit.id, unit.attempt, found)
    assert len(study.known([e.gradient_class for e in found], [0], 0)) == 2000


@contextlib.contextmanager
def unprivileged() -> Iterator[None]:
    """Permissions mean nothing to root, so for a while this is somebody else."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.fixture
def shared() -> Iterator[Path]:
    """A directory that everybody reaches, with a study that has been closed."""
    directory = Path(tempfile.mkdtemp(prefix="glo-study-"))
    try:
        with Study.create(directory, {"x": 1}) as study:
            study.take()
            study.record("tell", 1)
        yield directory
    finally:
        directory.chmod(0o755)
        shutil.rmtree(directory)


@pytest.mark.parametrize(("of_directory", "of_file"), [(0o555, 0o444), (0o555, 0o666), (0o777, 0o444)])
def test_what_may_only_be_read(of_directory: int, of_file: int, shared: Path) -> None:
    (shared / FILE).chmod(of_file)
    shared.chmod(of_directory)
    with unprivileged():
        with Records.open(shared) as records:
            assert records.config() == {"x": 1} and len(records.events()) == 1
        with pytest.raises(GloError, match=r"may not be written|cannot be opened") as error:
            Study.open(shared)
        assert "permissions" in (error.value.hint or "") or "write its directory" in (error.value.hint or "")
        if of_directory == 0o555:
            with pytest.raises(GloError, match=r"cannot be used: Permission denied"):
                Study.create(shared / "new", {})


def test_what_may_not_even_be_read(shared: Path) -> None:
    (shared / FILE).chmod(0)
    shared.chmod(0o755)
    with unprivileged():
        for opener in (Study.open, Records.open):
            with pytest.raises(GloError, match="cannot be opened"):
                opener(shared)
    shared.chmod(0)
    with unprivileged():
        for opener in (Study.open, Records.open):
            with pytest.raises(GloError, match=r"Permission denied|cannot be opened"):
                opener(shared)


def test_network_file_systems_are_refused(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "mounts"
    table.write_text(f"/dev/vda / ext4 rw 0 0\nserver:/x {shared} nfs4 rw 0 0\n")
    monkeypatch.setattr("glo_dsl.evolve.store.place._MOUNTS", table)
    for write in (lambda: Study.create(shared / "new", {}), lambda: Study.open(shared)):
        with pytest.raises(GloError) as error:
            write()
        assert "on a network file system (nfs4), where SQLite cannot keep a study safe" in error.value.message
        assert error.value.hint == (
            "choose a directory on a disk of this computer, and copy the study when the search has ended"
        )
    with Records.open(shared) as records:  # a copy that nobody writes
        assert records.config() == {"x": 1}
    assert sorted(p.name for p in shared.iterdir()) == [FILE]  # nothing was made, and nothing written to read it
    (shared / f"{FILE}-wal").write_bytes(b"")
    with pytest.raises(GloError, match="network file system"):
        Records.open(shared)


def test_the_file_is_kept_as_the_page_says(study: Study) -> None:
    """With a log beside it, which the system writes to the disk when it likes: not at every commit, but in order."""
    with study._database.snapshot() as db:
        modes = [db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous", "foreign_keys")]
    assert modes == ["wal", 1, 1]


def test_places_without_shared_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of SQLite's own file systems cannot do it either."""
    honest = database._connection
    monkeypatch.setattr(database, "_connection", lambda path, options: honest(path, f"{options}&vfs=unix-dotfile"))
    with pytest.raises(GloError, match="lies where processes cannot share memory"):
        Study.create(tmp_path, {})


def test_busy_is_said(study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "PATIENCE", 0.01)
    with Study.open(tmp_path / "study") as second:
        with study._database.transaction():
            with pytest.raises(GloError, match="is busy: another process has been writing for too long"):
                second.claim("second", 60)
            assert second.events() == []  # readers are not kept waiting
        assert second.claim("second", 60) is None


def test_old_sqlite_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 26, 0))
    with pytest.raises(GloError, match=r"a study needs 3\.35 or newer"):
        Study.create(tmp_path, {})


def test_forks_are_refused(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: 1)
        for use in (study.heartbeat, study.events, lambda: study.claim("x", 60)):
            with pytest.raises(GloError, match="of which this one is a fork"):
                use()
    study.heartbeat()


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, MemoryError])
def test_interruptions_leave_no_transaction_open(study: Study, interruption: type[BaseException]) -> None:
    with pytest.raises(interruption), study._driving() as db:
        db.execute("INSERT INTO event (kind, payload) VALUES ('half', '1')")
        raise interruption
    assert study.events() == [] and study.record("tell", 1) == 1


@pytest.mark.parametrize("first", [KeyboardInterrupt, None])
def test_what_went_wrong_first_is_told(
    first: type[BaseException] | None, study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a study cannot be given back either, as on a full disk; here because another does not let go."""
    monkeypatch.setattr(database, "PATIENCE", 0.01)
    study.leave()
    with Study.open(tmp_path / "study") as mine:
        mine.take()
        with pytest.raises(first or GloError), study._database.transaction(), mine:
            if first:
                raise first
    assert study.driver().process == this_process()

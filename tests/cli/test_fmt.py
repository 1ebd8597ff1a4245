from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from glo_dsl.cli import fmt
from glo_dsl.errors import GloError
from tests.cli.conftest import Run

ROOT = Path(__file__).parents[2]
GOOD, UGLY, BAD = "def f(x) = x\n", "def f(x)=(x)", "def f(x) = x x"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A good, an ugly and a bad file, and in folders an ugly one and two that are not meant."""
    for name, text in (
        ("good.glo", GOOD), ("ugly.glo", UGLY), ("bad.glo", BAD),
        ("sub/ugly.glo", UGLY), ("sub/ugly.txt", UGLY), ("sub/.hidden/ugly.glo", UGLY),
    ):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_examples_are_in_their_form(run: Run) -> None:
    done = run("glo", "fmt", "--check", ROOT / "examples")
    assert done.returncode == 0 and done.stdout == b"", done.stdout.decode()


def test_files_are_written_in_their_form(run: Run, files: Path) -> None:
    before = contents(files)
    done = run("glo", "fmt", "good.glo", "ugly.glo", "sub", "ugly.glo")
    assert done.returncode == 0 and done.stderr == b""
    assert done.stdout.decode().splitlines() == ["formatted ugly.glo", "formatted sub/ugly.glo"]
    assert contents(files) == {**before, "ugly.glo": GOOD, "sub/ugly.glo": GOOD}
    assert run("glo", "fmt", "ugly.glo", "sub").stdout == b""


def test_a_bad_file_stays_as_it_is_and_the_others_do_not(run: Run, files: Path) -> None:
    before = contents(files)
    done = run("glo", "fmt", "bad.glo", "ugly.glo")
    assert done.returncode == 1 and done.stdout == b"formatted ugly.glo\n"
    assert done.stderr.decode().startswith("bad.glo:1:14: unexpected 'x'")
    assert contents(files) == {**before, "ugly.glo": GOOD}


@pytest.mark.parametrize(
    ("words", "code", "shown"),
    [
        (("--check", ".", "ugly.glo"), 1, ["would format sub/ugly.glo", "would format ugly.glo"]),
        (("--check", "good.glo"), 0, []),
        (("--diff", "good.glo"), 0, []),
        (("--diff", "ugly.glo"), 0, ["--- ugly.glo", "+++ ugly.glo", "@@ -1 +1 @@", f"-{UGLY}", f"+{GOOD.strip()}"]),
        (("--diff", "--check", "ugly.glo"), 1,
         ["--- ugly.glo", "+++ ugly.glo", "@@ -1 +1 @@", f"-{UGLY}", f"+{GOOD.strip()}", "would format ugly.glo"]),
    ],
)  # fmt: skip
def test_checks_and_differences_write_nothing(
    run: Run, files: Path, words: tuple[str, ...], code: int, shown: list[str]
) -> None:
    (files / "bad.glo").unlink()
    before = contents(files)
    done = run("glo", "fmt", *words)
    assert done.returncode == code and done.stdout.decode().splitlines() == shown
    assert contents(files) == before


@pytest.mark.parametrize(
    ("words", "text", "code", "out", "error"),
    [
        ((), UGLY, 0, GOOD, ""),
        ((), "", 0, "", ""),
        (("--check",), UGLY, 1, "would format <stdin>\n", ""),
        (("--check",), GOOD, 0, "", ""),
        ((), BAD, 1, "", "<stdin>:1:14: unexpected 'x'"),
        ((), b"\xff", 1, "", "<stdin> is not UTF-8 text"),
    ],
)
def test_standard_input(
    tmp_path: Path, words: tuple[str, ...], text: str | bytes, code: int, out: str, error: str
) -> None:
    command = [str(Path(sys.executable).parent / "glo"), "fmt", *words, "-"]
    given = text if isinstance(text, bytes) else text.encode()
    done = subprocess.run(command, input=given, capture_output=True, cwd=tmp_path, timeout=300)
    assert done.returncode == code and done.stdout.decode() == out
    assert done.stderr.decode().startswith(error) and bool(done.stderr) == bool(error)


@pytest.mark.parametrize("end", [b"\r\n", b"\r"])
def test_every_line_ends_with_a_line_feed(run: Run, tmp_path: Path, end: bytes) -> None:
    (tmp_path / "f.glo").write_bytes(b"# about f" + end + b"def f(x) = x" + end)
    assert run("glo", "fmt", "f.glo").stdout == b"formatted f.glo\n"
    assert (tmp_path / "f.glo").read_bytes() == b"# about f\ndef f(x) = x\n"


def test_mode_and_link_are_kept(run: Run, files: Path) -> None:
    (files / "ugly.glo").chmod(0o640)
    (files / "link.glo").symlink_to("ugly.glo")
    assert run("glo", "fmt", "link.glo").returncode == 0
    assert (files / "link.glo").is_symlink() and (files / "ugly.glo").read_text() == GOOD
    assert stat.S_IMODE((files / "ugly.glo").stat().st_mode) == 0o640


def test_what_cannot_be_written_is_left_whole(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    before = contents(files)
    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(GloError, match=r"cannot write .*ugly\.glo: Permission denied"):
        fmt._replace(files / "ugly.glo", b"other")
    assert contents(files) == before


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("nothing.glo",), 1, "cannot read nothing.glo: No such file"),
        (("sub/.hidden/../.none",), 1, "cannot read"),
        (("empty",), 1, "there is no .glo file in empty"),
        ((), 2, "Missing argument"),
    ],
)
def test_mistakes_on_the_command_line(run: Run, files: Path, words: tuple[str, ...], code: int, message: str) -> None:
    (files / "empty").mkdir()
    done = run("glo", "fmt", *words)
    assert done.returncode == code and message in done.stderr.decode()


def test_a_file_of_other_bytes_is_said_to_be_no_text(run: Run, tmp_path: Path) -> None:
    (tmp_path / "f.glo").write_bytes(b"\xff\xfe")
    done = run("glo", "fmt", "f.glo")
    assert done.returncode == 1 and done.stderr == b"f.glo is not UTF-8 text\n"

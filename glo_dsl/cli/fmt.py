"""`glo fmt`: .glo files to their canonical form, in place, or whether they have it already."""

from __future__ import annotations

import difflib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from glo_dsl.errors import GloError
from glo_dsl.lang.format import format_text

STANDARD_INPUT = Path("-")


def fmt_command(
    paths: Annotated[list[Path], typer.Argument(metavar="FILE...", show_default=False,
                                                help="Files, directories to search for *.glo, or - for standard "
                                                "input.")],
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail if a file would change.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Write nothing; show what would change.")] = False,
) -> None:  # fmt: skip
    """Write .glo files in the canonical form: what they mean stays the same, and so do all comments."""
    wrong = False
    for path in _files(paths):
        try:
            wrong |= _format(path, check, diff)
        except GloError as error:
            print(error, file=sys.stderr)
            wrong = True
    if wrong:
        raise typer.Exit(1)


def _files(paths: list[Path]) -> Iterator[Path]:
    """The files that are meant, each once."""
    seen: set[Path] = set()
    for path in paths:
        found = [path]
        if path != STANDARD_INPUT and path.is_dir():
            found = sorted(file for file in path.rglob("*.glo") if not _hidden(file.relative_to(path)))
            if not found:
                raise GloError(f"there is no .glo file in {path}")
        for file in found:
            if file not in seen:
                seen.add(file)
                yield file


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _format(path: Path, check: bool, diff: bool) -> bool:
    """Formats one file, or says how it would change; whether a check of it fails."""
    name = "<stdin>" if path == STANDARD_INPUT else str(path)
    before = _read(path, name)
    # Line ends as everywhere a .glo file is read: each of them counts as one line feed.
    after = format_text(_decoded(before, name).replace("\r\n", "\n").replace("\r", "\n"), name).encode()
    if diff:
        _write_out(_difference(before, after, name))
    elif path == STANDARD_INPUT and not check:
        _write_out(after)
    if before == after:
        return False
    if check:
        print(f"would format {name}")
    elif path != STANDARD_INPUT and not diff:
        _replace(path, after)
        print(f"formatted {name}")
    return check


def _read(path: Path, name: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if path == STANDARD_INPUT else path.read_bytes()
    except OSError as error:
        raise GloError(f"cannot read {name}: {error.strerror}") from None


def _decoded(content: bytes, name: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise GloError(f"{name} is not UTF-8 text") from None


def _difference(before: bytes, after: bytes, name: str) -> bytes:
    old, new = (content.splitlines(keepends=True) for content in (before, after))
    lines = difflib.diff_bytes(difflib.unified_diff, old, new, os.fsencode(name), os.fsencode(name))
    return b"".join(line if line.endswith(b"\n") else line + b"\n" for line in lines)


def _write_out(content: bytes) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


def _replace(path: Path, content: bytes) -> None:
    """Writes a file as a whole or not at all; a link stays one, and the mode is kept."""
    target = path.resolve()
    try:
        descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            shutil.copymode(target, temporary)
            os.replace(temporary, target)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise GloError(f"cannot write {path}: {error.strerror}") from None

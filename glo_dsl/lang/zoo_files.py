"""The files of the library of losses, which come with the package as they are."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources


@cache
def zoo_index() -> dict[str, str]:
    """For every loss of the library the name of its file."""
    found: dict[str, str] = {}
    for file in sorted(zoo_files()):
        for name in re.findall(r"^loss\s+(\w+)", zoo_text(file), re.M):
            found[name] = file
    return found


def zoo_files() -> list[str]:
    """The names of the files."""
    return [entry.name for entry in (resources.files("glo_dsl") / "zoo").iterdir() if entry.name.endswith(".glo")]


def zoo_text(file: str) -> str:
    """The text of a file of the library."""
    return (resources.files("glo_dsl") / "zoo" / file).read_text(encoding="utf-8")

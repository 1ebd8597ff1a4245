"""What a logger has to take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol


class Writer(Protocol):
    """One run of a logger. Used by one thread; every method may raise what it likes, and block.

    Attributes:
        run: what the logger knows the run by, if it is to be gone on with.
    """

    run: str

    def parameters(self, settings: Mapping[str, str]) -> None:
        """What the search was told, once for each run."""

    def figures(self, at: int, figures: Mapping[str, float]) -> None:
        """Finite numbers by name, after `at` trainings."""

    def text(self, name: str, text: str) -> None:
        """A file, by its name."""

    def close(self, finished: bool) -> None:
        """All is written. `finished`: the search has come to its end."""


Opening = Callable[[Path, str | None], Writer]
"""Opens a run: the one of that name or, without a name, a new one. What it keeps on this machine lies in the directory,
which is that of the study."""

"""What was logged already, in a small file beside the study: a search that is gone on with logs nothing twice.

It is no part of the study, whose result does not depend on who logs it.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from glo_dsl.errors import GloError

FILE = "logged.json"

_RUN = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True)
class Note:
    """Of one logger.

    Attributes:
        run: its run; "" before there is one.
        generation: the last that was logged; -1 before the first.
        ended: whether the result was.
    """

    run: str = ""
    generation: int = -1
    ended: bool = False


class Notes:
    """The notes of a study; threads may share them."""

    def __init__(self, directory: Path, loggers: Collection[str]) -> None:
        """
        Raises:
            GloError: the file is damaged, and there are loggers that need it.
        """
        self._path = directory / FILE
        self._lock = threading.Lock()
        self._notes = _read(self._path) if loggers else {}

    def of(self, logger: str) -> Note:
        return self._notes.get(logger, Note())

    def change(self, logger: str, **values: Any) -> None:
        """Writes down what is so from now on."""
        with self._lock:
            self._notes[logger] = replace(self.of(logger), **values)
            new = self._path.with_suffix(".new")
            new.write_text(json.dumps({name: asdict(note) for name, note in self._notes.items()}), encoding="utf-8")
            os.replace(new, self._path)


def _read(path: Path) -> dict[str, Note]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        notes = {name: Note(**note) for name, note in found.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        raise _damaged(path) from None
    for note in notes.values():
        if type(note.generation) is not int or type(note.ended) is not bool or type(note.run) is not str:
            raise _damaged(path)
        if note.run and not _RUN.fullmatch(note.run):
            raise _damaged(path)
    return notes


def _damaged(path: Path) -> GloError:
    return GloError(f"{path} is damaged", hint="remove it; what is logged from then on goes to new runs")

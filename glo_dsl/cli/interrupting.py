"""Ctrl-C during a search: it winds down; a second one does not wait for that."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

SHOW_CURSOR = "\x1b[?25h"


@contextmanager
def interruptible(directory: Path, told: Callable[[], None]) -> Iterator[Callable[[], None]]:
    """Within, Ctrl-C calls `told` and raises KeyboardInterrupt; the next one ends the process where it stands.

    Nothing is damaged by that: a study loses no more than by `kill -9`, which is nothing that was stored, and workers
    end with the process that drives them. What is yielded raises KeyboardInterrupt if there was one: Python swallows it
    where it falls into the clean-up of an object, and a search would go on. Of that it says nothing.
    """
    asked = False

    def check() -> None:
        if asked:
            raise KeyboardInterrupt

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            _leave(directory)
        asked = True
        told()
        raise KeyboardInterrupt

    here = threading.current_thread() is threading.main_thread()
    if not here or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield check  # not ours to handle: ignored under nohup, or the handler of who calls us
        return
    signal.signal(signal.SIGINT, handle)
    loud = sys.unraisablehook
    sys.unraisablehook = lambda found: None if isinstance(found.exc_value, KeyboardInterrupt) else loud(found)
    try:
        yield check
    finally:
        if not asked:  # else what is left is to say so and to end, which needs no waiting for either
            signal.signal(signal.SIGINT, signal.default_int_handler)
            sys.unraisablehook = loud


def _leave(directory: Path) -> None:
    """Not through exit handlers, which wait for threads that compute."""
    cursor = SHOW_CURSOR if os.isatty(2) else ""
    os.write(
        2, f"{cursor}\nleft at once; everything that was finished is stored\n  go on: glo resume {directory}\n".encode()
    )
    os._exit(1)

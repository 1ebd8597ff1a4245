"""Which process holds something, said so that another can see whether it is still there."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Process:
    """A process for ever, and not only until its number is given to another.

    Attributes:
        host: the name of its computer, for people.
        machine: what its number counts in: one run of one computer, one namespace of processes; "" if not known.
        started: when it started, in ticks since that computer did; "" if not known.
    """

    host: str
    machine: str
    pid: int
    started: str

    def alive(self) -> bool | None:
        """Whether it runs; None if that cannot be seen from here.

        >>> this_process().alive() in (True, None)
        True
        """
        if not self.machine or not self.started or self.machine != _machine():
            return None
        started = _started(self.pid)
        if started is not None:
            return started == self.started
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except OSError:
            pass  # there, but another user's, and hidden
        return None


def this_process() -> Process:
    pid = os.getpid()
    return Process(socket.gethostname(), _machine(), pid, _started(pid) or "")


def _machine() -> str:
    """Empty where there is no /proc: then only time tells that a process is gone."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _started(pid: int) -> str | None:
    """The start of a process; "" for one that has ended and waits to be fetched, None where nothing is to be seen."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    state, *rest = text[text.rfind(")") + 1 :].split()  # the name before it may hold anything
    return "" if state in "ZX" else rest[18]

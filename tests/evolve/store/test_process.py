"""Whether a process is alive, for processes of every kind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from glo_dsl.evolve.store import process
from glo_dsl.evolve.store.process import Process, this_process

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only /proc says who is alive")


def test_this_process_is_alive() -> None:
    assert this_process().alive() is True
    assert this_process() == this_process()


def test_the_dead_are_dead(dead: Process) -> None:
    assert dead.alive() is False


def test_its_start_is_its_start() -> None:
    """In ticks since the computer's own, as the table of the manual has it."""

    def uptime() -> float:
        return float(Path("/proc/uptime").read_text().split()[0])

    before = uptime()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        started = int(process._started(child.pid) or 0) / os.sysconf("SC_CLK_TCK")
        assert before - 0.1 <= started <= uptime() + 0.1
    finally:
        child.communicate()


def test_a_number_given_to_another_is_not_the_same_process() -> None:
    assert replace(this_process(), started="1").alive() is False


def test_who_was_killed_and_not_fetched_is_dead() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        started = process._started(child.pid)
        assert started
        it = replace(this_process(), pid=child.pid, started=started)
        assert it.alive() is True
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and is left as it is
        assert Path(f"/proc/{child.pid}").exists() and it.alive() is False
    finally:
        child.communicate()


def test_of_others_nothing_is_said(elsewhere: Process) -> None:
    assert elsewhere.alive() is None
    assert replace(this_process(), started="").alive() is None
    assert replace(this_process(), machine="").alive() is None


def test_without_proc_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_machine", lambda: "")
    assert this_process().alive() is None


@pytest.mark.parametrize(("error", "alive"), [(ProcessLookupError, False), (PermissionError, None), (None, None)])
def test_what_is_hidden_is_not_dead(
    monkeypatch: pytest.MonkeyPatch, error: type[OSError] | None, alive: bool | None
) -> None:
    """/proc may hide the processes of others; a signal that is none finds them."""

    def kill(pid: int, number: int) -> None:
        assert number == 0
        if error:
            raise error

    here = this_process()
    monkeypatch.setattr(process, "_started", lambda pid: None)
    monkeypatch.setattr(os, "kill", kill)
    assert here.alive() is alive


def test_names_with_brackets(tmp_path: Path) -> None:
    """The name of a program stands before its state, and may hold what looks like one."""
    program = tmp_path / "a) Z 0"
    program.symlink_to("/bin/sleep")
    child = subprocess.Popen([program, "60"])
    try:
        assert (process._started(child.pid) or "").isdigit()
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()

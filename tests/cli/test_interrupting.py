"""Ctrl-C twice, in a process of its own that takes its time to wind down."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from glo_dsl.cli.interrupting import interruptible

CHILD = """
import os, time
from pathlib import Path
from glo_dsl.cli.interrupting import interruptible

def told():
    os.write(1, b"told ")

try:
    with interruptible(Path("found"), told) as check:
        try:
            print("ready", flush=True)
            time.sleep(60)
        finally:
            print("winding down", flush=True)
            time.sleep(float(os.environ["SECONDS"]))
            print("wound down", flush=True)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def child(seconds: float) -> subprocess.Popen[str]:
    environment = {**os.environ, "SECONDS": str(seconds), "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "told winding down\n"
    return process


def rest(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """How it ended, and what it said until then. `communicate` would not see what came with a line read before."""
    assert process.stdout is not None and process.stderr is not None
    with process:
        output, error = process.stdout.read(), process.stderr.read()
    return process.returncode, output, error


def test_once_winds_down() -> None:
    assert rest(child(0)) == (0, "wound down\ninterrupted\n", "")


def test_twice_leaves_at_once() -> None:
    process = child(60)
    process.send_signal(signal.SIGINT)
    begun = time.monotonic()
    code, output, error = rest(process)
    assert time.monotonic() - begun < 30
    assert code == 1 and output == "" and "glo resume found" in error and "Traceback" not in error


def test_one_that_got_lost_is_not_forgotten() -> None:
    """Python prints and drops what a finalizer raises."""

    class Dropped:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), interruptible(Path("found"), lambda: None) as check:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "unraisablehook", lambda _: None)
            dropped = Dropped()
            del dropped
        check()
    signal.signal(signal.SIGINT, before)


def test_without_ctrl_c_all_is_as_before() -> None:
    before = signal.getsignal(signal.SIGINT)
    with interruptible(Path("found"), lambda: None) as check:
        assert signal.getsignal(signal.SIGINT) is not before
        check()
    assert signal.getsignal(signal.SIGINT) is before


def test_who_ignores_ctrl_c_goes_on_ignoring_it() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interruptible(Path("found"), lambda: None) as check:
            os.kill(os.getpid(), signal.SIGINT)
            check()
    finally:
        signal.signal(signal.SIGINT, before)

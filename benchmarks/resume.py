"""How soon a search works again after `kill -9`, and that it comes to the same. See README.md in this folder."""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from measuring import machine

from glo_dsl.evolve.checkpoint import NOTE
from glo_dsl.evolve.store.place import FILE
from glo_dsl.evolve.store.records import Records
from glo_dsl.evolve.store.study import Study

SPACE = Path(__file__).parents[1] / "examples" / "glo.glo"
RESULTS = ("best.glo", "front.glo", "summary.json")

DRIVER = """
import json, os, sys
from pathlib import Path

def age():
    began = float(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
    return float(Path("/proc/uptime").read_text().split()[0]) - began

import torch
marks = {"torch": age()}
from glo_dsl.evolve.config import configured
from glo_dsl.evolve.ledger import Ledger
from glo_dsl.evolve.session import Where, begin, resume
marks["imports"] = age()
drain = Ledger._drain

def marked(self):
    if "work" not in marks:
        marks["work"], marks["events"] = age(), self._written
        Path(sys.argv[2]).write_text(json.dumps(marks))
    drain(self)

Ledger._drain = marked
directory, space = Path(sys.argv[1]), sys.argv[3]
if directory.exists():
    resume(directory, Where(workers=2))
else:
    begin(configured(space, "glo", json.loads(sys.argv[4])), directory, Where(workers=2))
"""
"""Says how old the process was when PyTorch was there, when all was imported, and when it first handed out work."""


class Driver:
    """A process that drives a study."""

    def __init__(self, directory: Path, settings: dict[str, Any]) -> None:
        self._directory, self._marks = directory, directory.parent / "marks.json"
        self._marks.unlink(missing_ok=True)
        words = [str(directory), str(self._marks), SPACE.read_text(encoding="utf-8"), json.dumps(settings)]
        self._process = subprocess.Popen([sys.executable, "-c", DRIVER, *words], stdout=subprocess.DEVNULL)

    def at_work(self) -> dict[str, float] | None:
        """What it says once it has handed out work; None if it comes to its end without."""
        while self._process.poll() is None:
            with contextlib.suppress(OSError, ValueError):
                found: dict[str, float] = json.loads(self._marks.read_text())
                return found
            time.sleep(0.01)
        return None

    def ends_within(self, seconds: float) -> bool:
        """Whether it comes to its end so soon.

        Raises:
            SystemExit: it fails.
        """
        with contextlib.suppress(subprocess.TimeoutExpired):
            if self._process.wait(seconds):
                raise SystemExit(f"the driver ended with {self._process.returncode}")
            return True
        return False

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()


def evaluations(directory: Path) -> set[tuple[Any, ...]]:
    """All that are in a study."""
    with contextlib.closing(sqlite3.connect(f"file:{directory / FILE}?mode=ro", uri=True)) as db:
        return set(db.execute("SELECT class, seed, rung, fitness FROM evaluation"))


def from_the_start(directory: Path) -> dict[str, float] | None:
    """How long it takes without the checkpoint, on a copy."""
    copy = directory.parent / "copy" / directory.name
    shutil.copytree(directory, copy)
    with Study.open(copy) as study:
        study.take()
        study.note(NOTE, None)
    driver = Driver(copy, {})
    found = driver.at_work()
    driver.kill()
    shutil.rmtree(copy.parent)
    return found


def killed(directory: Path, settings: dict[str, Any], pause: float, chance: random.Random) -> list[dict[str, Any]]:
    """Runs a search to its end, killed again and again; what was seen at each resumption."""
    found: list[dict[str, Any]] = []
    before: set[tuple[Any, ...]] = set()
    while True:
        driver = Driver(directory, settings)
        marks = driver.at_work()
        if marks and before:
            found.append({"resumed": marks, "lost": len(before - evaluations(directory))})
        if driver.ends_within(chance.uniform(0, 2 * pause)):
            return found
        before = evaluations(directory)
        driver.kill()
        if found and len(found) % 4 == 0:
            found[-1]["from the start"] = from_the_start(directory)


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pause", type=float, default=6.0, help="mean seconds of work between two kills")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=JSON", help="a setting of the search")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args(words)
    settings = {"task": "digits", **{key: json.loads(value) for key, _, value in (s.partition("=") for s in given.set)}}
    found: dict[str, Any] = {"machine": machine(), "settings": settings, "pause": given.pause}
    with tempfile.TemporaryDirectory() as place:
        whole, study = Path(place) / "whole" / "study", Path(place) / "killed" / "study"
        for directory in (whole, study):
            directory.parent.mkdir()
        driver = Driver(whole, settings)
        while not driver.ends_within(60.0):
            pass
        found["kills"] = killed(study, settings, given.pause, random.Random(given.seed))
        found["same"] = all((whole / name).read_bytes() == (study / name).read_bytes() for name in RESULTS)
        with Records.open(whole) as one, Records.open(study) as other:
            found["same history"] = one.events() == other.events()
    for line in lines(found):
        print(line)
    if given.out:
        given.out.write_text(json.dumps(found, indent=1) + "\n")
    return 0 if found["same"] and found["same history"] and not any(kill["lost"] for kill in found["kills"]) else 1


def lines(found: dict[str, Any]) -> list[str]:
    """What it comes to, in words."""
    kills = found["kills"]
    resumed = [kill["resumed"] for kill in kills]
    again = [kill["from the start"] for kill in kills if kill.get("from the start")]
    return [
        f"{len(kills)} times killed and resumed; evaluations lost: {sum(kill['lost'] for kill in kills)}; the same "
        f"history: {found['same history']}; the same result: {found['same']}",
        f"seconds from the command to the first work that is new: {_spread([m['work'] for m in resumed])}",
        f"  of which PyTorch takes: {_spread([m['torch'] for m in resumed])}",
        f"  and all of the rest: {_spread([m['work'] - m['torch'] for m in resumed])}",
        f"  the rest without a checkpoint: {_spread([m['work'] - m['torch'] for m in again])}",
    ]  # fmt: skip


def _spread(seconds: list[float]) -> str:
    if not seconds:
        return "none"
    return f"{median(seconds):.2f} (median of {len(seconds)}; {min(seconds):.2f} to {max(seconds):.2f})"


if __name__ == "__main__":
    sys.exit(main())

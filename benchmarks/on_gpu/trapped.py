"""The traps of `traps/` laid for the kernels on this device: each loss in a process of its own, all at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from traps.losses import SUBJECTS

from on_gpu.setting import BENCHMARKS, Result, Results, Setting, environment


def trapped(setting: Setting) -> Results:
    """Losses in the order in which they are done; when the section's time is over the others are given up."""
    names = [subject.name for subject in SUBJECTS]
    waiting = ["huber"] if setting.rehearsal else names
    running: dict[str, subprocess.Popen[str]] = {}
    some = max(2, (os.cpu_count() or 4) - 4)
    with tempfile.TemporaryDirectory(prefix="glo-traps-") as folder:
        try:
            while waiting or running:
                while waiting and len(running) < some:
                    name = waiting.pop(0)
                    running[name] = started(setting, name, Path(folder))
                done = [name for name, process in running.items() if process.poll() is not None]
                for name in done:
                    yield outcome(name, running.pop(name), Path(folder))
                if not done:
                    time.sleep(0.2)
                    yield None
        finally:
            for process in running.values():
                process.kill()
                process.wait()


def started(setting: Setting, name: str, folder: Path) -> subprocess.Popen[str]:
    script = [sys.executable, str(BENCHMARKS / "run_traps.py"), "triton", "--loss", name]
    script += ["--out", str(folder / f"{name}.json"), *(["--special"] if setting.rehearsal else [])]
    with open(folder / f"{name}.log", "w") as log:
        return subprocess.Popen(script, stdout=log, stderr=log, text=True, env=environment(setting))


def outcome(name: str, process: subprocess.Popen[str], folder: Path) -> Result:
    if process.returncode:
        said = (folder / f"{name}.log").read_text().strip().splitlines()
        return Result(name, figures={"exit": process.returncode}, notes=said[-1:])
    found = json.loads((folder / f"{name}.json").read_text())["runs"]["triton"]
    figures = {"traps": found["traps"], "sprung": found["sprung"], "seconds": found["seconds"]}
    return Result(name, figures=figures, notes=list(found["first"].values()))

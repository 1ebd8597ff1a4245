"""How long from text to the first gradient, with and without kernels on disk; whether constants compile anything."""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import tempfile
from pathlib import Path

from on_gpu.setting import Result, Results, Setting, command, environment

LOSSES = 16
GOALS = {"cold": 1.0, "warm": 0.03}
CALLS = 10_000


def latency(setting: Setting) -> Results:
    """Two processes with the same empty caches: what the first one builds, the second finds."""
    with tempfile.TemporaryDirectory(prefix="glo-caches-") as folder:
        for state, goal in GOALS.items():
            found = in_process(setting, folder, state)
            each = sorted(found["seconds"])
            figures = {
                "losses": len(each), "median s": round(statistics.median(each), 4),
                "95th percentile s": round(each[math.ceil(0.95 * len(each)) - 1], 4),
                "first in its process s": found["first"],
                "goal s": goal, "files written": found["files"],
            }  # fmt: skip
            yield Result(f"{state}: text to first gradient", figures=figures)
        figures = {
            "vectors": found["calls"], "files written": found["calls wrote"], "goal": 0,
            "us per call": found["us per call"],
        }  # fmt: skip
        yield Result("other constants", figures=figures)


def in_process(setting: Setting, folder: str, state: str) -> dict[str, object]:
    """What `first_gradient` found.

    Raises:
        RuntimeError: it failed.
    """
    caches = {name: str(Path(folder) / name) for name in ("GLO_CACHE_DIR", "TRITON_CACHE_DIR")}
    calls = CALLS if state == "warm" else 0
    line = command(
        "first_gradient", setting, str(setting.count(LOSSES)), str(10 if setting.rehearsal and calls else calls)
    )
    done = subprocess.run(line, capture_output=True, text=True, env=environment(setting, **caches), timeout=120)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "no gradient")
    result: dict[str, object] = json.loads(done.stdout.strip().splitlines()[-1])
    return result

"""What a run found, as one JSON file that is whole at any time, and as lines to read."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from on_gpu.setting import Section

CLOCKS = "clocks.sm,clocks.mem,temperature.gpu,power.draw,clocks_event_reasons.active"


class Report:
    """Facts of the machine, then sections with their results."""

    def __init__(self, facts: dict[str, Any], out: Path | None) -> None:
        self._found: dict[str, Any] = {"machine": facts, "sections": {}}
        self._out = out
        if out is not None:
            out.parent.mkdir(parents=True, exist_ok=True)

    def begun(self, section: Section) -> None:
        print(f"\n== {section.name}: {section.about}", flush=True)
        self._found["sections"][section.name] = {
            "about": section.about, "results": [], "ended": "not yet",
        }  # fmt: skip
        self._write()

    def keep(self, section: Section, result: dict[str, Any]) -> None:
        self._found["sections"][section.name]["results"].append(result)
        print(line(result), flush=True)
        self._write()

    def ended(self, section: Section, how: dict[str, Any]) -> None:
        self._found["sections"][section.name] |= {**how, "clocks": clocks()}
        print(f"   {how['ended']}, {how['seconds']} s", flush=True)
        self._write()

    def fact(self, name: str, value: Any) -> None:
        self._found["machine"][name] = value
        self._write()

    def _write(self) -> None:
        """In place of the old file, at once."""
        if self._out is not None:
            new = self._out.with_suffix(".new")
            new.write_text(json.dumps(self._found, indent=1) + "\n")
            os.replace(new, self._out)


def line(result: dict[str, Any]) -> str:
    """A result in words: medians in microseconds, figures, notes."""
    times = [f"{name} {shortly(times[0])}" for name, times in result["microseconds"].items()]
    figures = [f"{name} {shortly(value)}" for name, value in result["figures"].items() if value is not None]
    words = [f"{result['case']:36} " + ", ".join(times) + (" us" if times else ""), "; ".join(figures)]
    return " | ".join(w for w in words if w) + "".join(f"\n      ! {note}" for note in result["notes"])


def shortly(value: Any) -> str:
    """Four digits of a number.

    >>> shortly(12345.678), shortly(0.93456), shortly(True), shortly("glo")
    ('12346', '0.9346', 'yes', 'glo')
    """
    if isinstance(value, bool):
        return "yes" if value else "NO"
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return str(value)


def clocks() -> str | None:
    """What nvidia-smi says of clocks, temperature, power and what holds them down; None where it says nothing."""
    try:
        asked = ["nvidia-smi", f"--query-gpu={CLOCKS}", "--format=csv,noheader"]
        done = subprocess.run(asked, capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None

"""What every benchmark says about the machine that it ran on."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import torch

import glo_dsl as glo
from glo_dsl.runtime.build_c import NoCompiler, compiler


def machine() -> dict[str, Any]:
    """What the figures of this run depend on."""
    names = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    return {
        "cpu": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load before": os.getloadavg()[0],
        "python": platform.python_version(),
        "torch": torch.__version__,
        "glo_dsl": glo.__version__,
        "compiler": _compiler(),
    }


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def _compiler() -> str:
    try:
        return compiler()[1]
    except NoCompiler as reason:
        return str(reason)

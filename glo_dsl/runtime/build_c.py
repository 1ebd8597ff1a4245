"""C text to a loaded shared library, through the system's compiler and the cache."""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import subprocess
from functools import cache, lru_cache
from pathlib import Path

from glo_dsl.runtime.cache import fetch, key_of

COMMON = ("-std=gnu11", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-shared", "-fPIC", "-w")
FULL = ("-O2", "-fvect-cost-model=dynamic", "-fpeel-loops", "-funswitch-loops")
"""What of gcc's -O3 makes these kernels faster; the rest of it takes a quarter of the time to compile, for nothing."""

DRAFT = ("-DGLO_DRAFT", "-O1")
VARIANTS = (
    ("-march=native", "-mprefer-vector-width=256", "-fopenmp"), ("-march=native", "-fopenmp"),
    ("-march=native", "-fopenmp-simd"), ("-fopenmp-simd",), (),
)  # fmt: skip
"""Tried in this order: a compiler without OpenMP, or for another processor, still gives a fast kernel.

The preferred width is for x86: left alone, gcc takes half vectors on many of them and long rows are 1.3 times slower.
"""

TIMEOUT = 120
"""Seconds after which a compiler is given up."""


class NoCompiler(Exception):
    """There is no C compiler, or it cannot build a trivial kernel; the message says which."""


@cache
def compiler() -> tuple[str, str]:
    """Path and version of the C compiler: `$CC`, else cc, gcc or clang.

    Raises:
        NoCompiler: none of them is there.
    """
    for name in (os.environ.get("CC", ""), "cc", "gcc", "clang"):
        path = shutil.which(name) if name else None
        if path:
            version = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=TIMEOUT)
            return path, version.stdout.partition("\n")[0]
    raise NoCompiler("no C compiler (cc, gcc or clang) was found")


@cache
def _machine() -> str:
    """What -march=native depends on: a cache in a shared home must not hand out another processor's code."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        facts = {line for line in lines if line.startswith(("flags", "model name", "Features", "CPU part"))}
        return "\n".join(sorted(facts))
    except OSError:
        return f"{platform.machine()} {platform.processor()}"


@lru_cache(maxsize=256)
def load_c(text: str, double: bool, draft: bool = False) -> ctypes.CDLL:
    """The library built from a translation unit, for float64 if `double` and for float32 otherwise.

    A `draft` compiles several times faster, runs a quarter slower, and is meant for rows of few classes.

    Raises:
        NoCompiler: it cannot be built here.
    """
    path, version = compiler()
    flags = (("-DGLO_DOUBLE",) if double else ()) + (DRAFT if draft else FULL)
    key = key_of(text, version, _machine(), repr(VARIANTS), *COMMON, *flags)
    return ctypes.CDLL(str(fetch(key, ".so", lambda target: _build(path, text, flags, target))))


def _build(path: str, text: str, flags: tuple[str, ...], target: Path) -> None:
    complaint = ""
    for variant in VARIANTS:
        command = [path, *COMMON, *variant, *flags, "-x", "c", "-", "-o", str(target), "-lm"]
        try:
            done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=TIMEOUT)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NoCompiler(f"{path} could not be run: {error}") from None
        if done.returncode == 0:
            return
        complaint = done.stderr
    raise NoCompiler(f"{path} could not build a kernel:\n{complaint[:2000]}")

"""C text to a loaded shared library, through the system's compiler and the cache."""

from __future__ import annotations

import ctypes
import os
import platform
import shlex
import shutil
import subprocess
from functools import cache, lru_cache
from itertools import product
from pathlib import Path

from glo_dsl.runtime.cache import fetch, key_of

COMMON = ("-std=gnu11", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-shared", "-fPIC", "-w")
FULL = ("-O2",)
LOOPS = ("-fvect-cost-model=dynamic", "-fpeel-loops", "-funswitch-loops")
"""What of gcc's -O3 makes these kernels faster; the rest of it takes a quarter of the time to compile, for nothing."""

CLANG = ("-Xclang", "-target-feature", "-Xclang", "+prefer-no-gather",
         "-Xclang", "-target-feature", "-Xclang", "+prefer-no-scatter")  # fmt: skip
"""Clang reads rows that lie apart by instructions that make short rows four times slower on some x86 processors."""

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
def compiler() -> tuple[tuple[str, ...], str]:
    """The C compiler and its version: the command in `$CC`, which may have arguments, else cc, gcc or clang.

    Raises:
        NoCompiler: none of them is there, or not the one that `$CC` asks for.
    """
    command = _asked_for(os.environ.get("CC", "").strip()) or _found()
    return command, _run([*command, "--version"]).stdout.partition("\n")[0]


def _asked_for(wish: str) -> tuple[str, ...]:
    """A wish that cannot be met is said: another compiler is not what was asked for."""
    if not wish:
        return ()
    whole = shutil.which(wish)
    if whole:  # a path may have blanks
        return (whole,)
    try:
        words = shlex.split(wish)
    except ValueError as error:
        raise NoCompiler(f"CC={wish!r} cannot be read: {error}") from None
    path = shutil.which(words[0]) if words else None
    if path is None:
        raise NoCompiler(f"CC={wish!r} names no program that is here")
    return path, *words[1:]


def _found() -> tuple[str, ...]:
    for name in ("cc", "gcc", "clang"):
        path = shutil.which(name)
        if path:
            return (path,)
    raise NoCompiler("no C compiler (cc, gcc or clang) was found")


def _run(command: list[str], text: str = "") -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, input=text, capture_output=True, text=True, timeout=TIMEOUT)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoCompiler(f"{shlex.join(command)[:200]} could not be run: {error}") from None


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
def load_c(text: str, double: bool) -> ctypes.CDLL:
    """The library built from a translation unit, for float64 if `double` and for float32 otherwise.

    Raises:
        NoCompiler: it cannot be built here.
    """
    command, version = compiler()
    flags = (("-DGLO_DOUBLE",) if double else ()) + FULL
    variants = _variants(version)
    key = key_of(text, version, _machine(), repr(variants), *COMMON, *flags, *command[1:])

    def library() -> Path:
        return fetch(key, ".so", lambda target: _build(command, text, flags, variants, target))

    path = library()
    try:
        return ctypes.CDLL(str(path))
    except OSError:  # it was built where there is a library that is not here
        path.unlink(missing_ok=True)
        return ctypes.CDLL(str(library()))


def _variants(version: str) -> tuple[tuple[str, ...], ...]:
    """The flags to try: with those of one compiler, and then without, for there are others."""
    own = CLANG if "clang" in version else LOOPS
    return tuple((*variant, *extra) for extra, variant in product((own, ()), VARIANTS))


def _build(
    command: tuple[str, ...], text: str, flags: tuple[str, ...], variants: tuple[tuple[str, ...], ...], target: Path
) -> None:
    complaint = ""
    for variant in variants:
        done = _run([*command, *COMMON, *variant, *flags, "-x", "c", "-", "-o", str(target), "-lm"], text)
        complaint = done.stderr if done.returncode else _refused(target)
        if done.returncode == 0 and not complaint:
            return
    raise NoCompiler(f"{shlex.join(command)} could not build a kernel:\n{complaint[:2000]}")


def _refused(library: Path) -> str:
    """Why it cannot be loaded, if so: that the runtime of OpenMP is missing shows here, not when it is built."""
    try:
        ctypes.CDLL(str(library))
    except OSError as error:
        return str(error)
    return ""

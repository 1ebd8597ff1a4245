"""What a kernel takes of a GPU: read from its machine code by the cuobjdump that comes with Triton."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from glo_codegen.program import Program
from glo_dsl.errors import GloError
from glo_dsl.runtime.triton_compile import build_triton


@dataclass(frozen=True)
class Resources:
    """Registers of a thread; bytes of its stack and of its other local memory; instructions that store a register
    there for want of registers; bytes of shared memory of a block, the system's own included."""

    registers: int
    stack: int
    local: int
    spills: int
    shared: int


def resources(program: Program, target: str, dtype: str = "float32", classes: int = 1000) -> Resources:
    """What the kernel of `program` takes on a target `cuda:NN`; see `compile_triton` for which kernel that is.

    Raises:
        GloError: as `compile_triton` does; there is no cuobjdump; the target is not NVIDIA's.
    """
    built = build_triton(program, target, dtype, classes)
    code = built.asm.get("cubin")
    if not isinstance(code, bytes):
        raise GloError(f"the resources of {target} cannot be told", hint="choose a target cuda:NN")
    found = usage(code)
    return replace(found, shared=found.shared + built.shared)


def usage(cubin: bytes) -> Resources:
    """What machine code says of itself; the shared memory that a launch asks for is not in it.

    Raises:
        GloError: there is no cuobjdump, or it cannot read the code.
    """
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        report, code = _dump("-res-usage", file.name), _dump("-sass", file.name)
    found = {key: int(value) for key, value in re.findall(r"\b(REG|STACK|LOCAL|SHARED):(\d+)", report)}
    spills = len(re.findall(r"\bSTL\b", code))
    return Resources(found["REG"], found["STACK"], found["LOCAL"], spills, found["SHARED"])


def tool() -> Path | None:
    """The cuobjdump that comes with Triton, if it does."""
    try:
        import triton
    except ImportError:
        return None
    path = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    return path if path.exists() else None


def _dump(what: str, path: str) -> str:
    program = tool()
    if program is None:
        raise GloError("this Triton comes without cuobjdump, which reads the resources of a kernel")
    done = subprocess.run([program, what, path], capture_output=True, text=True)
    if done.returncode:
        raise GloError(f"cuobjdump failed: {done.stderr.strip()}")
    return done.stdout


def table(rows: Iterable[tuple[str, Resources]]) -> str:
    """One line per target.

    >>> print(table([("cuda:90", Resources(40, 0, 0, 0, 1040))]), end="")
    target      registers  stack  local  spills  shared
    cuda:90            40      0      0       0    1040
    """
    names = list(Resources.__dataclass_fields__)
    lines = [f"{'target':12}" + "  ".join(names)]
    for target, found in rows:
        numbers = asdict(found).items()
        lines.append(f"{target:12}" + "  ".join(f"{value:>{len(name)}}" for name, value in numbers))
    return "\n".join(lines) + "\n"

"""Triton text to machine code with no GPU present: what `--emit ptx` prints, and what the tests look at for spills."""

from __future__ import annotations

import importlib.util
import os
import re
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Any

from glo_codegen.program import Program
from glo_codegen.triton import emit_triton
from glo_codegen.triton_count import constants
from glo_codegen.triton_launch import Argument, arguments, kernel_name, tiled
from glo_codegen.triton_switch import emit_switch, switch_arguments, union_of
from glo_codegen.triton_tiles import HIP, Tile
from glo_dsl.errors import GloError, did_you_mean

TARGETS: dict[str, tuple[str, int | str, int]] = {
    **{f"cuda:{arch}": ("cuda", arch, 32) for arch in (80, 86, 89, 90, 100, 103, 120)},
    **{f"hip:{arch}": ("hip", arch, 64) for arch in ("gfx90a", "gfx942", "gfx950")},
}
"""Back end, architecture and lanes of a warp by the name of a target."""

KINDS: dict[str, tuple[str, ...]] = {
    "cuda": ("ttir", "ttgir", "ptx", "cubin"),
    "hip": ("ttir", "ttgir", "amdgcn", "hsaco"),
}
"""What can be had for a back end, from early to late."""

OPTIONS = {"cuda": ("num_warps", "num_ctas", "maxnreg"), "hip": ("num_warps",)}
"""What of a tile is said to the back end rather than to the kernel."""

DTYPES = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16", "float64": "fp64"}


@dataclass(frozen=True)
class Built:
    """A kernel as Triton built it.

    Attributes:
        asm: every stage by its kind, the last of them the machine code.
        symbol: what the kernel is called in it.
        threads: of a block. shared: bytes of shared memory that a launch asks for. scratch: bytes of global memory
            that a block needs besides its arguments.
        fixed: arguments that are compiled in, and so not passed, with their values.
        aligned: arguments that the kernel takes to be multiples of 16.
        tile: how much of the batch a block holds.
    """

    asm: dict[str, bytes | str]
    symbol: str
    threads: int
    shared: int
    scratch: int
    fixed: dict[str, int | None]
    aligned: frozenset[str]
    tile: dict[str, int]


def compile_triton(
    program: Program, target: str, kind: str, dtype: str = "float32", classes: int = 1000
) -> bytes | str:
    """The kernel of `program` as a call with contiguous inputs of `dtype` and all gradients would compile it.

    Returns:
        bytes for cubin and hsaco, text for everything else.

    Raises:
        GloError: the target, kind or dtype is unknown, the kind is none of the target's, or the process runs Triton's
            interpreter, which has no compiler.

    >>> compile_triton(program, "cuda:90", "cubin")[:4]  # doctest: +SKIP
    b'\\x7fELF'
    """
    back_end, _, _ = _known("target", target, TARGETS)
    if kind not in KINDS[back_end]:
        raise GloError(f"no {kind} for {target}", hint=f"choose one of {', '.join(KINDS[back_end])}")
    code = build_triton(program, target, dtype, classes).asm[kind]
    return _without_locations(code) if isinstance(code, str) else code


def build_triton(
    program: Program, target: str, dtype: str = "float32", classes: int = 1000, aligned: bool = False,
    tiles: Sequence[Tile] = (),
) -> Built:  # fmt: skip
    """The same with everything that a launch has to know.

    `aligned`: for numbers of rows that are multiples of 16; `tiles`: the table to choose from, if not the usual one.

    Raises:
        GloError: as `compile_triton` does.
    """
    gpu = _target(target, dtype)
    text = emit_triton(program, {target: tuple(tiles)} if tiles else None)
    return _compile(program, text, gpu, dtype, classes, aligned, arguments(program))


def build_switch(programs: Sequence[Program], target: str, dtype: str = "float32", classes: int = 1000) -> Built:
    """The same for the kernel that computes all `programs`.

    Raises:
        GloError: as `compile_triton` does.
    """
    gpu, union = _target(target, dtype), union_of(programs)
    return _compile(union, emit_switch(programs), gpu, dtype, classes, False, switch_arguments(union))


def _target(target: str, dtype: str) -> Any:
    """What Triton compiles for."""
    back_end, arch, lanes = _known("target", target, TARGETS)
    _known("dtype", dtype, DTYPES)
    if os.environ.get("TRITON_INTERPRET", "0") not in ("", "0"):
        raise GloError("Triton's interpreter is on, which compiles nothing", hint="unset TRITON_INTERPRET")
    from triton.backends.compiler import GPUTarget

    return GPUTarget(back_end, arch, lanes)


def _known(what: str, word: str, choices: dict[str, Any]) -> Any:
    if word not in choices:
        hint = did_you_mean(word, choices) or f"choose one of {', '.join(choices)}"
        raise GloError(f"unknown {what} {word}", hint=hint)
    return choices[word]


def _compile(
    program: Program, text: str, target: Any, dtype: str, classes: int, aligned: bool, takes: Iterable[list[Argument]]
) -> Built:
    import triton
    from triton import knobs
    from triton.compiler import ASTSource

    with tempfile.TemporaryDirectory(prefix="glo-") as folder, knobs.compilation.scope():
        knobs.compilation.disable_line_info = True  # the lines are those of a temporary file
        module = _load(text, Path(folder))
        arch = HIP if target.backend == "hip" else f"{target.backend}:{target.arch}"
        rows = tiled(program)
        kernel, tile = module._tile(arch, classes) if rows else (getattr(module, kernel_name(program)), module.TILE)
        options = {name: tile[name] for name in OPTIONS[target.backend] if name in tile}
        tile = {name: size for name, size in tile.items() if name not in OPTIONS["cuda"]}
        tile = dict.fromkeys(constants(program), False) | tile | {"ALIGNED": aligned}
        signature, fixed, attributes = _specialization(takes, dtype, classes, tile)
        source = ASTSource(fn=kernel, signature=signature, constexprs=fixed, attrs=attributes)
        compiled = triton.compile(source, target=target, options=options)
    facts, names = compiled.metadata, list(signature)
    return Built(
        asm=compiled.asm,
        symbol=facts.name,
        threads=facts.num_warps * target.warp_size,
        shared=facts.shared,
        scratch=sum(getattr(facts, name, 0) for name in ("global_scratch_size", "profile_scratch_size")),
        fixed=fixed,
        aligned=frozenset(names[n] for (n,) in attributes),
        tile=tile,
    )


def _load(text: str, folder: Path) -> ModuleType:
    """Runs our own text as a module; it lies in a file because Triton reads the source of its functions back."""
    path = folder / "kernel.py"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location("glo_kernel", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _specialization(
    takes: Iterable[list[Argument]], dtype: str, classes: int, tile: dict[str, int]
) -> tuple[dict[str, str], dict[str, int | None], dict[tuple[int], list[list[object]]]]:
    """What a launch would find out about its arguments: types, constants, and which are divisible by 16."""
    pointers = {"*real": f"*{DTYPES[dtype]}", "*class": "*i64", "*bool": "*i1", "*float32": "*fp32", "*int32": "*i32"}
    sizes = {"0": 0, "1": 1, "classes": classes, "any": None}
    signature: dict[str, str] = {}
    fixed: dict[str, int | None] = {}
    attributes: dict[tuple[int], list[list[object]]] = {}
    for argument in chain.from_iterable(takes):
        size = sizes.get(argument.type)
        signature[argument.name] = pointers.get(argument.type, "i32")
        if size == 1 or argument.type in ("0", "none"):
            signature[argument.name], fixed[argument.name] = "constexpr", size
        elif argument.type in pointers or (size is not None and size % 16 == 0):
            attributes[(len(signature) - 1,)] = [["tt.divisibility", 16]]
    signature |= dict.fromkeys(tile, "constexpr")
    return signature, fixed | tile, attributes


def _without_locations(text: str) -> str:
    """Without the places in a temporary file that intermediate code refers to, so that equal programs give equal text.

    >>> _without_locations('#loc = loc("a.py":1:0)\\n%x: i32 loc("x"), %y: f32 loc("y"(#loc)), %z = op loc(#loc1)')
    '%x: i32, %y: f32, %z = op\\n'
    """
    lines = (line for line in text.splitlines() if not line.startswith("#loc"))
    return "\n".join(re.sub(r' loc\((?:unknown|#loc\d*|"[^"]*"(?:\(#loc\d*\))?)\)', "", line) for line in lines) + "\n"

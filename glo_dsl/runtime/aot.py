"""A kernel to be launched without Python: its machine code, and a C header that says how, and the same as data."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass

from glo_codegen.program import Input, Program, Rate
from glo_codegen.text import Lines
from glo_codegen.triton_launch import Argument, arguments, shape_of, stream_name, tiled
from glo_dsl.errors import GloError
from glo_dsl.runtime.triton_compile import Built, build_triton

SCRATCH = ("global_scratch", "profile_scratch")
"""Pointers that Triton adds to every kernel. Ours need no such memory: they may be 0, but they must be passed."""

C_TYPES = {"pointer": "uint64_t", "integer": "int32_t"}
PTX_TYPES = {".u64": "pointer", ".u32": "integer"}


@dataclass(frozen=True)
class Parameter:
    """What a kernel takes: a device pointer or an integer, what it means, and what it must be a multiple of."""

    name: str
    kind: str
    meaning: str
    multiple_of: int = 1


@dataclass(frozen=True)
class Kernel:
    """All that a launch has to know.

    Attributes:
        rows_per_block: the grid is as many blocks as hold all rows, in x.
        classes: how many there may be, from and to; (1, 1) for a loss without classes.
        shared_bytes: dynamic shared memory.
        parameters: in the order in which they are passed.
    """

    loss: str
    target: str
    dtype: str
    symbol: str
    threads: int
    shared_bytes: int
    rows_per_block: int
    classes: tuple[int, int]
    parameters: tuple[Parameter, ...]


def compile_ahead(program: Program, target: str, dtype: str = "float32", classes: int = 1000) -> tuple[Kernel, bytes]:
    """The kernel for contiguous inputs of `dtype`, with all gradients, as a cubin; and how to launch it.

    Raises:
        GloError: as `compile_triton` does; the target is not NVIDIA's; this Triton passes arguments that are not known
            here.
    """
    built = build_triton(program, target, dtype, classes)
    if "cubin" not in built.asm:
        raise GloError(f"no cubin for {target}", hint="choose a target cuda:NN")
    code, ptx = built.asm["cubin"], built.asm["ptx"]
    assert isinstance(code, bytes) and isinstance(ptx, str)
    kernel = _kernel(program, built, target, dtype)
    wanted = [PTX_TYPES.get(word, word) for word in re.findall(r"\.param (\.\w+) [^;]*?_param_\d+", _entry(ptx))]
    if built.scratch or wanted != [p.kind for p in kernel.parameters]:
        raise GloError(f"this Triton wants arguments that glo-dsl does not know: {', '.join(wanted)}")
    return kernel, code


def _entry(ptx: str) -> str:
    """The head of the kernel, with its parameters."""
    return ptx[ptx.index(".entry ") :].partition(")")[0]


def _kernel(program: Program, built: Built, target: str, dtype: str) -> Kernel:
    given = [a for group in arguments(program) for a in group if a.name not in built.fixed]
    parameters = [
        Parameter(a.name, _kind(a), _meaning(a, program, dtype), 16 if a.name in built.aligned else 1) for a in given
    ]
    parameters += [Parameter(name, "pointer", "0; no kernel of glo-dsl needs it") for name in SCRATCH]
    by_rows = tiled(program)
    longest = 2**31 - 1 if built.symbol == stream_name(program) else built.tile["BLOCK"]
    compiled_in = built.fixed.get("classes") if by_rows else 1
    least, most = (1, longest) if compiled_in is None else (compiled_in, compiled_in)
    return Kernel(
        program.name, target, dtype, built.symbol, built.threads, built.shared,
        built.tile["ROWS" if by_rows else "BLOCK"], (least, most), tuple(parameters),
    )  # fmt: skip


def _kind(argument: Argument) -> str:
    return "pointer" if argument.type.startswith("*") else "integer"


def _meaning(argument: Argument, program: Program, dtype: str) -> str:
    """What an argument holds, in words."""
    name = argument.name
    if name.endswith("_row_stride"):
        return f"elements from row to row of {name.removeprefix('in_').removesuffix('_row_stride')}"
    if _kind(argument) == "integer":
        return {
            "ignore_index": "rows of this class count for nothing", "rows": "how many", "classes": "how many",
            "out_row_stride": "elements from row to row of gradients that are rows",
        }[name]  # fmt: skip
    fixed = {
        "scale_ptr": "float32 [1]: what the gradients are multiplied by",
        "loss_ptr": "float32 [rows], written: the loss of each row",
        "params_ptr": f"float32 [{len(program.params)}]: {', '.join(program.params)}",
    }
    if name in fixed:
        return fixed[name]
    types = {"*real": dtype, "*class": "int64", "*bool": "uint8", "*float32": "float32"}
    inputs: dict[str, Input] = {i.name: i for i in program.inputs}
    if name.startswith("in_"):
        entry = inputs[name.removeprefix("in_").removesuffix("_ptr")]
        apart = ", classes side by side" if entry.per_sample and entry.rate == Rate.CLASS else ", contiguous"
        return f"{types[argument.type]} {shape_of(entry)}{apart}: input {entry.name}"
    of = name.removeprefix("grad_").removesuffix("_ptr")
    known = inputs.get(of)
    if known is not None and known.per_sample:
        return f"{types[argument.type]} {shape_of(known)}, contiguous, written: the gradient by {of}"
    shape = "[rows]" if known is None else "[rows, classes]"
    return f"float32 {shape}, contiguous, written: terms of the gradient by {of}, to be summed over rows"


def as_json(kernel: Kernel) -> str:
    """The kernel as data."""
    return json.dumps(asdict(kernel), indent=1) + "\n"


def header(kernel: Kernel, version: str) -> str:
    """The kernel as a C header, for C99 and later and for C++; it needs no other header of ours or CUDA's.

    Everything in it begins with `glo_NAME` or `GLO_NAME`; the one function fills the arguments of `cuLaunchKernel`.
    """
    name, upper, lines = f"glo_{kernel.loss}", f"GLO_{kernel.loss.upper()}", Lines()
    lines.add(*_introduction(kernel, name, upper, version), "")
    lines.add(f"#ifndef {upper}_H", f"#define {upper}_H", "", "#include <stddef.h>", "#include <stdint.h>", "")
    constants = {
        "SYMBOL": f'"{kernel.symbol}"', "THREADS": kernel.threads, "SHARED_BYTES": kernel.shared_bytes,
        "ROWS_PER_BLOCK": kernel.rows_per_block, "MIN_CLASSES": kernel.classes[0], "MAX_CLASSES": kernel.classes[1],
        "ARGUMENTS": len(kernel.parameters),
    }  # fmt: skip
    lines.add(*(f"#define {upper}_{key} {value}" for key, value in constants.items()), "")
    lines.add("// In the order of the kernel. Pointers are those of the device (CUdeviceptr), aligned to 16 bytes.")
    with lines.block("typedef struct {", f"}} {name}_arguments;"):
        for parameter in kernel.parameters:
            aligned = parameter.kind == "integer" and parameter.multiple_of > 1
            many = f"; a multiple of {parameter.multiple_of}" if aligned else ""
            lines.add(f"{C_TYPES[parameter.kind]} {parameter.name};  // {parameter.meaning}{many}")
    lines.add("")
    _prepare(kernel, name, upper, lines)
    lines.add("", "#endif")
    return lines.text()


def _introduction(kernel: Kernel, name: str, upper: str, version: str) -> tuple[str, ...]:
    return (
        f"// {kernel.loss}: loss and gradients of a batch, for {kernel.target}, {kernel.dtype}; by glo-dsl {version}.",
        "//",
        f'//     cuModuleLoad(&module, "{kernel.loss}.cubin");',
        f"//     cuModuleGetFunction(&function, module, {upper}_SYMBOL);",
        f"//     {name}_arguments arguments = {{0}};  // fill in",
        f"//     void *pointers[{upper}_ARGUMENTS];",
        "//     unsigned int blocks;",
        f"//     if ({name}_prepare(&arguments, pointers, &blocks) == 0 && blocks > 0)",
        f"//         cuLaunchKernel(function, blocks, 1, 1, {upper}_THREADS, 1, 1, {upper}_SHARED_BYTES, stream,",
        "//                        pointers, NULL);",
        "//",
        "// More than 48 KB of shared memory have to be allowed first, by cuFuncSetAttribute.",
    )


def _prepare(kernel: Kernel, name: str, upper: str, lines: Lines) -> None:
    """The function that checks the arguments, points at them and counts the blocks."""
    lines.add(
        "// Points at the arguments, and says how many blocks the grid has in x; returns 0, or the number, from 1 on,",
        "// of the first argument that is not what the kernel was compiled for.",
    )
    head = f"static inline int {name}_prepare({name}_arguments *arguments, void **pointers, unsigned int *blocks)"
    with lines.block(head + " {", "}"):
        for number, parameter in enumerate(kernel.parameters, 1):
            wrong = []
            if parameter.multiple_of > 1:
                wrong.append(f"arguments->{parameter.name} % {parameter.multiple_of} != 0")
            if parameter.name == "rows":
                wrong.append("arguments->rows < 0")
            if parameter.name == "classes":
                bounds = f"arguments->classes < {upper}_MIN_CLASSES", f"arguments->classes > {upper}_MAX_CLASSES"
                wrong.extend(bounds)
            lines.add(*([f"if ({' || '.join(wrong)}) return {number};"] if wrong else []))
        for number, parameter in enumerate(kernel.parameters):
            lines.add(f"pointers[{number}] = &arguments->{parameter.name};")
        lines.add(
            f"*blocks = ((unsigned int)arguments->rows + {upper}_ROWS_PER_BLOCK - 1) / {upper}_ROWS_PER_BLOCK;",
            "return 0;",
        )

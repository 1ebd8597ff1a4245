"""Several Programs to one Triton kernel, which asks for each plane of rows which of them it belongs to.

So a population of different losses is one launch. The body of every loss is the kernel of its resident family, as
`triton` prints it; the kernel that is launched holds them all and calls one. Rows too long for the registers of one of
them are not for it: there a launch costs nothing beside the work.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain

from glo_codegen.program import Input, Phase, Program, Rate, Store, grad
from glo_codegen.text import Lines
from glo_codegen.triton import LINE, add_resident, check, spellings
from glo_codegen.triton_count import constants
from glo_codegen.triton_helpers import helpers_of
from glo_codegen.triton_launch import (
    COUNTS_DOC,
    START_DOC,
    Argument,
    add_call,
    add_sizes,
    add_start,
    arguments,
    input_arguments,
    kernel_name,
    tiled,
    wrapped,
)
from glo_codegen.triton_tiles import ANY, add_tiles, cap_of, tiles

NAME = "switch"


def input_name(place: int) -> str:
    """What the module calls an input, whose name every loss chooses for itself."""
    return str(place)


def parameter_name(name: str) -> str:
    """What the module calls a parameter where it is not to be taken for an input: their gradients share a dict."""
    return f"p_{name}"


def emit_switch(programs: Sequence[Program]) -> str:
    """The text of a module that imports torch and triton only, with a kernel for all `programs` and its `launch`.

    They take inputs of the same kinds in the same order. `launch(which, inputs, params, wrt, scale, ignore_index)` is
    that of `emit_triton` for planes, of which `which` [planes] says what Program each has; inputs and parameters are
    called as `input_name` and `parameter_name` say. `LONGEST` is how many classes there may be, 0 if there are none.

    Raises:
        ValueError: as `emit_triton` does.
    """
    for program in programs:
        check(program)
    named = [replace(program, name=f"{program.name}_{n}") for n, program in enumerate(programs)]
    union = union_of(named)
    lines = Lines()
    lines.add(*["from functools import cache, lru_cache", ""] * tiled(union))
    lines.add("import torch", "import triton", "import triton.language as tl", "")
    for helper in helpers_of(chain.from_iterable(spellings(replace(p, walked=None)) for p in named)):
        lines.add("", *helper.strip().splitlines(), "")
    for program in named:
        lines.add("")
        add_resident(program, lines)
        lines.add("")
    lines.add("")
    _kernel(union, named, lines)
    lines.add("", "")
    _tiles(union, named, lines)
    _launch(union, named, lines)
    return lines.text()


def union_of(programs: Sequence[Program]) -> Program:
    """A Program with the inputs, parameters and outputs of all, by the names of the module; it computes nothing."""
    inputs = tuple(replace(i, name=input_name(n)) for n, i in enumerate(programs[0].inputs))
    names = dict.fromkeys(chain.from_iterable(_renamed(p).values() for p in programs))
    stores = tuple(Store(grad(i.name), 0.0) for i in inputs if i.name in names and i.rate == Rate.CLASS)
    params = tuple(dict.fromkeys(chain.from_iterable(p.params for p in programs)))
    return Program(NAME, "", inputs, params, (), (Phase((), (), (), stores),), (), tuple(names))


def _renamed(program: Program) -> dict[str, str]:
    """The gradients of a Program, as the module calls them."""
    places = {entry.name: input_name(n) for n, entry in enumerate(program.inputs)}
    return {name: places.get(name) or parameter_name(name) for name in program.gradients}


def switch_arguments(union: Program) -> Iterator[list[Argument]]:
    """What the kernel takes before its constexprs; see `triton_launch.arguments`. Outputs are contiguous, and rows have
    no weights."""
    values = {"weight_ptr": "None", "out_row_stride": "classes", "out_class_stride": "1"}
    yield [Argument("which_ptr", "*int32", "which")]
    for group in arguments(union):
        yield [replace(a, value=values.get(a.name, a.value)) for a in group]


def _passed(union: Program, program: Program) -> Iterator[str]:
    """The arguments of the kernel of one Program, as the kernel of all calls them."""
    names = {f"{grad(own)}_ptr": f"{grad(shared)}_ptr" for own, shared in _renamed(program).items()}
    for own, shared in zip(program.inputs, union.inputs, strict=True):
        pairs = zip(input_arguments(own), input_arguments(shared), strict=True)
        names |= {ours.name: theirs.name for ours, theirs in pairs}
    yield from (names.get(a.name, a.name) for group in arguments(program) for a in group)


def _kernel(union: Program, programs: Sequence[Program], lines: Lines) -> None:
    fixed = ["ignore_index"] * bool(union.class_inputs) + ["rows"]
    lines.add("@triton.jit(do_not_specialize=[" + ", ".join(f'"{name}"' for name in fixed) + "])")
    sizes = ["ROWS"] * tiled(union) + ["BLOCK"]
    with lines.block(f"def {kernel_name(union)}("):
        for group in switch_arguments(union):
            lines.add(*wrapped(argument.name for argument in group))
        lines.add(*wrapped(f"{size}: tl.constexpr" for size in sizes))
        lines.add(*(f"{name}: tl.constexpr = False," for name in constants(union)))
    with lines.block("):  # fmt: skip"):
        lines.add('"""The loss of each plane and its gradients, times scale."""')
        lines.add(f"which = tl.load(which_ptr + tl.program_id(0) // tl.cdiv(rows, {sizes[0]}))")
        for n, program in enumerate(programs):
            with lines.block(f"if which == {n}:"), lines.block(f"{kernel_name(program)}(", ")"):
                same = [f"{name}={name}" for name in [*sizes, *constants(union)]]
                lines.add(*wrapped([*_passed(union, program), *same]))


def _tiles(union: Program, programs: Sequence[Program], lines: Lines) -> None:
    """How the kernel is launched: as suits the loss that needs the most registers."""
    if not tiled(union):
        lines.add(LINE, "LONGEST = 0", "", "")
        return
    tables = [[tile for tile in tiles(program) if not tile.streams] for program in programs]
    table = min(tables, key=lambda each: each[-1].values)
    cap = max(map(cap_of, programs))
    add_tiles({ANY: table}, kernel_name(union), kernel_name(union), cap, lines)
    lines.add("", "", f"LONGEST = {table[-1].values}", "", "")


def _launch(union: Program, programs: Sequence[Program], lines: Lines) -> None:
    add_start(lines)
    counts = ", counts=False" * bool(union.class_inputs)
    with lines.block(f"def launch(which, inputs, params, wrt, scale, ignore_index=-100, start=_start{counts}):"):
        lines.add(
            '"""Loss per row, float32 [planes, rows], and a dict of the gradients named in `wrt`, each times `scale`.',
            "",
            "which: int32 [planes]: the loss of each plane.",
            "inputs: in the order of the losses, with a first axis for planes or the same for all; any strides.",
            "params: float32 [planes, K]: those of the loss of each plane, in its own order.",
            "scale: float32, one element, or one for each plane.",
            "",
            *(f"{n}: {program.name}({', '.join(program.params)})" for n, program in enumerate(programs)),
            "",
            "A gradient is laid out like its input and has its dtype. What all rows share gets one float32 term per",
            "row, and a plane whose loss has no such parameter gets zeros.",
            "",
            *START_DOC,
            *COUNTS_DOC * bool(union.class_inputs),
            '"""',
        )
        names = ", ".join(f"in_{i.name}" for i in union.inputs)
        lines.add(f"{names} = inputs" if len(union.inputs) > 1 else f"({names},) = inputs")
        add_sizes(union, lines)
        lines.add("flat, planes = False, which.shape[0]")
        lines.add("loss = torch.empty((planes, rows), dtype=torch.float32, device=device)")
        for name in union.gradients:
            entry = next((i for i in union.inputs if i.name == name), None)
            lines.add(f'{grad(name)} = {_room(entry)} if "{name}" in wrt else None')
        _call(union, lines)
        found = ", ".join(f'"{name}": {grad(name)}' for name in union.gradients)
        lines.add(f"grads = {{{found}}}", "return loss, {name: grads[name] for name in wrt}")


def _room(entry: Input | None) -> str:
    """Room for the gradient of an input, or of a parameter, which not every plane fills."""
    if entry is None:
        return "torch.zeros((planes, rows), dtype=torch.float32, device=device)"
    shape = "planes, rows, classes" if entry.rate == Rate.CLASS else "planes, rows"
    dtype = f"in_{entry.name}.dtype" if entry.per_sample else "torch.float32"
    return f"torch.empty(({shape}), dtype={dtype}, device=device)"


def _call(union: Program, lines: Lines) -> None:
    size, aligned, tile = ("BLOCK", "rows % 16 == 0", "TILE")
    if tiled(union):
        size, aligned, tile = ("ROWS", "False", "_tile(_arch(device), classes)[1]")
    lines.add(f"tile = {tile}")
    sizes = {"ALIGNED": aligned} | ({"COUNTS": "counts"} if union.class_inputs else {})
    add_call(kernel_name(union), size, switch_arguments(union), sizes, lines)

"""The host's side of a Triton module: the kernel's arguments, the size of a tile, and `launch`."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from glo_codegen.plan import live_values
from glo_codegen.program import Input, Program, Rate, grad
from glo_codegen.text import Lines

REGISTERS = 90
"""Values per class that a lane of 16 warps can hold: a lane has 128 registers, and the rest needs some."""

LANES = 512
"""Those of 16 warps."""


@dataclass(frozen=True, slots=True)
class Argument:
    """A kernel argument.

    Attributes:
        type: `*real`, `*class`, `*bool` or `*float32` for a pointer; for an integer what it is when all tensors are
            contiguous: `1`, `classes` or, when that does not matter, `any`.
        value: what `launch` passes.
    """

    name: str
    type: str
    value: str


def wrapped(items: Iterable[str]) -> list[str]:
    """Items of an argument list, on as many lines as they need."""
    return textwrap.wrap(", ".join(items) + ",", 100, break_long_words=False, break_on_hyphens=False)


def kernel_name(program: Program) -> str:
    """The ending keeps a loss called `lambda` or `launch` away from Python and from us."""
    return f"{program.name}_kernel"


def tiled(program: Program) -> bool:
    """Whether the kernel holds rows of classes, rather than one sample per lane."""
    return any(i.rate == Rate.CLASS for i in program.inputs)


def stream_name(program: Program) -> str:
    """The kernel of the streaming family; see `kernel_name`."""
    return f"{program.name}_stream_kernel"


def sizes(program: Program) -> tuple[int, int]:
    """The longest row that a program holds as a whole, and how much of a longer one it holds at a time.

    Both follow from how many values per class are alive at once, for what does not fit the registers is spilled.
    """
    values = REGISTERS // (1 + live_values(program.walked or program))  # 1 for the column
    each = 2 ** min(max(values.bit_length() - 1, 1), 4)
    return 2 * LANES * each, LANES * each


def arguments(program: Program) -> Iterator[list[Argument]]:
    """What the kernel takes before its constexprs, in groups that belong together."""
    for entry in program.inputs:
        yield list(_input_arguments(entry))
    if program.params:
        yield [Argument("params_ptr", "*float32", "params")]
    yield [Argument("scale_ptr", "*float32", "scale"), Argument("loss_ptr", "*float32", "loss")]
    if program.gradients:
        yield [Argument(f"{grad(g)}_ptr", _grad_type(program, g), grad(g)) for g in program.gradients]
    counts = [Argument("ignore_index", "any", "ignore_index")] if program.class_inputs else []
    counts.append(Argument("rows", "any", "rows"))
    yield [*counts, Argument("classes", "classes", "classes")] if tiled(program) else counts


def _input_arguments(entry: Input) -> Iterator[Argument]:
    name, by_class = f"in_{entry.name}", entry.rate == Rate.CLASS
    yield Argument(f"{name}_ptr", f"*{entry.kind}", name)
    if entry.per_sample:
        yield Argument(f"{name}_row_stride", "classes" if by_class else "1", f"{name}.stride(0)")
    if by_class:
        yield Argument(f"{name}_class_stride", "1", f"{name}.stride(-1)")


def _grad_type(program: Program, name: str) -> str:
    """Terms that the caller has to sum over rows stay in float32."""
    return "*real" if any(i.name == name and i.per_sample for i in program.inputs) else "*float32"


def add_tile(program: Program, lines: Lines) -> None:
    """Which kernel a class count gets and how much of the batch a program of it holds; without classes a constant."""
    if not tiled(program):
        lines.add('TILE = {"BLOCK": 1024, "num_warps": 4}')
        return
    longest, block = sizes(program)
    with lines.block("def _tile(classes):"):
        lines.add(
            '"""The kernel for rows of that many classes, and the rows and classes that a program holds at a time: one',
            'whole row, or as many short ones as make 1024 values; of a long one a block."""',
            f"if classes > {longest}:",
            "    # NVIDIA's assembler would rather spill a little than let a second program of a core wait.",
            '    registers = {} if torch.version.hip else {"maxnreg": 128}',
            f'    return {stream_name(program)}, {{"ROWS": 1, "BLOCK": {block}, "num_warps": 16, **registers}}',
            "block = triton.next_power_of_2(max(classes, 1))",
            "rows = max(1, 1024 // block)",
            "warps = min(max(rows * block // 512, 4), 16)",
            f'return {kernel_name(program)}, {{"ROWS": rows, "BLOCK": block, "num_warps": warps}}',
        )


def add_launch(program: Program, lines: Lines) -> None:
    """The function that allocates the outputs and starts the kernel, without waiting for the device."""
    with lines.block("def launch(inputs, params, wrt, scale, ignore_index=-100):"):
        lines.add(*_launch_doc(program))
        names = ", ".join(f"in_{i.name}" for i in program.inputs)
        lines.add(f"{names} = inputs" if len(program.inputs) > 1 else f"({names},) = inputs")
        batch = next(i for i in program.inputs if i.per_sample)
        lines.add(f"rows = in_{batch.name}.shape[0]")
        if tiled(program):
            row = next(i for i in program.inputs if i.rate == Rate.CLASS)
            lines.add(f"classes = in_{row.name}.shape[-1]")
        lines.add(f"device = in_{batch.name}.device", "loss = torch.empty(rows, dtype=torch.float32, device=device)")
        for name in program.gradients:
            lines.add(f'{grad(name)} = {_allocation(program, name)} if "{name}" in wrt else None')
        _call(program, lines)
        with lines.block("grads = {", "}"):
            lines.add(*(f'"{name}": {grad(name)},' for name in program.gradients))
        lines.add("return loss, {name: grads[name] for name in wrt}")


def _launch_doc(program: Program) -> Iterable[str]:
    shapes = ", ".join(f"{i.name} {shape_of(i)}" for i in program.inputs)
    return (
        '"""Loss per row, float32 [rows], and a dict of the gradients named in `wrt`, each times `scale`.',
        "",
        f"inputs: {shapes}; any strides.",
        f"params: float32 [{len(program.params)}]: {', '.join(program.params) or 'none'}.",
        "scale: float32, one element, on the device.",
        "",
        "A gradient is laid out like its input and has its dtype. What all rows share, a parameter above all, gets",
        "one float32 term per row, for the caller to sum.",
        '"""',
    )


def shape_of(entry: Input) -> str:
    """The axes of an input in words."""
    sizes = ["rows"] * entry.per_sample + ["classes"] * (entry.rate == Rate.CLASS)
    return f"[{', '.join(sizes)}]"


def _allocation(program: Program, name: str) -> str:
    entry = next((i for i in program.inputs if i.name == name), None)
    shape = "(rows, classes)" if entry and entry.rate == Rate.CLASS else "rows"
    dtype = f"in_{name}.dtype" if entry and entry.per_sample else "torch.float32"
    return f"torch.empty({shape}, dtype={dtype}, device=device)"


def _call(program: Program, lines: Lines) -> None:
    lines.add("kernel, tile = " + ("_tile(classes)" if tiled(program) else f"{kernel_name(program)}, TILE"))
    step = "ROWS" if tiled(program) else "BLOCK"
    grid = f'(triton.cdiv(rows, tile["{step}"]),)'
    with (
        lines.block("if rows > 0:"),
        lines.block("with torch.cuda.device_of(loss):"),
        lines.block(f"kernel[{grid}](", ")"),
    ):
        for group in arguments(program):
            lines.add(*wrapped(argument.value for argument in group))
        lines.add("**tile,")

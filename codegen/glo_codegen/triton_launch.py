"""The host's side of a Triton module: the kernel's arguments, and `launch`."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from glo_codegen.plan import overwritable
from glo_codegen.program import Input, Program, Rate, grad
from glo_codegen.text import Lines


@dataclass(frozen=True, slots=True)
class Argument:
    """A kernel argument.

    Attributes:
        type: `*real`, `*class`, `*bool`, `*float32` or `*int32` for a pointer, `none` for one that may be left out;
            for an integer what it is when all tensors are contiguous and there is one plane: `0`, `1`, `classes` or,
            when that does not matter, `any`.
        value: what `launch` passes.
    """

    name: str
    type: str
    value: str


ANY = "any"
"""The table of tiles for architectures without one of their own."""

START_DOC = (
    "start: what starts the kernel: a function of it, the number of programs, its arguments, and its sizes by name.",
)
COUNTS_DOC = ("counts: scale is not given but found, and stored where it is: 1 over the rows of a plane that count.",)
"""Of `launch`, whatever it launches."""


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


def arguments(program: Program) -> Iterator[list[Argument]]:
    """What the kernel takes before its constexprs, in groups that belong together."""
    for entry in program.inputs:
        yield list(input_arguments(entry))
    if program.params:
        stride = "0 if flat or params.dim() == 1 else params.stride(0)"
        yield [Argument("params_ptr", "*float32", "params"), Argument("params_plane_stride", "0", stride)]
    stride = "1 if scale.numel() > 1 else 0"
    yield [Argument("scale_ptr", "*float32", "scale"), Argument("scale_plane_stride", "0", stride)]
    yield [Argument("weight_ptr", "none", "weight"), Argument("loss_ptr", "*float32", "loss")]
    if program.gradients:
        yield [Argument(f"{grad(g)}_ptr", _grad_type(program, g), grad(g)) for g in program.gradients]
    if _writes_rows(program):
        names = ("out_row_stride", "classes"), ("out_class_stride", "1")
        yield [Argument(name, kind, name) for name, kind in names]
    counts = [Argument("ignore_index", "any", "ignore_index")] if program.class_inputs else []
    counts.append(Argument("rows", "any", "rows"))
    yield [*counts, Argument("classes", "classes", "classes")] if tiled(program) else counts


def input_arguments(entry: Input) -> Iterator[Argument]:
    """Where an input is and how it lies."""
    name, by_class = f"in_{entry.name}", entry.rate == Rate.CLASS
    axes = entry.per_sample + by_class
    yield Argument(f"{name}_ptr", f"*{entry.kind}", name)
    yield Argument(f"{name}_plane_stride", "0", f"0 if flat or {name}.dim() == {axes} else {name}.stride(0)")
    if entry.per_sample:
        yield Argument(f"{name}_row_stride", "classes" if by_class else "1", f"{name}.stride({-axes})")
    if by_class:
        yield Argument(f"{name}_class_stride", "1", f"{name}.stride(-1)")


def _writes_rows(program: Program) -> bool:
    """Whether there is a gradient per class."""
    return any(phase.stores for phase in program.phases)


def _grad_type(program: Program, name: str) -> str:
    """Terms that the caller has to sum over rows stay in float32."""
    return "*real" if any(i.name == name and i.per_sample for i in program.inputs) else "*float32"


def add_launch(program: Program, lines: Lines) -> None:
    """The function that allocates the outputs and starts the kernel, without waiting for the device."""
    add_start(lines)
    counts = ", counts=False" * bool(program.class_inputs)
    with lines.block("def launch("):
        lines.add("inputs, params, wrt, scale, ignore_index=-100, weight=None, inplace=(), start=_start" + counts)
    with lines.block("):  # fmt: skip"):
        lines.add(*_launch_doc(program))
        names = ", ".join(f"in_{i.name}" for i in program.inputs)
        lines.add(f"{names} = inputs" if len(program.inputs) > 1 else f"({names},) = inputs")
        _planes(program, lines)
        add_sizes(program, lines)
        _order(program, lines)
        lines.add("batch = (rows,) if flat else (planes, rows)")
        lines.add("loss = torch.empty(batch, dtype=torch.float32, device=device)")
        for name in program.gradients:
            _allocation(program, name, lines)
        _call(program, lines)
        with lines.block("grads = {", "}"):
            lines.add(*(f'"{name}": {grad(name)},' for name in program.gradients))
        lines.add("return loss, {name: grads[name] for name in wrt}")


def add_start(lines: Lines) -> None:
    """`_start`, by which `launch` starts a kernel unless it is given something else for that."""
    with lines.block("def _start(kernel, programs, values, sizes):"):
        lines.add(
            '"""Starts a kernel on the device of the first value."""',
            "with torch.cuda.device_of(values[0]):",
            "    kernel[(programs,)](*values, **sizes)",
        )
    lines.add("", "")


def _launch_doc(program: Program) -> Iterable[str]:
    shapes = ", ".join(f"{i.name} {shape_of(i)}" for i in program.inputs)
    return (
        '"""Loss per row, float32 [rows], and a dict of the gradients named in `wrt`, each times `scale`.',
        "",
        f"inputs: {shapes}; any strides.",
        f"params: float32 [{len(program.params)}]: {', '.join(program.params) or 'none'}.",
        "scale: float32, one element, on the device.",
        "weight: float32 [rows], contiguous: what multiplies the loss and the gradients of each row; 0 leaves it out.",
        "",
        "There may be several planes of rows: then inputs, parameters or both have a first axis of that length, and so",
        "have the results and the weight; scale has one element, or one for each plane. Shared inputs and parameters",
        "without that axis are the same for all planes.",
        "",
        "A gradient is laid out like its input and has its dtype. What all rows share, a parameter above all, gets",
        "one float32 term per row, for the caller to sum. Gradients of inputs named in `inplace`, some of INPLACE,",
        "take their memory, which has to be laid out like a gradient and to be no other input's.",
        "",
        *START_DOC,
        *COUNTS_DOC * bool(program.class_inputs),
        '"""',
    )


def _planes(program: Program, lines: Lines) -> None:
    """How many planes there are; `flat` if none of the arguments has an axis for them."""
    axes = [(f"in_{i.name}", len(shape_axes(i))) for i in program.inputs]
    axes += [("params", 1)] * bool(program.params)
    lines.add(f"flat = {' and '.join(f'{name}.dim() == {count}' for name, count in axes)}")
    pairs = ", ".join(f"({name}, {count + 1})" for name, count in axes)
    lines.add(f"planes = 1 if flat else [t.shape[0] for t, axes in ({pairs},) if t.dim() == axes][0]")


def add_sizes(program: Program, lines: Lines) -> None:
    """How many rows and classes there are, and on which device."""
    batch = next(i for i in program.inputs if i.per_sample)
    lines.add(f"rows = in_{batch.name}.shape[{-len(shape_axes(batch))}]", f"device = in_{batch.name}.device")
    if tiled(program):
        lines.add(f"classes = in_{_row_input(program).name}.shape[-1]")


def _order(program: Program, lines: Lines) -> None:
    """Whether rows or classes lie side by side, in gradients too."""
    if tiled(program):
        row = _row_input(program)
        lies = f"not flat and in_{row.name}.stride(-1) > in_{row.name}.stride(-2)" if row.per_sample else "False"
        lines.add(f"across = {lies}")
        rows = [f"in_{i.name}" for i in program.inputs if i.rate == Rate.CLASS and i.per_sample]
        held = "t.is_contiguous() and (flat or t.dim() > 2)"
        lines.add(f"dense = not across and all({held} for t in ({', '.join(rows)},))" if rows else "dense = False")
    if _writes_rows(program):
        lines.add("out_row_stride, out_class_stride = (1, rows) if across else (classes, 1)")


def _row_input(program: Program) -> Input:
    """An input with a class axis, one of its own for each row if there is one."""
    rows = [i for i in program.inputs if i.rate == Rate.CLASS]
    return next((i for i in rows if i.per_sample), rows[0])


def shape_axes(entry: Input) -> list[str]:
    """The axes of an input in a plane of rows."""
    return ["rows"] * entry.per_sample + ["classes"] * (entry.rate == Rate.CLASS)


def shape_of(entry: Input) -> str:
    """The axes of an input in words."""
    return f"[{', '.join(shape_axes(entry))}]"


def _allocation(program: Program, name: str, lines: Lines) -> None:
    """Room for a gradient, if it is wanted."""
    entry = next((i for i in program.inputs if i.name == name), None)
    dtype = f"in_{name}.dtype" if entry and entry.per_sample else "torch.float32"
    rest = f"dtype={dtype}, device=device"
    room = f"torch.empty(batch, {rest})"
    if entry and entry.rate == Rate.CLASS:
        room = f"_room(batch, classes, across, {rest})"
    if name in overwritable(program):
        lines.add(f'if "{name}" in inplace:', f"    {grad(name)} = in_{name}")
        lines.add("else:", f'    {grad(name)} = {room} if "{name}" in wrt else None')
    else:
        lines.add(f'{grad(name)} = {room} if "{name}" in wrt else None')


def add_room(program: Program, lines: Lines) -> None:
    """`_room`, which `launch` calls where a gradient is a row."""
    if not _writes_rows(program):
        return
    with lines.block("def _room(batch, classes, across, dtype, device):"):
        lines.add(
            '"""Room for a gradient, [*batch, classes], in memory with the rows side by side if `across`."""',
            "if across:",
            "    planes, rows = batch",
            "    return torch.empty((planes, classes, rows), dtype=dtype, device=device).transpose(1, 2)",
            "return torch.empty((*batch, classes), dtype=dtype, device=device)",
        )
    lines.add("", "")


def _call(program: Program, lines: Lines) -> None:
    choice = (
        "_tile(_arch(device), classes, rows if across else 1, across, dense)"
        if tiled(program)
        else f"{kernel_name(program)}, TILE"
    )
    lines.add(f"kernel, tile = {choice}")
    if tiled(program) and program.class_inputs:
        lines.add('if counts and "num_ctas" in tile:  # a cluster of blocks cannot count; this table has none')
        lines.add("    kernel, tile = " + choice.replace("_arch(device)", f'"{ANY}"'))
    aligned = f"{'across and ' * tiled(program)}rows % 16 == 0"
    sizes = {"ALIGNED": aligned} | ({"COUNTS": "counts"} if program.class_inputs else {})
    add_call("kernel", "ROWS" if tiled(program) else "BLOCK", arguments(program), sizes, lines)


def add_call(
    kernel: str, height: str, groups: Iterable[Iterable[Argument]], sizes: Mapping[str, str], lines: Lines
) -> None:
    """The launch of `kernel` over all rows of all planes, as many rows to a program as `tile[height]` says."""
    with lines.block("if rows > 0 and planes > 0:"):
        lines.add(f'programs = planes * -(-rows // tile["{height}"])')
        with lines.block("values = (", ")"):
            for group in groups:
                lines.add(*wrapped(argument.value for argument in group))
        named = "".join(f', "{name}": {value}' for name, value in sizes.items())
        lines.add(f"start({kernel}, programs, values, {{**tile{named}}})")

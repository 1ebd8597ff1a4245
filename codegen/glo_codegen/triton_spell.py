"""What the Triton kernels of all families have in common: how a row begins, steps, stores, and results are spelled.

A user's name never stands alone in the text: inputs are `in_NAME`, parameters `p_NAME`, gradients `grad_NAME`,
class indices `index_NAME`, first elements `at_NAME` and `line_NAME`, each with at most one of the endings `_ptr`,
`_plane_stride`, `_row_stride`, `_class_stride`, none of which is the end of another. So no two can meet, and none meets
a name of ours: those have no such prefix.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

from glo_codegen.program import (
    CLASSES,
    CONDITIONS,
    LOSS,
    POSITION,
    Input,
    Instr,
    Load,
    Operand,
    Phase,
    Program,
    Rate,
    Reduce,
    Step,
    parameter,
)
from glo_codegen.scaling import SCALE, scaled
from glo_codegen.text import Lines
from glo_codegen.triton_count import constants, scale_lines
from glo_codegen.triton_launch import arguments, tiled, wrapped

IDENTITY = {"sum": "0.0", "max": 'float("-inf")', "min": 'float("inf")'}
"""What a reduction sees in lanes beyond the last class."""

EVERY = "tl.full([1, BLOCK], True, tl.int1)"
"""The mask of columns that are all classes: what is selected by it, the compiler need not select."""

FLOAT32 = (2.0**-126, (2 - 2**-23) * 2.0**127)
"""Smallest and largest normal number: beyond them Triton gives a literal the type float64."""


@contextmanager
def kernel(program: Program, name: str, lines: Lines) -> Iterator[None]:
    """The frame of a kernel: its signature, what is added inside, the results per sample."""
    fixed = ["ignore_index"] * bool(program.class_inputs) + ["rows"]
    lines.add("@triton.jit(do_not_specialize=[" + ", ".join(f'"{name}"' for name in fixed) + "])")
    with lines.block(f"def {name}("):
        for group in arguments(program):
            lines.add(*wrapped(argument.name for argument in group))
        sizes = "ROWS: tl.constexpr, " * tiled(program) + "BLOCK: tl.constexpr"
        lines.add(*wrapped([sizes, *(f"{name}: tl.constexpr = False" for name in constants(program))]))
    with lines.block("):  # fmt: skip"):
        lines.add('"""Loss and gradients, times scale; a gradient whose pointer is None costs nothing."""')
        yield
        _results(program, lines)


def add_start(program: Program, lines: Lines, streams: bool = False) -> None:
    """What is known before the first phase; `streams`: the columns are those of a loop that follows."""
    _place(program, lines)
    if tiled(program) and not streams:
        lines.add("col = tl.arange(0, BLOCK)[None, :]", f"col_mask = {EVERY} if FULL else col < classes")
        lines.add("mask = row_mask & col_mask")
    _uniform(program, lines)
    _origins(program, lines)
    _usable(program, lines)
    _weights(lines)


def _place(program: Program, lines: Lines) -> None:
    """Which rows of which plane a program holds. Offsets have 64 bits: logits may be more than 2^31."""
    height = "ROWS" if tiled(program) else "BLOCK"
    if tiled(program):
        lines.add("if EVEN:  # the compiler sees: a row is vectors of 8", "    classes = classes // 8 * 8")
    lines.add(
        "if ALIGNED:  # the compiler sees: a vector of adjacent rows is all within the plane, and is loaded as one",
        "    rows = rows // 16 * 16",
        f"parts = tl.cdiv(rows, {height})",
        "plane = (tl.program_id(0) // parts).to(tl.int64)",
        f"row = (tl.program_id(0) % parts).to(tl.int64) * {height} + tl.arange(0, {height})"
        + "[:, None]" * tiled(program),
        "row_mask = tl.full([1, 1], True, tl.int1) if ROWS == 1 else row < rows" if tiled(program)
        else "row_mask = row < rows",
    )  # fmt: skip


def _uniform(program: Program, lines: Lines) -> None:
    """Scalars: the same for every row of a plane."""
    lines.add(*scale_lines(program))
    if tiled(program):
        lines.add("n_classes = tl.cast(classes, tl.float32)")
    for place, name in enumerate(program.params):
        lines.add(f"{parameter(name)} = tl.load(params_ptr + plane * params_plane_stride + {place})")
    lines.add(*(_instr(program, step) for step in program.uniform))


def _usable(program: Program, lines: Lines) -> None:
    """Decides about each row as a whole, before an index is used as an address."""
    if not program.class_inputs:
        lines.add("", "usable, filler = row_mask, 0.0")
        return
    lines.add("", "# An ignored row yields 0; a class index out of range makes its row NaN.")
    names = [f"index_{entry.name}" for entry in program.class_inputs]
    for entry, name in zip(program.class_inputs, names, strict=True):
        lines.add(f"{name} = tl.load({address(entry)}, mask=row_mask, other=0).to(tl.int64)")
    above = " & ({0} < classes)" if tiled(program) else ""
    valid = " & ".join(("({0} >= 0)" + above).format(name) for name in names)
    ignored = " | ".join(f"({name} == ignore_index)" for name in names)
    lines.add(
        f"ignored = {_unwrap(ignored)}",
        f"usable = row_mask & (ignored == 0) & {valid}",
        'filler = tl.where(ignored, 0.0, float("nan"))',
    )


def _weights(lines: Lines) -> None:
    """A row without weight is left out, whatever it holds."""
    with lines.block("if weight_ptr is not None:"):
        lines.add(
            "weight = tl.load(weight_ptr + plane * rows + row, mask=row_mask, other=0)",
            "usable = usable & (weight != 0)",
            "filler = tl.where(weight == 0, 0.0, filler)",
            "scale = scale * weight",
        )


def _origins(program: Program, lines: Lines) -> None:
    """Where the rows of each input begin; of those per class once more, so that the compiler sees vectors if it can."""
    lines.add("")
    rows = [i.name for i in program.inputs if i.rate == Rate.CLASS and i.per_sample]
    if rows:
        lines.add(
            "origin = (plane * rows + row) * classes",
            "if SHIFT:  # the compiler sees: vectors begin here",
            "    origin = origin // 8 * 8",
        )
    for entry in program.inputs:
        step = f" + row * in_{entry.name}_row_stride" if entry.per_sample else ""
        lines.add(f"at_{entry.name} = in_{entry.name}_ptr + plane * in_{entry.name}_plane_stride{step}")
    lines.add(*(f"line_{name} = in_{name}_ptr + origin if EVEN or SHIFT else at_{name}" for name in rows))


def title(program: Program, number: int) -> str:
    """A comment that says what a phase is for."""
    return f"# Phase {number + 1} of {len(program.phases)}: {program.phases[number].ends}."


def spelled(program: Program, step: Step) -> str:
    """A step as a line of the kernel."""
    return _load(program, step) if isinstance(step, Load) else _instr(program, step)


def _load(program: Program, load: Load) -> str:
    entry = program.input(load.input)
    if entry.kind == "class":  # in a tile 32 bits do, and halve the registers of comparisons with the position
        return f"{load.out} = tl.where(usable, index_{entry.name}, -1)" + ".to(tl.int32)" * tiled(program)
    at = address(entry, load.at)
    return f"{load.out} = tl.load({at}, mask={_mask(entry, load)}, other=0){converted(program, load)}"


def converted(program: Program, load: Load) -> str:
    """What turns an input as it is in memory into what is computed with."""
    return " != 0" if program.input(load.input).kind == "bool" else ".to(tl.float32)"


def address(entry: Input, at: str | None = None, lane: str = "col") -> str:
    """Where an input is at class `at`, or at the classes of a tile: at the lanes of its row."""
    if entry.rate != Rate.CLASS:
        return f"at_{entry.name}"
    if at is None and entry.per_sample:
        return f"line_{entry.name} + {lane}.to(tl.int64) * in_{entry.name}_class_stride"
    return f"at_{entry.name} + {at or 'col'}.to(tl.int64) * in_{entry.name}_class_stride"


def _mask(entry: Input, load: Load) -> str:
    if load.at is not None:
        return "usable"
    if load.rate != Rate.CLASS:
        return "row_mask"
    return "mask" if entry.per_sample else "col_mask"


def _falls(program: Program, step: Instr) -> bool:
    """Whether this is the exponential of a value less the maximum of its row, which is at most 0."""
    if step.op.name != "exp":
        return False
    argument = next((s for s in program.steps() if s.out == step.args[0]), None)
    maxima = {r.out for phase in program.phases for r in phase.reductions if r.op.name == "max"}
    return isinstance(argument, Instr) and argument.op.name == "sub" and argument.args[1] in maxima


def spelling(program: Program, step: Instr) -> str:
    """The Triton column of the operator, or what does the same here in fewer instructions."""
    return "_decay({0})" if _falls(program, step) else step.op.triton


def _instr(program: Program, step: Instr) -> str:
    """`out = spelling`; where no argument is a tensor the first is made one, for `tl` takes no bare literals."""
    conditions = CONDITIONS.get(step.op.name, ())
    args = [operand(a, place in conditions) for place, a in enumerate(step.args)]
    if not any(isinstance(a, str) for a in step.args):
        args[0] = f"tl.cast({args[0]}, {'tl.int1' if 0 in conditions else 'tl.float32'})"
    if step.op.name in ("and", "or") and step.rate != Rate.UNIFORM:  # Triton's interpreter needs a truth value here
        args = [f"({a} != 0)" if any(a == u.out for u in program.uniform) else a for a in args]
    return f"{step.out} = {_unwrap(spelling(program, step).format(*args))}"


def _unwrap(text: str) -> str:
    """Without the parentheses that enclose all of it.

    >>> _unwrap("(a + (b))"), _unwrap("(a) + (b)")
    ('a + (b)', '(a) + (b)')
    """
    if not text.startswith("("):
        return text
    depth = 0
    for place, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if depth == 0:
            return text[1:-1] if place == len(text) - 1 else text
    return text


def operand(value: Operand, condition: bool = False) -> str:
    """The text of an operand; `condition`: where a truth value is meant."""
    if isinstance(value, str):
        return {CLASSES: "n_classes", POSITION: "col"}.get(value, value)
    return str(bool(value)) if condition else _literal(value)


def _literal(value: float) -> str:
    """
    >>> _literal(0.5), _literal(-1e300), _literal(1e-40)
    ('0.5', 'float("-inf")', 'tl.cast(1e-40, tl.float32)')
    """
    smallest, largest = FLOAT32
    if math.isnan(value) or abs(value) > largest:
        return 'float("nan")' if math.isnan(value) else f'float("{math.copysign(math.inf, value)}")'
    return f"tl.cast({value!r}, tl.float32)" if 0 < abs(value) < smallest else repr(float(value))


def masked(reduction: Reduce) -> str:
    """Lanes beyond the last class may hold anything, so the identity takes their place here, whatever was loaded."""
    return f"tl.where(col_mask, {operand(reduction.arg)}, {IDENTITY[reduction.op.name]})"


def _results(program: Program, lines: Lines) -> None:
    """What there is one of per sample."""
    lines.add("", "sample = plane * rows + row")
    for output, value in program.results:
        if output == LOSS:
            lines.add(f"value = {operand(value)}", "if weight_ptr is not None:", "    value = value * weight")
            lines.add("tl.store(loss_ptr + sample, tl.where(usable, value, filler), mask=row_mask)")
        else:
            _store(output, value, lines, place="sample", mask="row_mask")


def add_products(program: Program, phase: Phase, lines: Lines) -> None:
    """What the stores of a phase need per sample."""
    products, _ = scaled(program, phase)
    lines.add(*(f"{p.out} = {operand(p.value)} * {SCALE}" for p in products))


def add_stores(program: Program, phase: Phase, lines: Lines, lane: str = "col", hint: str = "") -> None:
    """What a phase writes at the lanes of its rows."""
    if phase.stores:
        line = "plane * rows * classes + row * out_row_stride"
        dense = any(i.rate == Rate.CLASS and i.per_sample for i in program.inputs)
        lines.add(f"line = origin if EVEN or SHIFT else {line}" if dense else f"line = {line}")
        lines.add(f"destination = line + {lane}.to(tl.int64) * out_class_stride")
    for store in scaled(program, phase)[1]:
        with lines.block(f"if {store.output}_ptr is not None:"):
            lines.add(*(spelled(program, step) for step in store.steps.values()))
            value = f"({operand(store.value)} * {SCALE})" if store.left else operand(store.value)
            kind, to = f"{store.output}_ptr.dtype.element_ty", f"{store.output}_ptr + destination"
            lines.add(f"gradient = {value}.to({kind})", f"tl.store({to}, gradient, mask=mask & usable{hint})")
            # Another store rather than a choice per class; it is for whole rows, and does nothing for most.
            rest = [f"gradient = tl.cast(filler, {kind})", f"tl.store({to}, gradient, mask=mask & (usable == 0){hint})"]
            if program.class_inputs:
                lines.add(*rest)
            else:
                lines.add("if weight_ptr is not None:", *(f"    {line}" for line in rest))


def _store(output: str, value: Operand, lines: Lines, place: str, mask: str) -> None:
    with lines.block(f"if {output}_ptr is not None:"):
        lines.add(
            f"scaled = tl.where(usable, {operand(value)} * scale, filler)",
            f"tl.store({output}_ptr + {place}, scaled.to({output}_ptr.dtype.element_ty), mask={mask})",
        )

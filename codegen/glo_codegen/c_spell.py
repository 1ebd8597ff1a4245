"""How the parts of a Program are spelled in C, whatever loop they stand in."""

from __future__ import annotations

import math
from collections.abc import Collection

from glo_codegen.program import (
    CLASSES,
    LOSS,
    POSITION,
    Instr,
    Operand,
    Program,
    Rate,
    Reduce,
    Step,
    grad,
    parameter,
)
from glo_codegen.text import Lines

BLOCK_ARGUMENTS = "const glo_call *call, int64_t first, int64_t last, real unit, real *scratch"
INITIAL = {"sum": "R(0)", "max": "R(-INFINITY)", "min": "R(INFINITY)"}
C_TYPES = {"real": "real", "bool": "uint8_t", "class": "int64_t"}


def operand(value: Operand, lanes: Collection[str] = ()) -> str:
    """A value or literal; the values named in `lanes` are arrays over the rows of a group."""
    if isinstance(value, str):
        return {POSITION: "c", CLASSES: "classes"}.get(value, f"{value}[i]" if value in lanes else value)
    if math.isnan(value):
        return "R(NAN)"
    if math.isinf(value):
        return "R(INFINITY)" if value > 0 else "R(-INFINITY)"
    return f"R({value!r})"


def value_type(kind: str) -> str:
    return "real" if kind == "real" else "int"


def assigned(out: str, kind: str, text: str, lanes: Collection[str] = ()) -> str:
    """A definition, or for an array over rows the assignment to its element."""
    return f"{out}[i] = {text};" if out in lanes else f"const {value_type(kind)} {out} = {text};"


def define(step: Step, lanes: Collection[str] = ()) -> str:
    assert isinstance(step, Instr)
    return assigned(step.out, step.kind, step.op.c.format(*(operand(a, lanes) for a in step.args)), lanes)


def accumulate(reduction: Reduce, lanes: Collection[str] = ()) -> str:
    total, argument = operand(reduction.out, lanes), operand(reduction.arg, lanes)
    if reduction.op.name == "sum":
        return f"{total} += {argument};"
    return f"{total} = {reduction.op.c}({total}, {argument});"


def class_places(program: Program) -> list[int]:
    return [n for n, i in enumerate(program.inputs) if i.kind == "class"]


def per_class(program: Program, name: str) -> bool:
    """Whether the gradient of this input or parameter is a row."""
    return any(i.name == name and i.rate == Rate.CLASS for i in program.inputs)


def place(program: Program, output: str) -> int:
    """The number of a gradient among the outputs."""
    return program.gradients.index(output.removeprefix("grad_"))


def results(program: Program) -> tuple[Operand, list[tuple[int, Operand]]]:
    """The loss, and per-sample gradients with the numbers of their outputs."""
    loss = next(value for output, value in program.results if output == LOSS)
    return loss, [(place(program, output), value) for output, value in program.results if output != LOSS]


def add_pointers(program: Program, lines: Lines) -> None:
    """Names for what the call holds: inputs `in`, outputs `out`, strides from row to row; and the uniform code."""
    if program.by_rows:
        lines.add("const int n_classes = (int)call->classes; (void)n_classes;")
    lines.add("const real classes = R(call->classes); (void)classes; (void)scratch;")
    lines.add("const int64_t reduced = call->reduction != REDUCE_NONE; (void)reduced;")
    for n, entry in enumerate(program.inputs):
        if entry.kind != "class":
            lines.add(f"const {C_TYPES[entry.kind]} *const in{n} = call->in[{n}]; (void)in{n};")
        if entry.rate == Rate.CLASS and entry.per_sample:
            lines.add(f"const int64_t row{n} = call->stride[{2 * n}]; (void)row{n};")
    for k, name in enumerate(program.gradients):
        shown = grad(name) if any(i.name == name for i in program.inputs) else "parameter"
        lines.add(f"real *const out{k} = call->out[{k}]; // {shown}")
    for k, name in enumerate(program.params):
        lines.add(f"const real {parameter(name)} = R(call->params[{k}]); (void){parameter(name)};")
    lines.add(*(define(step) for step in program.uniform))


def add_strides(program: Program, lines: Lines) -> None:
    """The strides `s` from element to element: of rows from class to class."""
    for n, entry in enumerate(program.inputs):
        if entry.kind != "class":
            lines.add(f"const int64_t s{n} = call->stride[{2 * n + (entry.rate == Rate.CLASS)}]; (void)s{n};")

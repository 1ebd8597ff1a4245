"""Program to C: one function over a block of rows, called by the driver of the preamble from all cores.

A value per class that a later pass needs is kept in a scratch row when it was costly, and computed again when not.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from glo_codegen.c_preamble import PREAMBLE
from glo_codegen.program import (
    CLASSES, LOSS, POSITION, Input, Instr, Load, Operand, Phase, Program, Rate, Reduce, Step, grad, parameter,
)  # fmt: skip
from glo_codegen.text import Lines, comment

COSTLY = 8
"""From this cost on, storing and reloading a value beats computing it again."""

BLOCK_ARGUMENTS = "const glo_call *call, int64_t first, int64_t last, real scale, real *scratch"

INITIAL = {"sum": "R(0)", "max": "R(-INFINITY)", "min": "R(INFINITY)"}


def emit_c(program: Program) -> str:
    """A whole translation unit for one loss; see `function_name` for its entry point."""
    return translation_unit([program])


def translation_unit(programs: Iterable[Program]) -> str:
    """One translation unit for several losses, whose names must differ."""
    return PREAMBLE.lstrip() + "".join("\n" + _loss(program) for program in programs)


def function_name(program: Program) -> str:
    """The exported function: `int NAME(glo_call *call)`; 0 is success, 1 a bad class index, 2 no memory."""
    return f"glo_{program.name}"


@dataclass
class _Kept:
    """Which values per class live in scratch rows, and where each is computed."""

    home: dict[str, int]
    step: dict[str, Step]
    scratch: dict[str, int]


def _loss(program: Program) -> str:
    lines = Lines()
    lines.add(*comment(program.text, "//"))
    kept = _plan(program)
    _code(program, kept, lines)
    _dispatch(program, lines)
    _entry(program, kept, lines)
    return lines.text()


def _plan(program: Program) -> _Kept:
    """Finds the costly values that are used after the pass that computes them."""
    home = {step.out: n for n, phase in enumerate(program.phases) for step in phase.row}
    step = {step.out: step for phase in program.phases for step in phase.row}
    kept = _Kept(home, step, {})
    for n, phase in enumerate(program.phases):
        for name in _needed(phase, n, kept, deep=True):
            if home[name] < n and _costly(step[name]):
                kept.scratch.setdefault(name, len(kept.scratch))
    return kept


def _costly(step: Step) -> bool:
    return isinstance(step, Instr) and step.op.cost >= COSTLY


def _needed(phase: Phase, number: int, kept: _Kept, deep: bool = False) -> list[str]:
    """The values per class that this pass computes or loads, in order; what lies in scratch is not looked behind."""
    wanted: set[str] = set()
    roots = [r.arg for r in phase.reductions] + [s.value for s in phase.stores]
    roots += [name for name in kept.scratch if kept.home[name] == number]
    stack = [name for name in roots if isinstance(name, str) and name in kept.step]
    while stack:
        name = stack.pop()
        if name in wanted:
            continue
        wanted.add(name)
        step = kept.step[name]
        reloaded = kept.home[name] < number and (name in kept.scratch or (deep and _costly(step)))
        if isinstance(step, Instr) and not reloaded:
            stack.extend(a for a in step.args if isinstance(a, str) and a in kept.step)
    return [name for name in kept.step if name in wanted]


def _code(program: Program, kept: _Kept, lines: Lines) -> None:
    strides = "".join(f", const int64_t s{n}" for n in _strided(program))
    head = f"INLINE double loss_{program.name}_code({BLOCK_ARGUMENTS}{strides}) {{"
    with lines.block(head, "}"):
        _pointers(program, kept, lines)
        lines.add("double total = 0;")
        if program.by_rows:
            with lines.block("for (int64_t r = first; r < last; r++) {", "}"):
                _row(program, kept, lines)
        else:
            lines.add("#pragma omp simd reduction(+ : total)")
            with lines.block("for (int64_t r = first; r < last; r++) {", "}"):
                _scalars(program, program.phases[0].scalars, lines)
                _results(program, lines)
        lines.add("return total;")


def _pointers(program: Program, kept: _Kept, lines: Lines) -> None:
    if program.by_rows:
        lines.add("const int n_classes = (int)call->classes;")
    lines.add("const real classes = R(call->classes); (void)classes; (void)scratch;")
    lines.add("const int64_t reduced = call->reduction != REDUCE_NONE; (void)reduced;")
    for n, entry in enumerate(program.inputs):
        if entry.kind != "class":
            lines.add(f"const {_c_type(entry.kind)} *const in{n} = call->in[{n}];")
        if entry.rate == Rate.CLASS and entry.per_sample:
            lines.add(f"const int64_t row{n} = call->stride[{2 * n}]; (void)row{n};")
    for k, name in enumerate(program.gradients):
        lines.add(f"real *const out{k} = call->out[{k}]; // {grad(name) if _is_input(program, name) else 'parameter'}")
    for k, name in enumerate(program.params):
        lines.add(f"const real {parameter(name)} = R(call->params[{k}]); (void){parameter(name)};")
    for name, k in kept.scratch.items():
        lines.add(f"real *const kept_{name} = scratch + (int64_t){k} * n_classes;")
    for step in program.uniform:
        lines.add(_define(step))


def _is_input(program: Program, name: str) -> bool:
    return any(i.name == name for i in program.inputs)


def _c_type(kind: str) -> str:
    return {"real": "real", "bool": "uint8_t", "class": "int64_t"}[kind]


def _row(program: Program, kept: _Kept, lines: Lines) -> None:
    if program.class_inputs:
        _skip_ignored(program, lines)
    for number, phase in enumerate(program.phases):
        _scalars(program, phase.scalars, lines)
        if phase.passes:
            _pass(program, phase, number, kept, lines)
    _results(program, lines)


def _skip_ignored(program: Program, lines: Lines) -> None:
    test = " || ".join(f"CLASS_INDEX(call, {n}, r) == call->ignore_index" for n in _class_places(program))
    with lines.block(f"if ({test}) {{", "}"):
        for k, name in enumerate(program.gradients):
            if _per_class(program, name):
                lines.add(f"memset(out{k} + r * n_classes, 0, sizeof(real) * (size_t)n_classes);")
            else:
                lines.add(f"out{k}[r] = 0;")
        lines.add("if (!reduced) call->loss[r] = 0;", "continue;")


def _class_places(program: Program) -> list[int]:
    return [n for n, i in enumerate(program.inputs) if i.kind == "class"]


def _per_class(program: Program, name: str) -> bool:
    return any(i.name == name and i.rate == Rate.CLASS for i in program.inputs)


def _scalars(program: Program, steps: Iterable[Step], lines: Lines) -> None:
    for step in steps:
        lines.add(_load(program, step) if isinstance(step, Load) else _define(step))


def _load(program: Program, load: Load) -> str:
    n, entry = next((n, i) for n, i in enumerate(program.inputs) if i.name == load.input)
    if entry.kind == "class":
        return f"const int {load.out} = (int)CLASS_INDEX(call, {n}, r);"
    return f"const {_value_type(load.kind)} {load.out} = in{n}[{_offset(program, n, entry, load)}]" + (
        " != 0;" if entry.kind == "bool" else ";"
    )


def _offset(program: Program, n: int, entry: Input, load: Load) -> str:
    if entry.rate != Rate.CLASS:
        return f"r * s{n}"
    place = f"(int64_t){load.at or 'c'} * s{n}"
    return f"r * row{n} + {place}" if entry.per_sample else place


def _value_type(kind: str) -> str:
    return "real" if kind == "real" else "int"


def _define(step: Step) -> str:
    assert isinstance(step, Instr)
    text = step.op.c.format(*(_operand(a) for a in step.args))
    return f"const {_value_type(step.kind)} {step.out} = {text};"


def _operand(operand: Operand) -> str:
    if isinstance(operand, str):
        return {POSITION: "c", CLASSES: "classes"}.get(operand, operand)
    if math.isnan(operand):
        return "R(NAN)"
    if math.isinf(operand):
        return "R(INFINITY)" if operand > 0 else "R(-INFINITY)"
    return f"R({operand!r})"


def _pass(program: Program, phase: Phase, number: int, kept: _Kept, lines: Lines) -> None:
    """One loop over the classes of the row."""
    for reduction in phase.reductions:
        lines.add(f"real {reduction.out} = {INITIAL[reduction.op.name]};")
    lines.add("#pragma omp simd" + "".join(f" reduction({r.op.c} : {r.out})" for r in phase.reductions))
    with lines.block("for (int c = 0; c < n_classes; c++) {", "}"):
        for name in _needed(phase, number, kept):
            lines.add(*_class_value(program, kept, name, number))
        lines.add(*(_accumulate(r) for r in phase.reductions))
        for store in phase.stores:
            k = program.gradients.index(store.output.removeprefix("grad_"))
            lines.add(f"out{k}[r * n_classes + c] = scale * {_operand(store.value)};")


def _class_value(program: Program, kept: _Kept, name: str, number: int) -> Iterator[str]:
    step = kept.step[name]
    if name in kept.scratch and kept.home[name] < number:
        yield f"const {_value_type(step.kind)} {name} = kept_{name}[c];"
        return
    yield _load(program, step) if isinstance(step, Load) else _define(step)
    if name in kept.scratch:
        yield f"kept_{name}[c] = {name};"


def _accumulate(reduction: Reduce) -> str:
    argument = _operand(reduction.arg)
    if reduction.op.name == "sum":
        return f"{reduction.out} += {argument};"
    return f"{reduction.out} = {reduction.op.c}({reduction.out}, {argument});"


def _results(program: Program, lines: Lines) -> None:
    for output, operand in program.results:
        if output == LOSS:
            lines.add(f"total += {_operand(operand)};", f"if (!reduced) call->loss[r] = {_operand(operand)};")
        else:
            k = program.gradients.index(output.removeprefix("grad_"))
            lines.add(f"out{k}[r] = scale * {_operand(operand)};")


def _strided(program: Program) -> list[int]:
    """The inputs whose stride along the inner loop is an argument of the code."""
    return [n for n, i in enumerate(program.inputs) if i.kind != "class"]


def _dispatch(program: Program, lines: Lines) -> None:
    """The common case of adjacent elements gets code of its own, in which the stride is the literal 1."""
    inner = {n: f"call->stride[{2 * n + _is_row(program, n)}]" for n in _strided(program)}
    unit = [n for n in inner if _is_row(program, n) or not program.by_rows]
    call = f"return loss_{program.name}_code(call, first, last, scale, scratch"
    with lines.block(f"static double loss_{program.name}_block({BLOCK_ARGUMENTS}) {{", "}"):
        if unit:
            test = " && ".join(f"{inner[n]} == 1" for n in unit)
            lines.add(f"if ({test})")
            lines.add(f"    {call}{''.join(', 1' if n in unit else ', ' + text for n, text in inner.items())});")
        lines.add(f"{call}{''.join(', ' + text for text in inner.values())});")


def _is_row(program: Program, n: int) -> bool:
    return program.inputs[n].rate == Rate.CLASS


def _entry(program: Program, kept: _Kept, lines: Lines) -> None:
    places = _class_places(program)
    with lines.block(f"int {function_name(program)}(glo_call *call) {{", "}"):
        lines.add(f"static const int class_inputs[] = {{{', '.join(map(str, places)) or '0'}}};")
        lines.add(f"return glo_run(call, loss_{program.name}_block, class_inputs, {len(places)}, {len(kept.scratch)});")

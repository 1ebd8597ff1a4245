"""Program to C: one function over a block of rows, called by the driver of the preamble from all cores.

A loss with classes has two bodies, for long rows and for short ones; an elementwise loss has one, for adjacent elements
and for any strides. A value per class that a later pass needs is kept in a scratch row when it was costly, and computed
again when not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from glo_codegen.c_narrow import add_narrow, narrow_buffers
from glo_codegen.c_preamble import PREAMBLE
from glo_codegen.c_spell import (
    BLOCK_ARGUMENTS,
    C_TYPES,
    INITIAL,
    accumulate,
    add_pointers,
    add_strides,
    assigned,
    class_places,
    define,
    operand,
    per_class,
    place,
    results,
)
from glo_codegen.plan import Plan, plan_of, walked
from glo_codegen.program import Load, Phase, Program, Rate, Step
from glo_codegen.text import Lines, comment


def emit_c(program: Program) -> str:
    """A whole translation unit for one loss; see `function_name` for its entry point."""
    return translation_unit([program])


def translation_unit(programs: Iterable[Program], across: bool = False) -> str:
    """One translation unit for several losses, whose names must differ.

    `across`: for rows, not classes, that lie side by side in memory, in inputs and gradients.
    """
    head = "#define GLO_ACROSS\n" if across else ""
    return head + PREAMBLE.lstrip() + "".join("\n" + _loss(program) for program in programs)


def function_name(program: Program) -> str:
    """The exported function: `int NAME(glo_call *call)`; 0 is success, 1 a bad class index, 2 no memory."""
    return f"glo_{program.name}"


def _loss(program: Program) -> str:
    lines = Lines()
    lines.add(*comment(program.text, "//"))
    plan = plan_of(program)
    if program.by_rows:
        _wide(program, plan, lines)
        add_narrow(program, plan, lines)
        choice = "IS_NARROW(call->classes)"
        _block(program, choice, f"loss_{program.name}_narrow", f"loss_{program.name}_wide", ("", ""), lines)
    else:
        _elementwise(program, lines)
    _entry(program, plan, lines)
    return lines.text()


def _block(program: Program, test: str, chosen: str, otherwise: str, arguments: tuple[str, str], lines: Lines) -> None:
    """The function that the driver calls: one body or the other."""
    call = "(call, first, last, unit, scratch"
    with lines.block(f"static double loss_{program.name}_block({BLOCK_ARGUMENTS}) {{", "}"):
        lines.add(f"if ({test})", f"    return {chosen}{call}{arguments[0]});")
        lines.add(f"return {otherwise}{call}{arguments[1]});")


def _entry(program: Program, plan: Plan, lines: Lines) -> None:
    places = class_places(program)
    wide = len(plan.scratch) + len(walked(program, plan))
    with lines.block(f"int {function_name(program)}(glo_call *call) {{", "}"):
        lines.add(f"static const int class_inputs[] = {{{', '.join(map(str, places)) or '0'}}};")
        lines.add(f"const int buffers[] = {{{wide}, {narrow_buffers(program, plan)}}};")
        lines.add(f"return glo_run(call, loss_{program.name}_block, class_inputs, {len(places)}, buffers);")


# An elementwise loss: one loop, in which the common stride 1 is a literal.


def _elementwise(program: Program, lines: Lines) -> None:
    strides = [f"s{n}" for n, i in enumerate(program.inputs) if i.kind != "class"]
    name = f"loss_{program.name}_code"
    extra = ", const int weighted" + "".join(f", const int64_t {s}" for s in strides)
    with lines.block(f"INLINE double {name}({BLOCK_ARGUMENTS}{extra}) {{", "}"):
        add_pointers(program, lines)
        lines.add("real *const losses = reduced ? scratch : call->loss + first;")  # so that the loop has no condition
        lines.add("#pragma omp simd")
        with lines.block("for (int64_t r = first; r < last; r++) {", "}"):
            lines.add("const real weight = weighted ? WEIGHT(r) : R(1), scale = weighted ? unit * weight : unit;")
            _scalars(program, program.phases[0].scalars, lines)
            loss, gradients = results(program)
            lines.add(f"losses[r - first] = weight == 0 ? R(0) : weight * {operand(loss)};")
            lines.add(*(f"out{k}[r] = weight == 0 ? R(0) : scale * {operand(value)};" for k, value in gradients))
        lines.add("return total_of(losses, last - first);")
    inner = [f"call->stride[{2 * int(s[1:])}]" for s in strides]
    test = " && ".join(["call->weight == &glo_one", *(f"{stride} == 1" for stride in inner)])
    _block(program, test, name, name, (", 0" + ", 1" * len(inner), ", 1" + "".join(f", {s}" for s in inner)), lines)


# Long rows: every pass is a loop over the classes of one row.


def _wide(program: Program, plan: Plan, lines: Lines) -> None:
    with lines.block(f"INLINE double loss_{program.name}_wide({BLOCK_ARGUMENTS}) {{", "}"):
        add_pointers(program, lines)
        add_strides(program, lines)
        for name, k in plan.scratch.items():
            lines.add(f"real *const kept_{name} = scratch + (int64_t){k} * n_classes;")
        lines.add("real *const losses = call->loss;", "double total = 0;")
        with lines.block("for (int64_t r = first; r < last; r++) {", "}"):
            _row(program, plan, lines)
        lines.add("return total;")


def _row(program: Program, plan: Plan, lines: Lines) -> None:
    lines.add("const real weight = WEIGHT(r), scale = unit * weight;")
    _skip(program, lines)
    for k, n in enumerate(walked(program, plan), len(plan.scratch)):
        entry = program.inputs[n]
        function = "bits_side_by_side" if entry.kind == "bool" else "side_by_side"
        start = f"in{n} + r * row{n}" if entry.per_sample else f"in{n}"
        room = f"scratch + (int64_t){k} * n_classes"
        lines.add(f"const {C_TYPES[entry.kind]} *const x{n} = {function}({start}, s{n}, n_classes, {room});")
    for number, phase in enumerate(program.phases):
        _scalars(program, phase.scalars, lines)
        if phase.passes:
            _pass(program, plan, phase, number, lines)
    _results(program, lines)


def _skip(program: Program, lines: Lines) -> None:
    """A row that is ignored or has no weight is left out, whatever it holds."""
    tests = ["weight == 0", *(f"CLASS_INDEX(call, {n}, r) == call->ignore_index" for n in class_places(program))]
    with lines.block(f"if ({' || '.join(tests)}) {{", "}"):
        for k, name in enumerate(program.gradients):
            if per_class(program, name):
                lines.add(f"memset(out{k} + r * n_classes, 0, sizeof(real) * (size_t)n_classes);")
            else:
                lines.add(f"out{k}[r] = 0;")
        lines.add("if (!reduced) losses[r] = 0;", "continue;")


def _scalars(program: Program, steps: Iterable[Step], lines: Lines) -> None:
    for step in steps:
        lines.add(_load(program, step) if isinstance(step, Load) else define(step))


def _load(program: Program, load: Load) -> str:
    n, entry = next((n, i) for n, i in enumerate(program.inputs) if i.name == load.input)
    if entry.kind == "class":
        return assigned(load.out, "class", f"(int)CLASS_INDEX(call, {n}, r)")
    if entry.rate != Rate.CLASS:
        text = f"in{n}[r * s{n}]"
    elif load.at:
        text = f"in{n}[{f'r * row{n} + ' if entry.per_sample else ''}{load.at} * s{n}]"
    else:
        text = f"x{n}[c]"
    return assigned(load.out, load.kind, text + (" != 0" if entry.kind == "bool" else ""))


def _pass(program: Program, plan: Plan, phase: Phase, number: int, lines: Lines) -> None:
    """One loop over the classes of the row; if it reduces, in stretches whose results are reduced in turn."""
    if not phase.reductions:
        _stretch(program, plan, phase, number, ("0", "n_classes"), lines)
        return
    parts = [replace(r, out=f"part_{r.out}") for r in phase.reductions]
    lines.add(*(f"real {r.out} = {INITIAL[r.op.name]};" for r in phase.reductions))
    with lines.block("for (int from = 0; from < n_classes; from += STRETCH) {", "}"):
        lines.add("const int to = n_classes - from < STRETCH ? n_classes : from + STRETCH;")
        lines.add(*(f"real {part.out} = {INITIAL[part.op.name]};" for part in parts))
        _stretch(program, plan, replace(phase, reductions=tuple(parts)), number, ("from", "to"), lines)
        lines.add(*(accumulate(replace(r, arg=part.out)) for r, part in zip(phase.reductions, parts)))


def _stretch(program: Program, plan: Plan, phase: Phase, number: int, ends: tuple[str, str], lines: Lines) -> None:
    lines.add("#pragma omp simd" + "".join(f" reduction({r.op.c} : {r.out})" for r in phase.reductions))
    with lines.block(f"for (int c = {ends[0]}; c < {ends[1]}; c++) {{", "}"):
        for name in plan.needed(phase, number):
            lines.add(*_class_value(program, plan, name, number))
        lines.add(*(accumulate(r) for r in phase.reductions))
        for store in phase.stores:
            lines.add(f"out{place(program, store.output)}[r * n_classes + c] = scale * {operand(store.value)};")


def _class_value(program: Program, plan: Plan, name: str, number: int) -> Iterator[str]:
    step = plan.step[name]
    if plan.reloaded(name, number):
        yield assigned(name, step.kind, f"kept_{name}[c]")
        return
    yield _load(program, step) if isinstance(step, Load) else define(step)
    if name in plan.scratch:
        yield f"kept_{name}[c] = {name};"


def _results(program: Program, lines: Lines) -> None:
    loss, gradients = results(program)
    lines.add(f"const real value = {operand(loss)} * weight;", "total += value;", "if (!reduced) losses[r] = value;")
    for k, value in gradients:
        lines.add(f"out{k}[r] = scale * {operand(value)};")

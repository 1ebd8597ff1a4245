"""The C code for rows of few classes: as many rows at once as fill a vector, so that no lane idles over a short row.

The rows of a group are turned into columns of scratch memory; then every loop over the classes has a loop over the rows
inside it, and what is computed once per row is a loop over the rows as well.
"""

from __future__ import annotations

from collections.abc import Iterable

from glo_codegen.c_spell import (
    BLOCK_ARGUMENTS,
    INITIAL,
    accumulate,
    add_pointers,
    add_strides,
    assigned,
    class_places,
    define,
    operand,
    place,
    results,
    value_type,
)
from glo_codegen.plan import Plan, walked
from glo_codegen.program import Load, Phase, Program, Rate, Step
from glo_codegen.text import Lines

EACH_ROW = "for (int i = 0; i < LANES; i++) {"


def narrow_buffers(program: Program, plan: Plan) -> int:
    """How many arrays of classes x LANES the code needs."""
    return len(plan.scratch) + len(_turned(program, plan)) + len(_stores(program))


def _turned(program: Program, plan: Plan) -> list[int]:
    return [n for n in walked(program, plan) if program.inputs[n].per_sample]


def _stores(program: Program) -> list[str]:
    return [store.output for phase in program.phases for store in phase.stores]


def _lanes(program: Program) -> dict[str, str]:
    """The values that each row has one of, with their types."""
    lanes: dict[str, str] = {}
    for phase in program.phases:
        lanes |= {step.out: value_type(step.kind) for step in phase.scalars}
        lanes |= {reduction.out: "real" for reduction in phase.reductions}
    return lanes


def add_narrow(program: Program, plan: Plan, lines: Lines) -> None:
    """The function over a block of rows."""
    lanes = _lanes(program)
    with lines.block(f"INLINE double loss_{program.name}_narrow({BLOCK_ARGUMENTS}) {{", "}"):
        add_pointers(program, lines)
        add_strides(program, lines)
        _buffers(program, plan, lines)
        lines.add("double total = 0;")
        with lines.block("for (int64_t r0 = first; r0 < last; r0 += LANES) {", "}"):
            _group(program, plan, lines)
            lines.add(*(f"{kind} {name}[LANES];" for name, kind in lanes.items()))
            for number, phase in enumerate(program.phases):
                _scalars(program, phase.scalars, lanes, lines)
                if phase.passes:
                    _pass(program, plan, phase, number, lanes, lines)
            _results(program, lanes, lines)
        lines.add("return total;")


def _buffers(program: Program, plan: Plan, lines: Lines) -> None:
    names = [f"kept_{name}" for name in plan.scratch] + [f"turned{n}" for n in _turned(program, plan)]
    names += [f"turned_{output}" for output in _stores(program)]
    for k, name in enumerate(names):
        lines.add(f"real *const {name} = scratch + {k} * LANES * n_classes;")


def _group(program: Program, plan: Plan, lines: Lines) -> None:
    """Which rows these are, and which count: a group that is not full repeats its first row, for nothing."""
    counts = [" && WEIGHT(row[i]) != 0"]
    counts += [f" && CLASS_INDEX(call, {n}, row[i]) != call->ignore_index" for n in class_places(program)]
    lines.add("const int filled = last - r0 < LANES ? (int)(last - r0) : LANES;")
    lines.add("int64_t row[LANES];", "int on[LANES];", "real scale[LANES];")
    with lines.block(EACH_ROW, "}"):
        lines.add(
            "row[i] = r0 + (i < filled ? i : 0);",
            "scale[i] = unit * WEIGHT(row[i]);",
            f"on[i] = i < filled{''.join(counts)};",
        )
    for n in _turned(program, plan):
        turn = "turn_bits" if program.inputs[n].kind == "bool" else "turn_in"
        lines.add(f"{turn}(in{n}, row, row{n}, s{n}, n_classes, turned{n});")


def _scalars(program: Program, steps: Iterable[Step], lanes: dict[str, str], lines: Lines) -> None:
    steps = tuple(steps)
    if steps:
        lines.add("#pragma omp simd")
        with lines.block(EACH_ROW, "}"):
            lines.add(*(_step(program, step, lanes) for step in steps))


def _step(program: Program, step: Step, lanes: dict[str, str]) -> str:
    return _load(program, step, lanes) if isinstance(step, Load) else define(step, lanes)


def _load(program: Program, load: Load, lanes: dict[str, str]) -> str:
    n, entry = next((n, i) for n, i in enumerate(program.inputs) if i.name == load.input)
    if entry.kind == "class":
        return f"{load.out}[i] = on[i] ? (int)CLASS_INDEX(call, {n}, row[i]) : 0;"
    if entry.rate != Rate.CLASS:
        text = f"in{n}[row[i] * s{n}]"
    elif load.at:
        text = f"in{n}[{f'row[i] * row{n} + ' if entry.per_sample else ''}{operand(load.at, lanes)} * s{n}]"
        text = f"on[i] ? {text} : 0"  # where there are no classes there is nothing to load
    else:
        text = f"turned{n}[c * LANES + i]" if entry.per_sample else f"in{n}[c * s{n}]"
    return assigned(load.out, load.kind, text + (" != 0" if entry.kind == "bool" else ""), lanes)


def _pass(program: Program, plan: Plan, phase: Phase, number: int, lanes: dict[str, str], lines: Lines) -> None:
    """One loop over the classes of the rows."""
    if phase.reductions:
        with lines.block(EACH_ROW, "}"):
            lines.add(*(f"{r.out}[i] = {INITIAL[r.op.name]};" for r in phase.reductions))
    with lines.block("for (int c = 0; c < n_classes; c++) {", "}"):
        lines.add("#pragma omp simd")
        with lines.block(EACH_ROW, "}"):
            for name in plan.needed(phase, number):
                lines.add(*_class_value(program, plan, name, number, lanes))
            lines.add(*(accumulate(r, lanes) for r in phase.reductions))
            for store in phase.stores:
                lines.add(f"turned_{store.output}[c * LANES + i] = scale[i] * {operand(store.value, lanes)};")
    for store in phase.stores:
        k, columns = place(program, store.output), f"turned_{store.output}, on, filled, n_classes"
        lines.add(f"turn_out({columns}, call, out{k} + r0 * FROM_ROW(call));")


def _class_value(program: Program, plan: Plan, name: str, number: int, lanes: dict[str, str]) -> Iterable[str]:
    step = plan.step[name]
    if plan.reloaded(name, number):
        yield assigned(name, step.kind, f"kept_{name}[c * LANES + i]")
        return
    yield _step(program, step, lanes)
    if name in plan.scratch:
        yield f"kept_{name}[c * LANES + i] = {name};"


def _results(program: Program, lanes: dict[str, str], lines: Lines) -> None:
    loss, gradients = results(program)
    with lines.block("for (int i = 0; i < filled; i++) {", "}"):
        lines.add(f"const real value = on[i] ? {operand(loss, lanes)} * WEIGHT(r0 + i) : R(0);")
        lines.add("total += value;", "if (!reduced) call->loss[r0 + i] = value;")
        for k, value in gradients:
            lines.add(f"out{k}[r0 + i] = on[i] ? scale[i] * {operand(value, lanes)} : R(0);")

"""What each kernel family moves between memory and chip: the loads and stores of [rows, classes], pass by pass.

Counted from the plans that the printers follow. Without a class axis there is one pass over [rows].
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from glo_codegen.plan import Plan, plan_of, recomputing
from glo_codegen.program import LOSS, Input, Load, Program, Rate, grad
from glo_codegen.waits import Spelling, waits

BYTES = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2}
"""Those of an element, by the dtype of the real inputs."""

KEPT = "kept"
"""The name under which scratch rows are moved."""


@dataclass(frozen=True, slots=True)
class Pass:
    """One phase of a family: what ends it, and the arrays it reads and writes, an array once per time.

    Attributes:
        bytes: moved per element of [rows, classes], or per row without classes.
    """

    phase: int
    ends: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    bytes: int


def traffic(program: Program, dtype: str) -> dict[str, list[Pass]]:
    """The passes of each family by its name, for contiguous inputs whose real ones have this dtype.

    Families are `resident`, `streaming` and `c` (its body for long rows), or `elementwise` without a class axis.
    """
    sizes = _sizes(program, dtype)
    if not any(i.rate == Rate.CLASS for i in program.inputs):
        reads = [i.name for i in program.inputs]
        return {"elementwise": [_pass(program, 0, reads, [output for output, _ in program.results], sizes)]}
    in_c = _sizes(program, max(dtype, "float32", key=lambda name: BYTES[name]))  # the caller widens half precision
    kept, once, walked = plan_of(program), _once(program), program.walked or program
    return {
        "resident": [_pass(program, n, reads, _stored(program, n), sizes) for n, reads in enumerate(once)],
        "streaming": [_pass(walked, n, r, _stored(walked, n), sizes) for n, r in enumerate(_streaming(walked))],
        "c": [_pass(program, n, *_with_scratch(program, kept, n), in_c) for n in range(len(program.phases))],
    }


def minimum(program: Program, dtype: str) -> int:
    """Bytes per element that any kernel moves: each input that is used read once, each gradient written once."""
    if not any(i.rate == Rate.CLASS for i in program.inputs):
        return traffic(program, dtype)["elementwise"][0].bytes
    sizes = _sizes(program, dtype)
    used = {name for reads in _once(program) for name in reads}
    stored = {name for n in range(len(program.phases)) for name in _stored(program, n)}
    return sum(sizes[name] for name in used | stored)


def emit_traffic(program: Program, dtype: str) -> str:
    """The same as a table for people, and what each pass of the streaming kernel waits for.

    >>> print(emit_traffic(program, "bfloat16"))  # doctest: +SKIP
    family     phase  ends with         reads  writes  bytes
    resident       1  max over classes  z      -           2
    """
    least = minimum(program, dtype)
    rows = [("family", "phase", "ends with", "reads", "writes", "bytes")]
    for family, passes in traffic(program, dtype).items():
        for done in passes:
            moved = (_times(done.reads), _times(done.writes), str(done.bytes))
            rows.append((family, str(done.phase + 1), done.ends, *moved))
        reads, writes = (sum(len(names) for names in group) for group in zip(*((p.reads, p.writes) for p in passes)))
        total = sum(p.bytes for p in passes)
        ratio = f"{total} = {total / least:.2f} x {least}" if least else str(total)
        rows.append((family, "all", "", str(reads), str(writes), ratio))
    widths = [max(len(row[n]) for row in rows) for n in range(5)]
    per = "element of [rows, classes]" if any(i.rate == Rate.CLASS for i in program.inputs) else "row"
    lines = ["  ".join([*(cell.ljust(width) for cell, width in zip(row, widths)), row[5]]).rstrip() for row in rows]
    head = f"{program.name}, {dtype}: bytes per {per}; the least is {least}"
    return "\n".join([head, *lines, *_reasons(program.walked or program)]) + "\n"


def _reasons(streaming: Program) -> Iterator[str]:
    """Why the row is read once more, for every pass after the first."""
    if not any(i.rate == Rate.CLASS for i in streaming.inputs):
        return
    spelling = Spelling(streaming)
    yield ""
    for wait in waits(streaming):
        shared = ", of shared inputs only" if wait.shared else ""
        yield f"streaming phase {wait.phase + 1}{shared}, for {', '.join(wait.outputs)}"
        if wait.chain:
            yield f"  waits for {' -> '.join(map(spelling.reduction, wait.chain))}"


def _times(names: Iterable[str]) -> str:
    """
    >>> _times(["z", "kept", "kept"]), _times([])
    ('z, 2 kept', '-')
    """
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return ", ".join(name if n == 1 else f"{n} {name}" for name, n in counts.items()) or "-"


def _sizes(program: Program, dtype: str) -> dict[str, int]:
    """Bytes of an element of every array; what the caller has to sum over rows, and scratch, is never in half."""
    wide = max(BYTES[dtype], BYTES["float32"])
    sizes = {i.name: {"bool": 1, "class": 8}.get(i.kind, BYTES[dtype]) for i in program.inputs}
    per_sample = {i.name for i in program.inputs if i.per_sample}
    sizes |= {grad(name): BYTES[dtype] if name in per_sample else wide for name in program.gradients}
    return sizes | {LOSS: wide, KEPT: wide}


def _pass(program: Program, number: int, reads: list[str], writes: list[str], sizes: dict[str, int]) -> Pass:
    moved = sum(sizes[name] for name in [*reads, *writes])
    return Pass(number, program.phases[number].ends, tuple(reads), tuple(writes), moved)


def _stored(program: Program, number: int) -> list[str]:
    return [store.output for store in program.phases[number].stores]


def _once(program: Program) -> list[list[str]]:
    """A resident row is loaded in the phase that has the load."""
    return [list(_row_loads(program, (s.out for s in phase.row), recomputing(program))) for phase in program.phases]


def _streaming(program: Program) -> list[list[str]]:
    plan = recomputing(program)
    return [list(_row_loads(program, plan.needed(phase, n), plan)) for n, phase in enumerate(program.phases)]


def _with_scratch(program: Program, plan: Plan, number: int) -> tuple[list[str], list[str]]:
    needed = plan.needed(program.phases[number], number)
    again = [KEPT for name in needed if plan.reloaded(name, number)]
    first = [KEPT for name in needed if name in plan.scratch and plan.home[name] == number]
    return [*_row_loads(program, needed, plan), *again], [*first, *_stored(program, number)]


def _row_loads(program: Program, names: Iterable[str], plan: Plan) -> Iterator[str]:
    """The inputs [rows, classes] that are read class by class; one that all rows share stays on the chip."""
    for name in names:
        step = plan.step[name]
        if isinstance(step, Load) and _by_row(program.input(step.input)):
            yield step.input


def _by_row(entry: Input) -> bool:
    return entry.per_sample and entry.rate == Rate.CLASS

"""Why a program passes over a row as often as it does: what each pass waits for, and which results it serves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from glo_codegen.plan import recomputing
from glo_codegen.program import CLASSES, Instr, Load, Operand, Program, Reduce

SHORT, LONG = 30, 90
"""The most letters that a reduction inside of another is written with, and any: beyond stands an ellipsis."""


@dataclass(frozen=True, slots=True)
class Wait:
    """One pass over the row.

    Attributes:
        phase: its number in the program.
        chain: the reductions that have to be finished before it, each of which waits for the one before.
        outputs: the results that it is there for.
        shared: whether it reads nothing class by class but what all rows share.
    """

    phase: int
    chain: tuple[str, ...]
    outputs: tuple[str, ...]
    shared: bool


def waits(program: Program) -> list[Wait]:
    """The passes in order; the chain of a pass is the longest there is, as names of values."""
    behind = _Behind(program)
    results = behind.results()
    chains: dict[str, tuple[str, ...]] = {}  # of each reduction, itself at the end
    found = []
    for number, phase in enumerate(program.phases):
        here = {r.out for r in phase.reductions}
        before = {r.out: _longest(chains, behind.nearest([r.arg])) for r in phase.reductions}
        waited = [*before.values(), _longest(chains, behind.nearest(s.value for s in phase.stores))]
        chains |= {name: (*chain, name) for name, chain in before.items()}
        served = here | {s.output for s in phase.stores}
        if served:
            outputs = tuple(name for name, values in results.items() if (values | {name}) & served)
            found.append(Wait(number, max(waited, key=len), outputs, _reads_only_shared(program, number)))
    return found


def _longest(chains: dict[str, tuple[str, ...]], names: set[str]) -> tuple[str, ...]:
    """Of equal ones that which ends last: a sum rather than the maximum that it follows."""
    return max((chain for name, chain in reversed(chains.items()) if name in names), key=len, default=())


def _reads_only_shared(program: Program, number: int) -> bool:
    plan = recomputing(program)
    steps = [plan.step[name] for name in plan.needed(program.phases[number], number)]
    loads = [program.input(step.input) for step in steps if isinstance(step, Load)]
    return bool(loads) and not any(entry.per_sample for entry in loads)


class _Behind:
    """From each value of a program to the reductions that it is computed from."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.args: dict[str, tuple[Operand, ...]] = {}
        for step in program.steps():
            self.args[step.out] = step.args if isinstance(step, Instr) else ()  # what a load reads at is no reduction
        self.reduced = {r.out: r for phase in program.phases for r in phase.reductions}

    def nearest(self, values: Iterable[Operand]) -> set[str]:
        """Those that are used without another in between."""
        return self._found(values, through=False)

    def results(self) -> dict[str, set[str]]:
        """Every result of the program, and all reductions that it is computed from."""
        stores = [(s.output, s.value) for phase in self.program.phases for s in phase.stores]
        return {name: self._found([value], through=True) for name, value in (*self.program.results, *stores)}

    def _found(self, values: Iterable[Operand], through: bool) -> set[str]:
        seen: set[str] = set()
        stack = [v for v in values if isinstance(v, str)]
        while stack:
            name = stack.pop()
            if name in seen:
                continue
            seen.add(name)
            if name not in self.reduced:
                stack.extend(a for a in self.args.get(name, ()) if isinstance(a, str))
            elif through:
                stack.extend(a for a in _used(self.reduced[name]) if isinstance(a, str))
        return seen & self.reduced.keys()


def _used(reduction: Reduce) -> Iterator[Operand]:
    yield reduction.arg
    if reduction.follow is not None:
        yield from (reduction.follow.maximum, reduction.follow.degree)
        if reduction.follow.drifts_with is not None:
            yield reduction.follow.drifts_with


class Spelling:
    """Values of a program as a reader of the loss would write them."""

    def __init__(self, program: Program) -> None:
        self.steps = {step.out: step for step in program.steps()}
        self.reduced = {r.out: r for phase in program.phases for r in phase.reductions}

    def reduction(self, name: str, most: int = LONG) -> str:
        """
        >>> from glo_dsl.passes.pipeline import whole_program
        >>> import glo_dsl as glo
        >>> program = whole_program(glo.zoo["cross_entropy"]).walked
        >>> " -> ".join(Spelling(program).reduction(name) for name in waits(program)[1].chain)
        'sum(exp(z - max(z)))'
        """
        found = self.reduced[name]
        return _shortened(f"{found.op.name}({self._value(found.arg, most)[0]})", most)

    def _value(self, operand: Operand, most: int) -> tuple[str, float]:
        """The text of a value and how tightly it binds; what is beyond `most` letters is not looked at."""
        if isinstance(operand, float):
            return f"{operand:g}", 10
        if operand in self.reduced:
            name = self.reduced[operand].op.name
            inner = self.reduction(operand, SHORT)
            return (inner if "…" not in inner else f"{name}(…)"), 10
        if operand not in self.steps:
            return ("C" if operand == CLASSES else operand.removeprefix("p_")), 10
        step = self.steps[operand]
        if isinstance(step, Load):
            return (f"{step.input}[{self._value(step.at, most)[0]}]" if step.at else step.input), 10
        if most <= 0:
            return "…", 10
        return _spelled(step, [self._value(a, most - len(step.op.call) - 2) for a in step.args])


def _spelled(step: Instr, args: list[tuple[str, float]]) -> tuple[str, float]:
    if step.op.name == "select":
        return f"if {args[0][0]} then {args[1][0]} else {args[2][0]}", 0
    if step.op.notation is None:
        return f"{step.op.call}({', '.join(text for text, _ in args)})", 10
    sign, power = step.op.notation
    if len(args) == 1:
        return f"{sign}{' ' * sign.isalpha()}{_bound(*args[0], power)}", power
    left, right = args
    return f"{_bound(*left, power)} {sign} {_bound(*right, power + 0.5)}", power


def _bound(text: str, binds: float, power: float) -> str:
    return text if binds >= power else f"({text})"


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"

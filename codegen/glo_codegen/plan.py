"""Which values per class a pass over a row computes, and which it finds where an earlier pass left them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from glo_codegen.program import Instr, Load, Operand, Phase, Program, Rate, Step, grad

COSTLY = 8
"""From this cost on, storing and reloading a value beats computing it again."""


@dataclass
class Plan:
    """The number of the pass that computes each value per class, its step, and its scratch row if it has one."""

    home: dict[str, int]
    step: dict[str, Step]
    scratch: dict[str, int]

    def reloaded(self, name: str, number: int) -> bool:
        """Whether pass `number` reads the value from its scratch row."""
        return name in self.scratch and self.home[name] < number

    def needed(self, phase: Phase, number: int, deep: bool = False) -> list[str]:
        """The values that a pass computes or loads, in order; what lies in scratch is not looked behind.

        `deep`: as if every costly value had a scratch row.
        """
        roots = [r.arg for r in phase.reductions] + [s.value for s in phase.stores]
        roots += [name for name in self.scratch if self.home[name] == number]
        found = {
            n for n, s in self.step.items() if self.home[n] < number and (n in self.scratch or (deep and _costly(s)))
        }
        return self.behind(roots, found)

    def behind(self, roots: Iterable[Operand], found: Collection[str] = ()) -> list[str]:
        """The values per class among `roots` and those they are computed from, in order; not what is behind `found`."""
        wanted: set[str] = set()
        stack = [name for name in roots if isinstance(name, str) and name in self.step]
        while stack:
            name = stack.pop()
            if name in wanted:
                continue
            wanted.add(name)
            step = self.step[name]
            if isinstance(step, Instr) and name not in found:
                stack.extend(a for a in step.args if isinstance(a, str) and a in self.step)
        return [name for name in self.step if name in wanted]


def recomputing(program: Program) -> Plan:
    """The plan that keeps nothing: every pass computes what it needs from its loads."""
    home = {step.out: n for n, phase in enumerate(program.phases) for step in phase.row}
    return Plan(home, {step.out: step for phase in program.phases for step in phase.row}, {})


def live_values(program: Program, sums: bool = True) -> int:
    """How many values per class a pass that keeps nothing holds at once, at most: its sums, and what is still used.

    `sums`: lane by lane, as where a row is walked; on chip they are sums of a lane at once.
    """
    plan = recomputing(program)
    passes = [(n, phase) for n, phase in enumerate(program.phases) if phase.passes]
    return max((_live(plan, phase, n) - (not sums) * len(phase.reductions) for n, phase in passes), default=0)


def _live(plan: Plan, phase: Phase, number: int) -> int:
    needed = plan.needed(phase, number)
    last = {name: len(needed) for name in [r.arg for r in phase.reductions] + [s.value for s in phase.stores]}
    for place, name in reversed(list(enumerate(needed))):
        step = plan.step[name]
        for argument in step.args if isinstance(step, Instr) else ():
            last.setdefault(argument, place)
    alive = (
        sum(1 for n in needed[: place + 1] if last.get(n, 0) > place) + _inner(plan.step[name])
        for place, name in enumerate(needed)
    )
    waiting = any(r.follow for r in phase.reductions)  # while its maximum is found a block is held as it was loaded
    return len(phase.reductions) + waiting + max(alive, default=0)


def holds_much(program: Program) -> bool:
    """Whether an operator per class needs many registers for itself."""
    return any(_inner(step) for phase in program.phases for step in phase.row)


def _inner(step: Step) -> int:
    """How many values an operator holds within itself, roughly; found by looking for spills in the zoo's kernels."""
    return (step.op.cost // 14) ** 2 if isinstance(step, Instr) else 0


def plan_of(program: Program) -> Plan:
    """Finds the costly values that are used after the pass that computes them."""
    plan = recomputing(program)
    for n, phase in enumerate(program.phases):
        for name in plan.needed(phase, n, deep=True):
            if plan.home[name] < n and _costly(plan.step[name]):
                plan.scratch.setdefault(name, len(plan.scratch))
    return plan


def _costly(step: Step) -> bool:
    return isinstance(step, Instr) and step.op.cost >= COSTLY


def walked(program: Program, plan: Plan) -> list[int]:
    """The inputs that a pass reads class by class, not only at one class."""
    needed = (plan.step[name] for n, phase in enumerate(program.phases) for name in plan.needed(phase, n))
    names = {step.input for step in needed if isinstance(step, Load)}
    return [n for n, entry in enumerate(program.inputs) if entry.name in names]


def overwritable(program: Program) -> tuple[str, ...]:
    """The inputs per class whose memory may take their gradient: nothing reads them once it may have been stored."""
    rows = [i.name for i in program.inputs if i.rate == Rate.CLASS and i.per_sample and i.name in program.gradients]
    return tuple(n for n in rows if _safe(program, n) and _safe(program.walked or program, n))


def _safe(program: Program, name: str) -> bool:
    """Whether no pass loads an input after the one that stores its gradient, which itself loads each element before it
    stores anything there; and an element at one class, which every thread of a row loads, is loaded in an earlier pass,
    for some threads may be ahead of others."""
    plan = recomputing(program)
    stored = next(n for n, p in enumerate(program.phases) if any(s.output == grad(name) for s in p.stores))
    for n, phase in enumerate(program.phases):
        steps = [*phase.scalars, *(plan.step[v] for v in plan.needed(phase, n))]
        for load in (s for s in steps if isinstance(s, Load) and s.input == name):
            if n > stored or (load.at is not None and n == stored):
                return False
    return True

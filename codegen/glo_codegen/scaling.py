"""A gradient times the scale of its row, with the products moved to where they cost nothing.

`(v3 * v10 - onehot) * scale`, with `v10` per sample, is `v3 * (v10 * scale) - select(at target, scale, 0)`: what is
multiplied is per sample, and a multiplication per class is saved, often with the addition that then is fused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import inf

from glo_codegen.program import POSITION, Instr, Operand, Phase, Program, Rate, Store

SCALE = "scale"
"""Operand: what the gradients of a row are multiplied by."""

PREFIX = "scaled_"
"""Before the name of a value that has been multiplied."""


PLACES = {"add": (0, 1), "sub": (0, 1), "neg": (0,), "div": (0,), "select": (1, 2)}
"""Which arguments are multiplied where a result is; of a product one."""


@dataclass(frozen=True, slots=True)
class Product:
    """A value per sample times the scale."""

    out: str
    value: Operand


@dataclass
class Scaled:
    """A gradient per class, scaled.

    Attributes:
        output: where it is stored.
        value: the gradient, times the scale unless `left`.
        steps: what computes it, after the steps of the pass.
    """

    output: str
    value: Operand
    left: bool = True
    steps: dict[str, Instr] = field(default_factory=dict)


def scaled(program: Program, phase: Phase) -> tuple[list[Product], list[Scaled]]:
    """What a phase stores, multiplied by the scale inside where all of it can go there for nothing; and the products
    per sample that this needs."""
    move = _Move(program)
    stores = [move.store(store) for store in phase.stores]
    return list(move.products.values()), stores


class _Move:
    """Looks for places in a Program where a factor costs nothing, and puts it there."""

    def __init__(self, program: Program) -> None:
        self._steps = {s.out: s for s in program.steps()}
        self._roots = [reduction.arg for phase in program.phases for reduction in phase.reductions]
        self._uses = Counter(arg for step in program.steps() if isinstance(step, Instr) for arg in step.args)
        self._added: dict[str, float] = {}
        self.products: dict[Operand, Product] = {}

    def store(self, store: Store) -> Scaled:
        """The gradient that is stored, scaled inside unless that is dearer than to multiply it as a whole."""
        if not self.per_class(store.value) or self.added(store.value) == inf:
            return Scaled(store.output, store.value)
        steps: dict[str, Instr] = {}
        products = dict(self.products)
        value = self.moved(store.value, steps)
        if self._cost(value, steps) > self._cost(store.value, {}) + 1:
            self.products = products
            return Scaled(store.output, store.value)
        return Scaled(store.output, value, False, steps)

    def _cost(self, value: Operand, more: Mapping[str, Instr]) -> int:
        """Of all that is done per class for a value that is stored, and for reductions, with `more` steps."""
        steps = {**self._steps, **more}
        cost, seen, waiting = 0, set[Operand](), [value, *self._roots]
        while waiting:
            name = waiting.pop()
            step = None if name in seen else steps.get(str(name))
            seen.add(name)
            if isinstance(step, Instr) and step.rate == Rate.CLASS:
                cost += step.op.cost
                waiting.extend(step.args)
        return cost

    def per_class(self, value: Operand) -> bool:
        return value == POSITION or (value in self._steps and self._steps[str(value)].rate == Rate.CLASS)

    def added(self, value: Operand) -> float:
        """What it costs per class to multiply a value within, at most: steps that are asked for more than once may be
        done twice. Infinite where there is no place for it."""
        if not self.per_class(value):
            return 0.0
        name = str(value)
        if name not in self._added:
            step = self._steps.get(name)
            places = self._places(step) if isinstance(step, Instr) else ()
            found = inf
            if isinstance(step, Instr) and places:
                found = sum(self.added(step.args[n]) for n in places) + step.op.cost * (self._uses[name] > 1)
            self._added[name] = found
        return self._added[name]

    def _places(self, step: Instr) -> tuple[int, ...]:
        """The arguments that have to be multiplied for the result to be; none where that does not help."""
        if step.op.name == "mul":
            costs = [self.added(a) for a in step.args]
            uniform = [n for n, a in enumerate(step.args) if not self.per_class(a)]
            return (uniform[0] if uniform else costs.index(min(costs)),)
        return PLACES.get(step.op.name, ())

    def moved(self, value: Operand, into: dict[str, Instr]) -> Operand:
        """The name of a value times the scale; the steps that compute it go `into`."""
        if not self.per_class(value):
            return self._product(value)
        step = self._steps[str(value)]
        assert isinstance(step, Instr)
        out = f"{PREFIX}{step.out}"
        if out not in into:
            places = self._places(step)
            args = tuple([self.moved(a, into) if n in places else a for n, a in enumerate(step.args)])
            into[out] = replace(step, out=out, args=args)
        return out

    def _product(self, value: Operand) -> Operand:
        """A value per sample, or a number, times the scale; 0 stays."""
        if value in (0.0, 1.0):
            return SCALE if value else 0.0
        if value not in self.products:
            name = value if isinstance(value, str) else f"number{len(self.products)}"
            self.products[value] = Product(f"{PREFIX}{name}", value)
        return self.products[value].out

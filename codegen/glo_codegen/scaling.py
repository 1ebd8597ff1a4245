"""A gradient times the scale of its row, with the products moved to where they cost nothing.

`(v3 * v10 - onehot) * scale`, with `v10` per sample, is `v3 * (v10 * scale) - select(at target, scale, 0)`: what is
multiplied is per sample, and a multiplication per class is saved, often with the addition that then is fused.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

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
        self._free: dict[str, bool] = {}
        self.products: dict[Operand, Product] = {}

    def store(self, store: Store) -> Scaled:
        found = Scaled(store.output, store.value)
        if self.per_class(store.value) and self.free(store.value):
            found.value, found.left = self.moved(store.value, found.steps), False
        return found

    def per_class(self, value: Operand) -> bool:
        return value == POSITION or (value in self._steps and self._steps[str(value)].rate == Rate.CLASS)

    def free(self, value: Operand) -> bool:
        """Whether a value can be multiplied with no further operation per class."""
        if not self.per_class(value):
            return True
        name = str(value)
        if name not in self._free:
            step = self._steps.get(name)
            places = self._places(step) if isinstance(step, Instr) else ()
            self._free[name] = bool(places) and all(self.free(step.args[n]) for n in places)  # type: ignore[union-attr]
        return self._free[name]

    def _places(self, step: Instr) -> tuple[int, ...]:
        """The arguments that have to be multiplied for the result to be; none where that does not help."""
        if step.op.name == "mul":
            return next(((n,) for n, a in enumerate(step.args) if not self.per_class(a)),
                        next(((n,) for n, a in enumerate(step.args) if self.free(a)), ()))  # fmt: skip
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

"""Values of the losses that genotypes make of a space, without the losses."""

from __future__ import annotations

from collections.abc import Mapping

from glo_dsl.evolve.space import Space
from glo_dsl.ir.evaluate import Array, evaluate, learn_value
from glo_dsl.ir.expr import Expr, Var, walk

ROOM = 2**25
"""Bytes of values that are kept."""


class Filled:
    """A space at inputs that stay: what genotypes share, which are bred of each other, is computed once.

    A loss has the values that its body has where those of the genotype stand in the hole, bit for bit, if the genotype
    varies over what the hole does: otherwise a loss is written in another way, see `expr.rebuild`.
    """

    def __init__(self, space: Space, inputs: Mapping[Var, Array], classes: int) -> None:
        self.space, self._classes = space, classes
        self._terms: dict[Expr, Array] = dict(zip(space.terms, evaluate(space.hole.args, inputs, classes)))
        self._known = dict(self._terms)
        beside = _beside(space)
        self._beside = dict(zip(beside, evaluate(beside, inputs, classes)))
        rows = max(array.shape[0] for array in inputs.values())
        self._most = ROOM // (8 * rows * classes)

    def values(self, genotype: Expr) -> Array:
        """Those of the loss."""
        if len(self._known) > self._most:
            self._known = dict(self._terms)
        inside = learn_value(genotype, self._known, self._classes)
        return learn_value(self.space.loss.expr, {**self._beside, self.space.hole: inside}, self._classes)


def _beside(space: Space) -> list[Expr]:
    """What the body is computed from besides the hole."""
    through: set[Expr] = {space.hole}
    for node in walk((space.loss.expr,)):
        if not through.isdisjoint(node.args):
            through.add(node)
    return [arg for node in through - {space.hole} for arg in node.args if arg not in through]

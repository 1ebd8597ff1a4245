"""Expressions over letters that are written with others in their place again and again."""

from __future__ import annotations

from collections.abc import Sequence

from glo_dsl.ir.expr import Expr, rebuild, walk


class Template:
    """What `substitute` makes of an expression when its letters are replaced; what to do is found out once."""

    __slots__ = ("_fixed", "_root", "_steps")

    def __init__(self, root: Expr, letters: Sequence[Expr]) -> None:
        places = {letter: n for n, letter in enumerate(letters)}
        varying = set(letters)
        nodes = [node for node in walk((root,)) if node not in places]
        for node in nodes:
            if not varying.isdisjoint(node.args):
                varying.add(node)
        self._fixed = [node for node in nodes if node not in varying]
        for node in (*self._fixed, *(node for node in nodes if node in varying)):
            places[node] = len(places)
        self._steps = [(node, [places[arg] for arg in node.args]) for node in nodes if node in varying]
        self._root = places[root]

    def filled(self, values: Sequence[Expr]) -> Expr:
        """The expression with a value for each letter, in their order."""
        done = [*values, *self._fixed]
        for node, places in self._steps:
            done.append(rebuild(node, tuple([done[place] for place in places])))
        return done[self._root]

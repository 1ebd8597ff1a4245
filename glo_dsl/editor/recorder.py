"""An elaborator that remembers what each tree of the file means."""

from __future__ import annotations

from dataclasses import dataclass, field

from lark import Token

from glo_dsl.ir.expr import Expr
from glo_dsl.lang.elaborate import BROKEN, Elaborator
from glo_dsl.lang.syntax import Node
from glo_dsl.lang.trampoline import Steps
from glo_dsl.lang.unit import Function


@dataclass(frozen=True, slots=True)
class Call:
    """A call, and the function in whose body it stands; None for the body that is being read."""

    caller: Function | None
    tree: Node


@dataclass(frozen=True, slots=True)
class Record:
    """What a tree means, inside a function as in the call that led there first."""

    expr: Expr
    call: Call | None


@dataclass
class Recorder(Elaborator):
    """Keeps, by the identity of a tree, the first meaning it was given."""

    records: dict[int, Record] = field(default_factory=dict)
    _calls: list[Call] = field(default_factory=list)

    def note(self, tree: Node | Token, meaning: Expr) -> None:
        super().note(tree, meaning)
        if meaning is not BROKEN and self._here is self.unit:
            self.records.setdefault(id(tree), Record(meaning, self._calls[-1] if self._calls else None))

    def _expand(self, called: Function, args: list[Expr], settings: dict[Token, Expr], tree: Node) -> Steps[Expr]:
        self._calls.append(Call(self._expanding[-1] if self._expanding else None, tree))
        expanded: Expr = yield super()._expand(called, args, settings, tree)
        self._calls.pop()
        return expanded

"""What a `loss` definition means: data, checked and ready for every later pass."""

from __future__ import annotations

from dataclasses import dataclass

from glo_dsl.errors import Source, Span
from glo_dsl.ir.expr import Expr, Hole, Var, holes
from glo_dsl.ir.types import Type


@dataclass(frozen=True, slots=True)
class Param:
    """A scalar that the kernel takes at run time; `var.domain` bounds it."""

    var: Var
    default: float

    @property
    def name(self) -> str:
        return self.var.name


@dataclass(frozen=True, slots=True)
class Loss:
    """A loss for one sample.

    Attributes:
        name: as written after `loss`.
        inputs: what varies over the batch, in the order of the call.
        params: scalars with their defaults.
        expr: the value, one real number per sample.
        text: the definition as written, with the comment block above it.
        doc: that comment block without its `#`.
    """

    name: str
    inputs: tuple[Var, ...]
    params: tuple[Param, ...]
    expr: Expr
    text: str
    doc: str
    source: Source
    span: Span

    @property
    def holes(self) -> tuple[Hole, ...]:
        """What search has to fill; a loss with holes cannot be compiled."""
        return tuple(holes((self.expr,)))

    @property
    def defaults(self) -> dict[str, float]:
        return {param.name: param.default for param in self.params}

    def input_type(self, name: str) -> Type:
        return next(v.type for v in self.inputs if v.name == name)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        inputs = ", ".join(f"{v.name}: {v.type}" for v in self.inputs)
        params = "".join(f", {p.name}={p.default:g}" for p in self.params)
        return f"<loss {self.name}({inputs}{params})>"

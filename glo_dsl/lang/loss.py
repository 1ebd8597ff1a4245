"""What a `loss` definition means: data, checked and ready for every later pass."""

from __future__ import annotations

from collections.abc import Mapping
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
class Law:
    """What is claimed of a loss for all values of some variables.

    Attributes:
        name: of the loss and of the law, such as `huber.symmetric`.
        variables: what it quantifies over: those inputs and parameters of the loss, and names after `for`, that occur.
        expr: the condition, losses put in place; its comparisons are meant up to rounding.
        text: as written.
        doc: the comment block above it, without its `#`.
    """

    name: str
    variables: tuple[Var, ...]
    expr: Expr
    text: str
    doc: str
    source: Source
    span: Span


Literal = float | tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Example:
    """A value that a loss is claimed to have.

    Attributes:
        inputs: by name: a number, or one number per class for a row; indices and truth values as numbers.
        params: those that are not at their defaults.
        expected, tolerance: the value of this one sample, and how far from it is still right.
        text: as written.
    """

    loss: str
    inputs: Mapping[str, Literal]
    params: Mapping[str, float]
    expected: float
    tolerance: float
    text: str
    source: Source
    span: Span


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
        per: what one sample adds to the denominator of the mean; None for 1.
        laws, examples: what the file claims of it.
    """

    name: str
    inputs: tuple[Var, ...]
    params: tuple[Param, ...]
    expr: Expr
    text: str
    doc: str
    source: Source
    span: Span
    per: Expr | None = None
    laws: tuple[Law, ...] = ()
    examples: tuple[Example, ...] = ()

    @property
    def holes(self) -> tuple[Hole, ...]:
        """What search has to fill; a loss with holes cannot be compiled."""
        return tuple(holes((self.expr,)))

    @property
    def whole_text(self) -> str:
        """The file, where the loss is alone in it, for it may call definitions there; else its own text."""
        file = self.source.text
        return file.strip() if file.count("\nloss ") + file.startswith("loss ") == 1 else self.text

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

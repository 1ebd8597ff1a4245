"""Program: the contract between the compiler, which builds it, and the targets, which print it.

A Program computes, for every row of a batch, a loss and gradients, in *phases*. A phase is one pass over the classes
of a row: per-sample code first, then code per class, whose results are reduced to per-sample values for later phases
or stored. A loss without a class axis has a single phase with per-sample code only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Spelled(Protocol):
    """What a printer needs to know of an operator; a row of the operator table is one."""

    @property
    def name(self) -> str: ...
    @property
    def triton(self) -> str: ...
    @property
    def c(self) -> str: ...
    @property
    def torch(self) -> str: ...
    @property
    def arrays(self) -> str: ...
    @property
    def sympy(self) -> str: ...
    @property
    def shape(self) -> str: ...
    @property
    def cost(self) -> int: ...
    @property
    def call(self) -> str: ...
    @property
    def notation(self) -> tuple[str, int] | None: ...


class Rate(StrEnum):
    """How often a value changes."""

    UNIFORM = "uniform"
    SAMPLE = "sample"
    CLASS = "class"


CLASSES = "classes"
"""Operand: the number of classes, as a number."""

POSITION = "position"
"""Operand: the index of the class that is being computed."""

LOSS = "loss"
"""Output: one value per sample."""

CONDITIONS = {"and": (0, 1), "or": (0, 1), "not": (0,), "select": (0,)}
"""Which arguments of an operator are conditions."""

Operand = float | str
"""A literal, or the name of a value: `v0 v1 …`, `p_NAME` for a parameter, `classes`, `position`."""


@dataclass(frozen=True, slots=True)
class Input:
    """What varies over the batch (or, at class rate without `per_sample`, is shared by it)."""

    name: str
    kind: str
    rate: Rate
    per_sample: bool = True


@dataclass(frozen=True, slots=True)
class Load:
    """Reads an input; a row input is read at the current class, or at class `at`."""

    out: str
    input: str
    kind: str
    rate: Rate
    at: str | None = None


@dataclass(frozen=True, slots=True)
class Instr:
    """`out = op(args)`; `kind` is that of the value."""

    out: str
    op: Spelled
    args: tuple[Operand, ...]
    kind: str
    rate: Rate


@dataclass(frozen=True, slots=True)
class Follow:
    """How a sum depends on a maximum of its own pass: where that grows by d, the sum shrinks by exp(-degree * d).

    One of infinite degree, which may follow a minimum too, starts again from 0. One that drifts first loses d times the
    sum `drifts_with`, as far as that has come.
    """

    maximum: str
    degree: Operand
    drifts_with: str | None = None

    @property
    def restarts(self) -> bool:
        return self.degree == math.inf


@dataclass(frozen=True, slots=True)
class Reduce:
    """`out = op over classes of arg`, which may contain a maximum that is found in the same pass."""

    out: str
    op: Spelled
    arg: Operand
    follow: Follow | None = None


@dataclass(frozen=True, slots=True)
class Store:
    """Writes `value` for every class of the row to the output of that name."""

    output: str
    value: Operand


Step = Load | Instr


@dataclass(frozen=True, slots=True)
class Phase:
    """One pass over a row; `scalars` run before it, once per sample."""

    scalars: tuple[Step, ...]
    row: tuple[Step, ...]
    reductions: tuple[Reduce, ...]
    stores: tuple[Store, ...]

    @property
    def passes(self) -> bool:
        """Whether the row has to be walked at all: code per class serves what is reduced or stored."""
        return bool(self.reductions or self.stores)

    @property
    def ends(self) -> str:
        """What it is for, in words."""
        ends = [f"{r.op.name} over classes" for r in self.reductions] + [s.output for s in self.stores]
        return ", ".join(dict.fromkeys(ends)) or "per sample"


@dataclass(frozen=True, slots=True)
class Program:
    """A loss with gradients, ready to print.

    Attributes:
        name: of the loss; an identifier.
        text: the `.glo` definition it came from, for headers.
        uniform: code that depends on parameters and the class count only.
        results: per-sample outputs: the loss, gradients of per-sample inputs, gradients of parameters.
        gradients: names of the inputs and parameters that have a gradient here.
        walked: the same for a target that reads a row once in every pass rather than once: in fewer passes, with sums
            that follow a maximum. None where there are none to save.
    """

    name: str
    text: str
    inputs: tuple[Input, ...]
    params: tuple[str, ...]
    uniform: tuple[Instr, ...]
    phases: tuple[Phase, ...]
    results: tuple[tuple[str, Operand], ...]
    gradients: tuple[str, ...]
    walked: Program | None = None

    @property
    def by_rows(self) -> bool:
        """Whether there is a class axis."""
        return any(i.rate == Rate.CLASS or i.kind == "class" for i in self.inputs) or any(p.passes for p in self.phases)

    @property
    def class_inputs(self) -> tuple[Input, ...]:
        return tuple(i for i in self.inputs if i.kind == "class")

    def input(self, name: str) -> Input:
        return next(i for i in self.inputs if i.name == name)

    def steps(self) -> Iterator[Step]:
        """All code, in order."""
        yield from self.uniform
        for phase in self.phases:
            yield from phase.scalars
            yield from phase.row


def grad(name: str) -> str:
    """The output that holds the gradient of an input or parameter."""
    return f"grad_{name}"


def parameter(name: str) -> str:
    """The operand that holds a parameter; the prefix keeps a user's name away from our own."""
    return f"p_{name}"

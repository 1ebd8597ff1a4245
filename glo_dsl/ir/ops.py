"""What a row of the operator table says, and how rows are found; the rows themselves are in `table`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from glo_dsl.errors import GloError
from glo_dsl.ir.types import ANY, CLASS, Interval, Type, make_type

Range = Callable[..., Interval]

UNKNOWN = "unknown"
"""In the column `vjp`: there is a derivative, but the table cannot say it. Differentiating is an error."""


def anything(*_: Interval) -> Interval:
    """The range of an operator about which nothing better is said."""
    return ANY


@dataclass(frozen=True, slots=True, eq=False)
class Op:
    """One operator: everything that any part of the system knows about it.

    Derivatives and definitions are `.glo` text, so that a mathematician can review them. In scope are the
    arguments `a b c`, the value `out`, the incoming adjoint `g`, the class count `C` and, in definitions,
    `position` (the index of the class that is being computed).

    Attributes:
        name: unique; also the alias in the grammar for operators with a notation of their own.
        kinds: kinds of the arguments, then of the result.
        vjp: one text per argument; "" where no derivative exists (conditions, class indices), UNKNOWN where the table
            has no operator to say it with.
        triton, c, torch: spelling with {0} {1} {2} for the arguments; "" where `define` replaces the operator.
        arrays: likewise in jax.numpy and NumPy, for exports: {np} is the module, `special` its SciPy functions.
        sympy: likewise in SymPy; what is over classes is given as a list.
        numpy: the reference meaning on float64 arrays, class axis last; None where `define` gives it.
        shape: how the axes of the result follow from those of the arguments, see `Op.result`.
        define: the operator in terms of others; the kernel targets see only this.
        twins: the operator in terms of `a` and `e`, which is exp(-|a|): what it shares with the same of `-a`.
        unvaried: for a reduction or a row, its value when the argument does not vary over classes.
        word: how it is called in `.glo`; several rows may share a word and differ in arity.
        notation: infix or prefix sign and binding power, for operators that have one.
        latex: template and binding power in mathematical writing, see `lang.latex`. {a} {b} {c} stand for arguments,
            {a:6} puts one in parentheses if it binds less, {i} is the index of the class that is bound here. After
            " or " stands how it is written when an argument is tall. No template: a call by its word in upright type.
        domain: condition on the arguments outside of which value or derivatives are not finite numbers.
        needs: what an author is warned of, see `lang.domains`: conditions that must all hold for the value to be a
            finite number in float32, each with alternatives after "or"; `domain` where nothing else is said.
        range: interval of the value from the intervals of the arguments.
        smooth: "smooth", "kink" (continuous) or "jump".
        commutes: whether swapping the two arguments changes nothing.
        cost: rough cycles per value; a costly value is kept rather than computed twice.
        weight: how often evolution proposes it.
        samples: for each argument the interval that tests draw from.
        about: one line for the manual.
    """

    name: str
    kinds: tuple[str, ...]
    vjp: tuple[str, ...]
    triton: str
    c: str
    torch: str
    numpy: Callable[..., Any] | None
    shape: str = "elementwise"
    define: str = ""
    twins: str = ""
    arrays: str = ""
    sympy: str = ""
    unvaried: str = ""
    word: str = ""
    notation: tuple[str, int] | None = None
    latex: tuple[str, int] = ("", 10)
    domain: str = ""
    needs: str = ""
    range: Range = anything
    smooth: str = "smooth"
    commutes: bool = False
    cost: int = 1
    weight: float = 0.0
    samples: tuple[tuple[float, float], ...] = ()
    about: str = ""

    @property
    def arity(self) -> int:
        return len(self.kinds) - 1

    @property
    def call(self) -> str:
        """The word that calls this operator in a `.glo` text."""
        return self.word or self.name

    @property
    def elementwise(self) -> bool:
        return self.shape == "elementwise"

    @property
    def reduces(self) -> bool:
        return self.shape == "reduce"

    def draws(self) -> tuple[tuple[float, float], ...]:
        """For each argument the interval in which tests draw it."""
        return self.samples or ((-3.0, 3.0),) * self.arity

    def result(self, args: tuple[Type, ...]) -> Type:
        """Type of the value.

        Elementwise operators vary over whatever an argument varies over; `reduce` removes the class axis,
        `row` needs and keeps it, `onehot` adds it, `gather` takes one entry of it.

        Raises:
            GloError: arity, kind or axes do not fit.
        """
        if len(args) != self.arity:
            message = f"{self.call} takes {count(self.arity, 'argument')}, got {len(args)}"
            raise GloError(message, code="argument-count")
        for place, (want, got) in enumerate(zip(self.kinds, args, strict=False)):
            if want != got.kind and want != "any":
                message = f"{self._place(place)} must be {_noun(want)}, got {got}"
                raise GloError(message, hint=_hint(want, got), code=f"{want}-expected")
        axes = frozenset[str]().union(*(a.axes for a in args))
        if self.name in ("eq", "ne") and args[0].kind != args[1].kind:
            raise GloError(f"cannot compare {args[0]} with {args[1]}", code="comparison")
        if self.shape in ("reduce", "row", "gather") and not args[0].per_class:
            message = f"{self._place(0)} must have a class axis, got {args[0]}"
            hint = "it works over the classes of a real[C] value; the mean over the batch is the caller's"
            raise GloError(message, hint=hint, code="row-expected")
        if self.shape == "gather" and args[1].per_class:
            raise GloError(f"the index must be one class per sample, got {args[1]}", code="class-expected")
        if self.shape in ("reduce", "gather"):
            axes -= {CLASS}
        elif self.shape == "onehot":
            axes |= {CLASS}
        return make_type(args[0].kind if self.shape == "gather" else self.kinds[-1], axes)

    def _place(self, place: int) -> str:
        if self.shape == "gather":
            return "the index in [ ]" if place else "what stands before [ ]"
        if self.notation or self.arity == 1:
            return f"the argument of {self.call}" if self.arity == 1 else f"operand {place + 1} of {self.call}"
        return f"argument {place + 1} of {self.call}"


def count(number: int, noun: str) -> str:
    """`count(2, "argument")` is `2 arguments`."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _noun(kind: str) -> str:
    return {"real": "a real number", "bool": "a condition", "class": "a class index"}[kind]


def _hint(want: str, got: Type) -> str | None:
    if want == "real" and got.kind == "class":
        return "onehot(t) turns a class index into a row of 0 and 1; z[t] is the entry of class t"
    if want == "class":
        return "an index is an input of type class[C], for example t: class[C]"
    if want == "real" and got.kind == "bool":
        return "write: if condition then 1 else 0"
    if want == "bool" and got.kind == "real":
        return "compare it, for example with > 0"
    return None

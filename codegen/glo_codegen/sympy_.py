"""Program to a function that builds a SymPy expression: one sample, a given number of classes, symbols for numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from glo_codegen.program import CLASSES, POSITION, Input, Load, Operand, Program, Rate, Reduce, Spelled, Step, parameter
from glo_codegen.python_names import python_names
from glo_codegen.terms import WIDTH, args_of, bare, code, fill, result_of, uses
from glo_codegen.text import Lines

TAKEN = ("C", "DEFAULTS", "a", "b", "classes", "i", "stop", "sympy")
"""Names that the text has for itself."""

STOP = '''class stop(sympy.Function):
    """A value without its derivative."""

    @classmethod
    def eval(cls, value):
        return value if value.is_number else None

    def fdiff(self, argindex=1):
        return sympy.Integer(0)
'''

EXACT = 6
"""Digits up to which a decimal number is meant exactly."""


@dataclass(frozen=True, slots=True)
class Formula:
    """What becomes of a loss.

    Attributes:
        program: its value as it is written, without gradients.
        defaults: of the parameters, in the order of the program's.
        assumptions: for each real input and parameter what SymPy is told of it, as keyword arguments.
        divisor: what a row adds to the divisor of the mean, likewise a program; None: 1.
    """

    program: Program
    defaults: Mapping[str, float]
    assumptions: Mapping[str, str]
    divisor: Program | None = None


def emit_sympy(formula: Formula) -> str:
    """The function `NAME(classes, inputs, parameters)`, and `NAME_divisor` if the mean has a divisor of its own."""
    program = formula.program
    name, names = function_name(program), sympy_names(program)
    parts = [_function(program, formula, name, "The loss of one sample")]
    if formula.divisor is not None:
        what = "What one sample adds to the divisor of the mean"
        parts.append(_function(formula.divisor, formula, f"{name}_divisor", what))
    body = "\n\n".join(parts)
    defaults = ", ".join(f'"{names[k]}": {bare(exact(v))}' for k, v in formula.defaults.items())
    stop = f"\n\n{STOP}" if "stop(" in body else ""
    return f"import sympy\n\nDEFAULTS = {{{defaults}}}\n{stop}\n\n{body}"


def exact(value: float) -> str:
    """A number for SymPy: a short decimal is meant exactly.

    >>> exact(2.0), exact(-0.25), exact(0.1), exact(2.718281828459045)
    ('2', '(-sympy.Rational("0.25"))', 'sympy.Rational("0.1")', 'sympy.Float("2.718281828459045")')
    """
    text = _exact(value)
    return f"({text})" if text.startswith("-") else text


def _exact(value: float) -> str:
    if math.isnan(value):
        return "sympy.nan"
    if value < 0:
        return f"-{_exact(-value)}"
    if math.isinf(value):
        return "sympy.oo"
    if value == math.pi:
        return "sympy.pi"
    if value == int(value) and value < 1e15:
        return str(int(value))
    short = len(Decimal(repr(value)).normalize().as_tuple().digits) <= EXACT
    return f'sympy.{"Rational" if short else "Float"}("{value!r}")'


def _object(value: float) -> str:
    """Likewise, an object of SymPy's in any case: of two of Python's own the quotient would be rounded."""
    text = _exact(value)
    return text if "sympy." in text else f"sympy.Integer({text})"


def sympy_names(program: Program) -> dict[str, str]:
    """What inputs and parameters are called in the text."""
    name = function_name(program)
    return python_names([*(i.name for i in program.inputs), *program.params], {*TAKEN, name, f"{name}_divisor"})


def function_name(program: Program) -> str:
    return python_names([program.name], TAKEN)[program.name]


def _function(program: Program, formula: Formula, name: str, what: str) -> str:
    lines, names = Lines(), sympy_names(formula.program)
    inputs = formula.program.inputs
    given = [f"{names[i.name]}={'0' if i.kind == 'class' else 'None'}" for i in inputs]
    params = ["*", *(f"{names[p]}=None" for p in formula.defaults)] if formula.defaults else []
    counted = ["classes"] if formula.program.by_rows else []
    body = _Body(program, names)
    with lines.block(f"def {name}({', '.join([*counted, *given, *params])}):"):
        lines.add(f'"""{what}, as an expression of SymPy.', "")
        lines.add(*_about(inputs, names, counted))
        lines.add("What is not given is a symbol." + " DEFAULTS are the usual values of parameters." * bool(params))
        lines.add('"""')
        computed = [*body.steps(), f"return sympy.sympify({bare(body.result())})"]
        if any(re.search(r"\bC\b", line) for line in computed):
            lines.add("C = sympy.Integer(classes)")
        others = [*(i.name for i in inputs), *formula.defaults]
        lines.add(*(_read(i, names[i.name], others, formula.assumptions.get(i.name, ", integer=True")) for i in inputs
                    if i.kind != "class"))  # fmt: skip
        for p in formula.defaults:
            lines.add(_read(Input(p, "real", Rate.UNIFORM), names[p], others, formula.assumptions[p]))
        lines.add(*computed)
    return lines.text()


def _about(inputs: tuple[Input, ...], names: Mapping[str, str], counted: list[str]) -> Iterator[str]:
    if counted:
        yield "classes: how many there are"
    for i in inputs:
        kinds = {"real": "a number", "bool": "a condition; its symbol is 0 or 1", "class": "an index, 0 to classes - 1"}
        yield f"{names[i.name]}: {'a list, for each class ' * (i.rate == Rate.CLASS)}{kinds[i.kind]}"


def _read(entry: Input, name: str, others: list[str], assumption: str) -> str:
    """The line that makes symbols of what is not given; of a condition one that is 0 or 1.

    SymPy 1.14 takes a plain symbol in a condition for true where it puts one `Piecewise` into another.
    """
    row = entry.rate == Rate.CLASS
    word = f'f"{stem(entry.name, others)}{{i}}"' if row else f'"{entry.name}"'
    symbol = f"sympy.Symbol({word}{assumption})"
    symbol = f"sympy.Ne({symbol}, 0)" if entry.kind == "bool" else symbol
    if not row:
        return f"{name} = {symbol} if {name} is None else sympy.sympify({name})"
    return f"{name} = [{symbol} for i in range(classes)] if {name} is None else [sympy.sympify(a) for a in {name}]"


def stem(name: str, others: Iterable[str]) -> str:
    """What the symbols of a row begin with; a number follows, and no other name is like that."""
    while name[-1].isdigit() or any(re.fullmatch(rf"{name}\d+", other) for other in others):
        name += "_"
    return name


class _Body:
    """The lines of a function; what is per class is a list, or its entry at `i`."""

    def __init__(self, program: Program, names: Mapping[str, str]) -> None:
        self.program, self.names, self.named = program, names, 0
        self.texts: dict[Operand, str] = {CLASSES: "C", POSITION: "i"}
        self.texts |= {parameter(name): names[name] for name in program.params}
        self.rows: dict[Operand, str] = {}
        self.rates: dict[Operand, Rate] = {}
        self.uses = uses(program, _spelling)

    def result(self) -> str:
        return self._entry(result_of(self.program))

    def steps(self) -> Iterator[str]:
        for step in code(self.program):
            self.rates[step.out] = rate = Rate.SAMPLE if isinstance(step, Reduce) else step.rate
            if isinstance(step, Load) and step.at is None:
                name = self.names[step.input]
                self.rows[step.out], self.texts[step.out] = name, f"{name}[i]" if rate == Rate.CLASS else name
                continue
            text, over_rows = self._text(step)
            if not over_rows and self.uses.get(step.out, 0) <= 1 and len(text) <= WIDTH:
                self.texts[step.out] = text
                continue
            name = f"v{self.named}"
            self.named += 1
            row = rate == Rate.CLASS
            self.rows[step.out], self.texts[step.out] = name, f"{name}[i]" if row else name
            yield (
                f"{name} = [{bare(text)} for i in range(classes)]"
                if row and not over_rows
                else f"{name} = {bare(text)}"
            )

    def _text(self, step: Step | Reduce) -> tuple[str, bool]:
        """What a step is written as, and whether that works on a whole row."""
        if isinstance(step, Load):
            assert step.at is not None
            return f"{self.names[step.input]}[{bare(self.texts[step.at])}]", False
        args = args_of(step)
        if isinstance(step, Reduce) or step.op.shape != "elementwise":
            texts = [self._row(args[0]), *map(self._entry, args[1:])]
            return fill(_spelling(step.op), texts, {}), isinstance(step, Reduce) or step.op.shape == "row"
        if all(isinstance(a, float) for a in args):
            return fill(_spelling(step.op), [_object(a) for a in args if isinstance(a, float)], {}), False
        return fill(_spelling(step.op), [self._entry(a) for a in args], {}), False

    def _entry(self, operand: Operand) -> str:
        return exact(operand) if isinstance(operand, float) else self.texts[operand]

    def _row(self, operand: Operand) -> str:
        if operand in self.rows:
            return self.rows[operand]
        return f"[{bare(self._entry(operand))} for i in range(classes)]"


def _spelling(op: Spelled) -> str:
    return op.sympy

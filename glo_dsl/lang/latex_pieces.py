r"""Parts of a LaTeX text and how they are put together by the templates of the operator table."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from glo_dsl.ir.expr import Const
from glo_dsl.ir.ops import Op
from glo_dsl.ir.table import OPS
from glo_dsl.lang.latex_names import escaped, number_text

LOOSEST, SUM, PRODUCT, ATOM = 0, 5, 6, 10

PLACEHOLDER = re.compile(r"\{([abci])(?::(\d+))?\}")
CASES, OTHERWISE, END = r"\begin{cases} ", r" & \text{otherwise}", r" \end{cases}"
TALL = (r"\frac", r"\sum", r"\max_", r"\min_", CASES)
DOT = r" \cdot "
NEAR = 100
"""Characters before a factor that say how it is joined; texts are long."""

LONG_NAME = re.compile(r"\\math(it|tt)\{[^{}]*\}(_\{[^{}]*\})?$|^\\math(it|tt)")
LIKE_A_FUNCTION = re.compile(r"(^|[^\\{])([A-Za-z']|\\[a-z]+\{[^{}]*\}|\\[A-Za-z]+)(_\{[^{}]*\})?$|\)_\{[^{}]*\}$")
"""The end of what would be taken for the name of a function if a parenthesis followed."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the text.

    Attributes:
        power: how tightly it binds, as in the table.
        tall: whether it is higher than a line, so that parentheses around it grow.
        open: whether it ends with an operator that would take a factor on its right as its own.
        negated: where it is a minus and a product, the product.
    """

    text: str
    power: int = ATOM
    tall: bool = False
    open: bool = False
    negated: Piece | None = None

    def at_least(self, power: int) -> Piece:
        """Itself, in parentheses if it binds less."""
        return self if self.power >= power else self.enclosed()

    def enclosed(self) -> Piece:
        return Piece(rf"\left({self.text}\right)" if self.tall else f"({self.text})", tall=self.tall)

    def minus(self) -> Piece:
        if self.negated is not None:
            return self.negated
        product = self.at_least(PRODUCT)
        return Piece(f"-{product.text}", SUM, product.tall, product.open, product)


def constant(node: Const) -> Piece:
    if node.type.kind == "bool":
        return Piece(r"\mathrm{true}" if node.value else r"\mathrm{false}")
    if node.value != node.value:
        return Piece(r"\mathrm{NaN}")
    text, product = number_text(abs(node.value))
    if str(node.value).startswith("-"):
        return Piece(text, PRODUCT if product else ATOM).minus()
    return Piece(text, PRODUCT if product else ATOM)


def called(name: str, args: Sequence[Piece]) -> Piece:
    """A function by its name, already in LaTeX, over arguments."""
    inside = Piece(", ".join(arg.text for arg in args), tall=any(arg.tall for arg in args))
    return replace(inside, text=name + inside.enclosed().text)


def written(op: Op, args: Sequence[Piece], words: Mapping[str, str]) -> Piece:
    """An operator as its row of the table says; `words` says what else the letters of the template stand for."""
    template, power = op.latex
    if not template:
        return called(rf"\operatorname{{{escaped(op.call)}}}", args)
    plain, _, otherwise = template.partition(" or ")
    return filled(otherwise if otherwise and any(arg.tall for arg in args) else plain, power, args, words)


def choice(op: Op, args: Sequence[Piece]) -> Piece:
    """A choice; one in its last branch adds its own lines."""
    last = args[2].text
    last = last[len(CASES) : -len(END)] if last.startswith(CASES) and args[2].power == LOOSEST else last + OTHERWISE
    return filled(*op.latex, [*args[:2], replace(args[2], text=last)], {})


def _sum(op: Op, args: Sequence[Piece]) -> Piece:
    """`a + -b` is `a - b`, and `a - -b` is `a + b`."""
    other = {"add": "sub", "sub": "add"}[op.name]
    negated = args[1].negated
    return filled(*op.latex, args, {}) if negated is None else filled(*OPS[other].latex, [args[0], negated], {})


def _product(op: Op, args: Sequence[Piece]) -> Piece:
    """The minus of a factor stands before the product, a number first, and a sum over classes last."""
    factors = [arg.negated or arg for arg in args]
    if op.name == "mul" and not factors[1].open:
        first, second = (factor.text[0].isdigit() for factor in factors)
        if factors[0].open or (second and not first):
            factors.reverse()
    found = filled(*op.latex, factors, {})
    return found if sum(arg.negated is not None for arg in args) != 1 else found.minus()


WITH_SIGNS: dict[str, Callable[[Op, Sequence[Piece]], Piece]] = {
    "add": _sum, "sub": _sum, "mul": _product, "div": _product, "neg": lambda op, args: args[0].minus(),
}  # fmt: skip
"""Operators where the sign of an argument moves into the sign of the whole; no rounding tells the difference."""


def filled(template: str, power: int, args: Sequence[Piece], words: Mapping[str, str]) -> Piece:
    """A template with arguments put in."""
    literals, places = _split(template, any(arg.tall for arg in args))
    text, opened = literals[0], False
    for (letter, need), literal in zip(places, literals[1:], strict=True):
        if letter in words:
            text += words[letter] + literal
            continue
        arg, last = args["abc".index(letter)], not literal
        ambiguous = arg.open and need >= PRODUCT and not last
        arg = arg.enclosed() if ambiguous else arg.at_least(need)
        text, opened = _joined(text, arg.text) + literal, last and arg.open
    tall = any(arg.tall for arg in args) or any(mark in template for mark in TALL)
    return Piece(text, power, tall, opened or "i" in words)


def _split(template: str, tall: bool) -> tuple[list[str], list[tuple[str, int]]]:
    """The literal parts of a template and, between them, its placeholders with the power that they need."""
    literals, end, places = [], 0, []
    for match in PLACEHOLDER.finditer(template):
        literals.append(template[end : match.start()])
        places.append((match[1], int(match[2] or LOOSEST)))
        end = match.end()
    literals.append(template[end:])
    if tall:
        literals = [literal.replace("(", r"\left(").replace(")", r"\right)") for literal in literals]
    return literals, places


def _joined(before: str, text: str) -> str:
    """Text after what stands before it: plus a minus is a minus, and factors stand side by side where that is clear."""
    if before.endswith("+ ") and text.startswith("-"):
        return f"{before[:-2]}- {text[1:]}"
    if before.endswith(DOT):
        return before[: -len(DOT)] + _between(before[-NEAR : -len(DOT)], text) + text
    return before + text


def _between(left: str, right: str) -> str:
    """What stands between two factors: a dot before numbers, and where a name might be taken for a function."""
    if right[0].isdigit() or (left[-1].isdigit() and right.startswith(r"\frac")):
        return DOT
    if right.startswith(("(", r"\left(")) and LIKE_A_FUNCTION.search(left):
        return DOT
    spelled_out = LONG_NAME.search(left) or LONG_NAME.match(right)
    return r" \, " if spelled_out else " "

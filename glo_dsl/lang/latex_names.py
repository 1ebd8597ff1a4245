"""Names and numbers of `.glo` texts in LaTeX: `gamma` is a Greek letter, `th0` and `class_weight` have subscripts."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import count

GREEK = {
    **{name: name for name in (
        "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu",
        "xi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega", "Gamma", "Delta", "Theta", "Lambda", "Xi",
        "Pi", "Sigma", "Upsilon", "Phi", "Psi", "Omega",
    )},
    "eps": "epsilon", "lam": "lambda", "th": "theta",
}  # fmt: skip

INDICES = "ckjilmn"
"""Letters for the class index, by preference."""


@dataclass(frozen=True, slots=True)
class Name:
    """A name: what it is written with, and its own subscript.

    >>> Name(r"\\theta", ("0",)).at("c")
    '\\\\theta_{0, c}'
    """

    stem: str
    subscripts: tuple[str, ...] = ()

    def at(self, index: str | None = None) -> str:
        """The name, or its entry at a class index."""
        parts = self.subscripts if index is None else (*self.subscripts, index)
        return f"{self.stem}_{{{', '.join(parts)}}}" if parts else self.stem


class Names:
    """Names of variables, one to one, and of what the printer has to name itself.

    >>> names = Names(["gamma", "x1", "x_1", "class_weight"])
    >>> [names[name].at() for name in ("gamma", "x1", "x_1", "class_weight")]
    ['\\\\gamma', 'x_{1}', '\\\\mathtt{x\\\\_1}', '\\\\mathit{class}_{\\\\mathrm{weight}}']
    """

    def __init__(self, variables: Iterable[str]) -> None:
        self._names: dict[str, Name] = {}
        self._taken: set[Name] = {Name("C")}
        wanted = {variable: _pretty(variable) for variable in variables}
        symbols = set(wanted.values())
        for variable, name in wanted.items():
            if name is None or name in self._taken or (name.subscripts and Name(name.subscripts[-1]) in symbols):
                name = Name(literal(variable))  # z_t would be taken for the entry of z at t
            self._names[variable] = name
            self._taken.add(name)

    def __getitem__(self, variable: str) -> Name:
        return Name("C") if variable == "C" else self._names[variable]

    def indices(self) -> Iterator[str]:
        """Class indices that are no variable's name, without end."""
        used = {name.stem for name in self._taken} | {part for name in self._taken for part in name.subscripts}
        free = [letter for letter in INDICES if letter not in used] or ["c'"]
        yield from free
        yield from (Name(free[0], (str(n),)).at() for n in count(1))

    def parts(self) -> Iterator[Name]:
        """Names for parts of an expression, without end."""
        stem = next(letter for letter in ("s", "u", "v", "S") if all(name.stem != letter for name in self._taken))
        return (Name(stem, (str(n),)) for n in count(1))


def literal(name: str) -> str:
    """The name letter by letter, as it is typed."""
    return rf"\mathtt{{{escaped(name)}}}"


def escaped(name: str) -> str:
    return name.replace("_", r"\_")


def _pretty(name: str) -> Name | None:
    """The name as a symbol with subscripts, where it is built like one."""
    head, *others = name.split("_")
    found = re.fullmatch(r"([A-Za-z]+)(\d*)", head)
    if found is None or not all(others):
        return None
    word, digits = found.groups()
    return Name(_symbol(word), (*([digits] if digits else []), *map(_subscript, others)))


def _symbol(word: str) -> str:
    if word in GREEK:
        return "\\" + GREEK[word]
    return word if len(word) == 1 and word != "e" else rf"\mathit{{{word}}}"  # e is Euler's number


def _subscript(part: str) -> str:
    if part in GREEK:
        return "\\" + GREEK[part]
    return part if part.isdigit() or len(part) == 1 else rf"\mathrm{{{part}}}"


def number_text(value: float) -> tuple[str, bool]:
    r"""A finite number or infinity that is not negative, and whether it is a product with a power of ten.

    >>> number_text(2.0), number_text(0.25), number_text(0.0015), number_text(1e-30), number_text(math.pi)
    (('2', False), ('0.25', False), ('1.5 \\cdot 10^{-3}', True), ('10^{-30}', True), ('\\pi', False))
    """
    if math.isinf(value):
        return r"\infty", False
    if value == math.pi:
        return r"\pi", False
    digits, exponent = _scientific(value)
    if value == 0 or -3 < exponent < 6 or (value == int(value) and abs(value) < 1e15 and len(digits) > 3):
        return (str(int(value)) if value == int(value) else f"{Decimal(repr(value)):f}"), False
    mantissa = digits[0] + (f".{digits[1:]}" if digits[1:] else "")
    power = f"10^{{{exponent}}}"
    return (power if mantissa == "1" else rf"{mantissa} \cdot {power}"), True


def _scientific(value: float) -> tuple[str, int]:
    """The digits of a number without zeros at the end, and the power of ten of the first one."""
    shown = Decimal(repr(value)).as_tuple()
    digits = "".join(map(str, shown.digits)).lstrip("0")
    assert isinstance(shown.exponent, int)
    exponent = shown.exponent + len(digits) - 1
    return digits.rstrip("0") or "0", exponent

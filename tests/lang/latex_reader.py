r"""Reads the LaTeX of a loss as a mathematician would, and computes its value: nothing here knows the printer.

A product is whatever stands side by side or has a dot between; a sum over classes takes the product on its right. A
name with a subscript is that name if there is one, else the entry of a row at the index that stands last.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy import special

from glo_dsl.ir import numeric

Value = Any
Scope = Mapping[str, Value]
Meaning = Callable[[Scope], Value]

FUNCTIONS: dict[str, Callable[..., Value]] = {
    r"\log": np.log, r"\exp": np.exp, r"\sin": np.sin, r"\cos": np.cos, r"\tanh": np.tanh, r"\arctan": np.arctan,
    r"\max": np.maximum, r"\min": np.minimum, r"\sigma": special.expit, r"\Gamma": special.gamma,
    r"\psi": special.digamma, r"\psi'": lambda a: special.polygamma(1, a), "sgn": np.sign, "erf": special.erf,
    "softplus": lambda a: np.logaddexp(a, 0), "ReLU": lambda a: np.maximum(a, 0), "clamp": numeric.clamp,
    "softmax": special.softmax, "stop": lambda a: a,
}  # fmt: skip
COMPARISONS: dict[str, Callable[[Value, Value], Value]] = {
    "<": np.less, r"\le": np.less_equal, ">": np.greater, r"\ge": np.greater_equal, "=": np.equal, r"\ne": np.not_equal,
}  # fmt: skip
WITH_DEFINITIONS = r"\\begin\{aligned\}\n& (.*?) \\\\\n\\text\{where\} \\quad (.*)\n\\end\{aligned\}"
LOG_OF = (r"\log \Gamma", r"\log \sigma", r"\log \operatorname")
NAME = re.compile(r"\\math(?:it|tt|rm)\{(?:[^{}\\]|\\_)*\}|\\[A-Za-z]+|[A-Za-z]")
NO_FACTORS = (r"\text", r"\land", r"\lor", r"\le", r"\ge", r"\ne", r"\end", r"\rvert", r"\rfloor")


def value_of(text: str, values: Scope, classes: int, free: str = "c", at: int = 0) -> Value:
    """The value of a displayed expression, definitions after `where` included, at class `at` of the free index."""
    aligned = re.fullmatch(WITH_DEFINITIONS, text, re.S)
    scope = {**values, "#classes": classes}
    if aligned:
        text = aligned[1]
        for line in aligned[2].split(" \\\\\n"):
            name, body = line.split(" &= ", 1)
            meaning, row = Reader(body).whole(), re.fullmatch(rf"(\w)_\{{(\d+), {re.escape(free)}\}}", name)
            entries = [meaning({**scope, "#" + free: k}) for k in range(classes)] if row else meaning(scope)
            scope[f"{row[1]}_{{{row[2]}}}" if row else name] = np.array(entries) if row else entries
    return Reader(text).whole()({**scope, "#" + free: at})


class Reader:
    """Recursive descent over the text."""

    def __init__(self, text: str) -> None:
        pairs = (r"\left|", r"\lvert "), (r"\right|", r"\rvert "), (r"\left", ""), (r"\right", ""), (r"\,", " ")
        for written, meant in pairs:
            text = re.sub(re.escape(written) + r"(?![A-Za-z])" * (written[-1] == "t"), lambda _, m=meant: m, text)
        self.text, self.place = text, 0

    def whole(self) -> Meaning:
        found = self._loosest()
        assert not self._rest(), self._rest()
        return found

    # The text.

    def _rest(self) -> str:
        while self.text[self.place : self.place + 1] == " ":
            self.place += 1
        return self.text[self.place :]

    def _sees(self, *words: str) -> str:
        for word in words:
            rest = self._rest()
            if rest.startswith(word) and not (word[-1].isalpha() and rest[len(word) : len(word) + 1].isalpha()):
                return word
        return ""

    def _takes(self, *words: str) -> str:
        found = self._sees(*words)
        self.place += len(found)
        return found

    def _must(self, word: str) -> None:
        assert self._takes(word), (word, self._rest()[:40])

    def _braced(self) -> str:
        """The text in braces that stands here."""
        self._must("{")
        depth, start = 1, self.place
        while depth:
            depth += {"{": 1, "}": -1}.get(self.text[self.place], 0)
            self.place += 1
        return self.text[start : self.place - 1]

    def _argument(self) -> Meaning:
        return Reader(self._braced()).whole()

    # Expressions, loosest first.

    def _loosest(self) -> Meaning:
        return self._chain({r"\lor": np.logical_or}, lambda: self._chain({r"\land": np.logical_and}, self._condition))

    def _chain(self, signs: Mapping[str, Callable[[Value, Value], Value]], part: Callable[[], Meaning]) -> Meaning:
        found = part()
        while sign := self._takes(*signs):
            found = _both(signs[sign], found, part())
        return found

    def _condition(self) -> Meaning:
        if self._takes(r"\lnot"):
            of = self._condition()
            return lambda scope: np.logical_not(of(scope))
        return self._chain(COMPARISONS, self._sum)

    def _sum(self) -> Meaning:
        found = _negative(self._product()) if self._takes("-") else self._product()
        while sign := self._takes("+", "-"):
            found = _both(np.add if sign == "+" else np.subtract, found, self._product())
        return found

    def _product(self) -> Meaning:
        found = self._factor()
        while self._takes(r"\cdot") or self._begins_factor():
            found = _both(np.multiply, found, self._factor())
        return found

    def _begins_factor(self) -> bool:
        rest = self._rest()
        if not rest or rest[0] in "+-=<>)}&,^_" or rest.startswith("\\\\"):
            return False
        return not self._sees(*NO_FACTORS)

    def _factor(self) -> Meaning:
        for word, over in ((r"\sum_", np.sum), (r"\max_", np.max), (r"\min_", np.min)):
            if self._takes(word):
                index = "#" + self._braced()
                of = self._product() if over is np.sum else self._power()
                return _over(over, index, of)
        if self._sees(r"\log \sum"):
            self._must(r"\log")
            of = self._factor()
            return lambda scope: np.log(of(scope))
        return self._power()

    def _power(self) -> Meaning:
        base = self._atom()
        if self._takes("^"):
            return _both(np.power, base, self._argument())
        return base

    def _atom(self) -> Meaning:
        if number := re.match(r"\d+(\.\d+)?", self._rest()):
            self.place += number.end()
            return lambda scope: np.float64(number[0])
        if self._takes("("):
            found = self._loosest()
            self._must(")")
            return found
        for opening, closing, of in ((r"\lvert", r"\rvert", np.abs), (r"\lfloor", r"\rfloor", np.floor)):
            if self._takes(opening):
                inside = self._loosest()
                self._must(closing)
                return _applied(of, [inside])
        return self._word()

    def _word(self) -> Meaning:
        if self._takes(r"\frac"):
            above = self._argument()
            return _both(np.divide, above, self._argument())
        if self._takes(r"\sqrt"):
            return _applied(np.sqrt, [self._argument()])
        if self._takes(r"\begin{cases}"):
            return self._cases()
        if self._takes(r"\mathbb{1}_"):
            return _indicator(self._braced())
        for text, value in (("e^", np.e), (r"\infty", np.inf), (r"\pi", np.pi), (r"\mathrm{NaN}", np.nan)):
            if self._takes(text):
                return _both(np.power, _known(value), self._argument()) if text == "e^" else _known(value)
        for text, truth in ((r"\mathrm{true}", True), (r"\mathrm{false}", False)):
            if self._takes(text):
                return _known(truth)
        return self._function() or self._name()

    def _function(self) -> Meaning | None:
        rest = self._rest()
        named = re.match(r"\\operatorname\{(\w+)\}", rest)
        known = (w for w in FUNCTIONS if rest.startswith((f"{w}(", *(LOG_OF if w == r"\log" else ()))))
        word = named[1] if named else next(known, "")
        if not word:
            return None
        self.place += named.end() if named else len(word)
        if self._sees(r"\Gamma", r"\sigma", r"\operatorname") and word == r"\log":  # log of that function
            return _applied(np.log, [self._atom()])
        self._must("(")
        args = [self._loosest()]
        while self._takes(","):
            args.append(self._loosest())
        self._must(")")
        found = _applied(FUNCTIONS[word], args)
        return _entry(found, self._braced()) if self._takes("_") else found

    def _name(self) -> Meaning:
        found = NAME.match(self._rest())
        assert found, self._rest()[:60]
        self.place += found.end()
        stem = found[0]
        if not self._takes("_"):
            return lambda scope: scope[stem]
        parts = re.split(r", (?![^{]*\})", self._braced())
        name, row = _subscripted(stem, parts), _subscripted(stem, parts[:-1])
        entry = _entry(lambda scope: scope[row], parts[-1])
        return lambda scope: scope[name] if name in scope else entry(scope)

    def _cases(self) -> Meaning:
        rows: list[tuple[Meaning, Meaning]] = []
        while True:
            value = self._loosest()
            self._must("&")
            if self._takes(r"\text{otherwise}"):
                self._must(r"\end{cases}")
                return _choice(rows, value)
            self._must(r"\text{if }")
            rows.append((self._loosest(), value))
            self._must("\\\\")


def _subscripted(stem: str, parts: list[str]) -> str:
    return f"{stem}_{{{', '.join(parts)}}}" if parts else stem


def _known(value: Value) -> Meaning:
    return lambda scope: value


def _both(of: Callable[[Value, Value], Value], left: Meaning, right: Meaning) -> Meaning:
    return lambda scope: of(left(scope), right(scope))


def _negative(of: Meaning) -> Meaning:
    return lambda scope: np.negative(of(scope))


def _applied(of: Callable[..., Value], args: list[Meaning]) -> Meaning:
    return lambda scope: of(*(arg(scope) for arg in args))


def _over(of: Callable[[Value], Value], index: str, body: Meaning) -> Meaning:
    return lambda scope: of([body({**scope, index: k}) for k in range(scope["#classes"])])


def _place(index: str, scope: Scope) -> int:
    return int(scope["#" + index] if "#" + index in scope else scope[index])


def _entry(row: Meaning, index: str) -> Meaning:
    return lambda scope: row(scope)[_place(index, scope)]


def _indicator(text: str) -> Meaning:
    left, equals, right = text.partition(" = ")
    if equals:
        return lambda scope: float(_place(left, scope) == _place(right, scope))
    return lambda scope: np.eye(scope["#classes"])[_place(left, scope)]


def _choice(rows: list[tuple[Meaning, Meaning]], otherwise: Meaning) -> Meaning:
    def chosen(scope: Scope) -> Value:
        found = otherwise(scope)
        for condition, value in reversed(rows):
            found = np.where(condition(scope), value(scope), found)
        return found

    return chosen

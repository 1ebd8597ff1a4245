"""Straight-line code as people write it: what is used once stands where it is used, the rest has a name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from glo_codegen.program import LOSS, Load, Operand, Program, Reduce, Spelled, Step

WIDTH = 88
"""Characters up to which what is used once stands in the line of its user."""

PLACE = re.compile(r"\{(\d)\}")
Spelling = Callable[[Spelled], str]


def code(program: Program) -> Iterator[Step | Reduce]:
    """All steps in the order in which they are computed."""
    yield from program.uniform
    for phase in program.phases:
        yield from phase.scalars
        yield from phase.row
        yield from phase.reductions


def args_of(step: Step | Reduce) -> tuple[Operand, ...]:
    """What a step is computed from."""
    match step:
        case Load():
            return () if step.at is None else (step.at,)
        case Reduce():
            return (step.arg,)
        case _:
            return step.args


def result_of(program: Program) -> Operand:
    """The value of the loss."""
    return next(value for output, value in program.results if output == LOSS)


def uses(program: Program, spelling: Spelling) -> dict[Operand, int]:
    """How often each value would be written down if none had a name."""
    found: dict[Operand, int] = {result_of(program): 1}
    for step in code(program):
        args = args_of(step)
        places: Iterable[int] = range(len(args))
        if not isinstance(step, Load):
            places = map(int, PLACE.findall(spelling(step.op)))
        for place in places:
            found[args[place]] = found.get(args[place], 0) + 1
    return found


def fill(template: str, texts: Sequence[str], words: Mapping[str, str]) -> str:
    """A spelling with its arguments put in, without the parentheses that commas and parentheses make needless.

    >>> fill("{np}.power({0}, {1} + 1)", ["(a + b)", "(c)"], {"np": "jnp"})
    'jnp.power(a + b, (c) + 1)'
    """

    def put(match: re.Match[str]) -> str:
        before, after = named[: match.start()], named[match.end() :]
        alone = before.endswith(("(", "[", ", ")) and after.startswith((")", "]", ","))
        text = texts[int(match[1])]
        return bare(text) if alone else text

    named = re.sub(r"\{([a-z]\w*)\}", lambda word: words[word[1]], template)
    return PLACE.sub(put, named)


def bare(text: str) -> str:
    """The text without parentheses around all of it.

    >>> bare("(a + (b))"), bare("(a) + (b)")
    ('a + (b)', '(a) + (b)')
    """
    depth = 0
    for place, character in enumerate(text):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth == 0:
            return text[1:-1] if place == len(text) - 1 and text.startswith("(") else text
    return text

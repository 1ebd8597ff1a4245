"""What a file claims of a loss: its laws, which a search tries to break, and its examples."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence

import numpy as np

from glo_dsl.lang.loss import Example, Law, Loss
from glo_dsl.lang.show import number
from glo_dsl.verify.batch import Array, Batch, Sample
from glo_dsl.verify.falsify import Effort, Outcome, falsify
from glo_dsl.verify.kernels import Kernel
from glo_dsl.verify.laws import Comparison, comparisons, judge
from glo_dsl.verify.oracle import reference
from glo_dsl.verify.report import Failure, place_of
from glo_dsl.verify.reproduce import of_example, of_law
from glo_dsl.verify.shrink import shrunk
from glo_dsl.verify.space import space_of_law

MAX_QUOTE = 60


def broken(law: Law, loss: Loss, effort: Effort) -> tuple[Failure | None, str]:
    """How a law fails, or None; and what there is to say of the search: whether it could be decided at all."""
    space = space_of_law(law)

    def outcome(batch: Batch) -> Outcome:
        verdict = judge(law, batch)
        return Outcome(verdict.violated, verdict.decided, verdict.worst)

    def fails(batch: Batch) -> Array:
        return judge(law, batch).violated

    search = falsify(space, outcome, effort)
    if search.found is None:
        return None, _undecided(law, search.judged, search.tried)
    row = int(fails(search.found).argmax())
    sample = shrunk(space, search.found.sample(row), fails)
    numbers = _numbers(law, comparisons(law, sample.values, sample.classes))
    message = f"the law does not hold: {_claim(law)}"
    at = str(sample) or "any values"
    return Failure("law", law.name, place_of(law.source, law.span), message, at, numbers, of_law(law, loss, sample)), ""


def _undecided(law: Law, decided: int, tried: int) -> str:
    if decided == 0:
        return f"{law.name} was never decided in {tried} draws: a side is NaN, has overflowed or is lost in rounding"
    if decided < tried / 2:
        return f"{law.name} was decided in {decided} of {tried} draws only: else a side is NaN or lost in rounding"
    return ""


def _claim(law: Law) -> str:
    """The condition and what it is for, without the words before it and without comments."""
    lines = (line.partition("#")[0] for line in law.text.splitlines())
    return " ".join(" ".join(lines).partition(":")[2].split())


def _numbers(law: Law, found: Sequence[Comparison]) -> tuple[tuple[str, str], ...]:
    """Both sides of every comparison, in the words of the law where it is clear which they are."""
    words = list(_comparisons_in(_claim(law)))
    if [sign for _, sign in words] != [c.sign for c in found]:
        words = [(c.text if len(c.text) <= MAX_QUOTE else f"{c.text[: MAX_QUOTE - 3]}...", c.sign) for c in found]
    return tuple(
        (text, f"{number(c.left + 0.0)} {c.sign} {number(c.right + 0.0)}")
        for (text, _), c in zip(words, found, strict=True)
    )


def _comparisons_in(claim: str) -> Iterator[tuple[str, str]]:
    """The parts of a condition that `and`, `or` and `not` join, each with its sign."""
    depth, parts = 0, [""]
    for word in re.findall(r"[A-Za-z_]\w*|[<>=!]=?|.", claim):
        depth += (word in "([") - (word in ")]")
        if depth == 0 and word == "for":
            break
        if depth == 0 and word in ("and", "or", "not"):
            parts.append("")
        else:
            parts[-1] += word
    for part in parts:
        signs = re.findall(r"[<>=!]=|[<>]", part)
        if len(signs) == 1:
            yield part.strip(), signs[0]


def mistaken(example: Example, loss: Loss, kernels: Sequence[Kernel]) -> Failure | None:
    """How an example fails, or None. Its value is that of the first kernel in float64, else that of the interpreter:
    whether float32 is near enough to that is asked with what float32 may be off, not with what the example says."""
    batch = Batch.of([sample_of(example, loss)])
    precise = [kernel for kernel in kernels if kernel.precision == np.float64]
    if precise:
        got, target = float(precise[0].rows(batch)[""][0]), precise[0].target
    else:
        got, target = _interpreted(loss, batch), "torch"
    difference = abs(got - example.expected)
    if got == example.expected or (difference <= example.tolerance and math.isfinite(difference)):
        return None
    numbers = [("got", repr(got)), ("expected", f"{number(example.expected)} +- {example.tolerance:.3g}")]
    message = "the example is wrong: " + " ".join(example.text.removeprefix("example").split())
    if math.isfinite(difference):
        numbers += [("difference", f"{difference:.3g}"), ("would pass", f"+- {_enough(difference):g}")]
    text = of_example(example, loss, batch, target)
    return Failure("example", loss.name, place_of(example.source, example.span), message, "", tuple(numbers), text)


def sample_of(example: Example, loss: Loss) -> Sample:
    """The inputs of an example and all parameters, those at their defaults too."""
    counts = [len(value) for value in example.inputs.values() if isinstance(value, tuple)]
    variables = (*loss.inputs, *(p.var for p in loss.params))
    return Sample(variables, {**loss.defaults, **example.params, **example.inputs}, counts[0] if counts else 1)


def _interpreted(loss: Loss, batch: Batch) -> float:
    arrays = {v.name: batch.columns[v.name] if v.type.per_sample else batch.columns[v.name][0] for v in loss.inputs}
    return float(reference(loss, arrays, {p.name: float(batch.columns[p.name][0]) for p in loss.params})[0])


def _enough(difference: float) -> float:
    """The next number with one digit, which as a tolerance would do."""
    size = 10.0 ** np.floor(np.log10(difference))
    return float(f"{np.ceil(difference / size * (1 + 1e-9)) * size:.1g}")

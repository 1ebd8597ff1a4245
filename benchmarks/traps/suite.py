"""The traps: calls that fused losses have been known to get wrong, each with a judge."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch

from traps.cases import LAYOUTS, VALUES, Loss, differing, inputs_of, laid_out
from traps.losses import SUBJECTS, Subject
from traps.special import ONLY, SPECIAL

DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
REDUCTIONS = ("mean", "sum", "none")


@dataclass(frozen=True)
class Trap:
    """A case: `spring` runs it against a loss and says what is wrong, or nothing."""

    name: str
    subject: Subject
    spring: Callable[[Loss], str]


def traps() -> Iterator[Trap]:
    """All of them, always the same."""
    for subject in SUBJECTS:
        yield from _numbers(subject)
        for name, spring in SPECIAL.items():
            if name not in ONLY or ONLY[name](subject):
                yield Trap(f"{subject.name}: {name}", subject, partial(spring, subject))


def _numbers(subject: Subject) -> Iterator[Trap]:
    """Value and gradient for dtypes, layouts, reductions and values: every pair of them is met."""
    layouts = ("stepped", "expanded") if subject.kind == "element" else LAYOUTS
    for n, (dtype, layout, values) in enumerate(itertools.product(DTYPES, layouts, VALUES)):
        if n % 3 != hash_of(subject.name) % 3 or (values == "masked" and not subject.has_class):
            continue  # a third of all, another for every loss
        reduction = REDUCTIONS[n // 3 % 3]
        name = f"{subject.name}: {str(dtype)[6:]} {layout} {values} {reduction}"
        yield Trap(name, subject, partial(_compare, subject, (dtype, layout, values, reduction, n)))


def hash_of(name: str) -> int:
    """The same in every process."""
    return sum(map(ord, name))


def _compare(subject: Subject, case: tuple[torch.dtype, str, str, str, int], loss: Loss) -> str:
    dtype, layout, values, reduction, seed = case
    classes = 12 if seed % 2 else 70
    inputs, options = laid_out(subject, inputs_of(subject, 8, classes, dtype, values, seed), layout)
    return differing(subject, loss, inputs, {"reduction": reduction, **options})

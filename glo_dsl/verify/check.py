"""The check of a loss: its gradients on every target, its laws, its examples."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from glo_codegen.program import Program
from glo_dsl.errors import GloError
from glo_dsl.ir.expr import holes
from glo_dsl.lang.loss import Loss
from glo_dsl.passes.pipeline import whole_program
from glo_dsl.verify.calls import broken_promises
from glo_dsl.verify.claims import broken, mistaken, sample_of
from glo_dsl.verify.differences import disagreements
from glo_dsl.verify.falsify import Effort
from glo_dsl.verify.gradients import Comparison
from glo_dsl.verify.kernels import USUAL, Kernel, Kernels
from glo_dsl.verify.report import Failure, Report, place_of

EXAMPLES = 25
"""Draws of Hypothesis for each law and for the gradients of each loss; random rows come on top."""


def check_loss(
    loss: Loss, *, targets: Sequence[str] = USUAL, examples: int = EXAMPLES, seed: int | None = None
) -> Report:  # fmt: skip
    """Tries to break a loss: see `check_losses`.

    >>> import glo_dsl as glo
    >>> loss = glo.loads("loss sq(p: real, y: real) = (p - y) ^ 2   law sq.positive: sq(p, y) > 0")["sq"]
    >>> for failure in check_loss(loss, targets=["torch"], examples=5).failures:
    ...     print(failure.message, failure.at, sep="; ")
    the law does not hold: sq(p, y) > 0; p = 0, y = 0
    """
    (report,) = check_losses([loss], targets=targets, examples=examples, seed=seed)
    return report


def check_losses(
    losses: Sequence[Loss], *, targets: Sequence[str] = USUAL, examples: int = EXAMPLES, seed: int | None = None
) -> Iterator[Report]:
    """A report on each loss, as soon as it is there; their kernels are built together. Names must differ.

    Inputs and parameters are drawn from their types and domains. Value and gradients on every one of `targets` ("c",
    "torch", "triton") are compared with autograd in float64 over the loss as it is written, and that with finite
    differences; laws are tried with `examples` draws and many more random rows; examples are computed. The draws are
    the same in every run, unless a `seed` says what they follow from.

    Raises:
        GloError: there is no such target.
    """
    effort = Effort(examples, seed)
    programs: dict[str, tuple[Loss, Program]] = {}
    reasons: dict[str, str] = {}
    for loss in losses:
        try:
            programs[loss.name] = loss, whole_program(loss)
        except GloError as error:
            reasons[loss.name] = error.message
    kernels = Kernels(programs, targets)
    for loss in losses:
        yield _Check(loss, effort, reasons.get(loss.name, "")).report(kernels)


class _Check:
    def __init__(self, loss: Loss, effort: Effort, reason: str) -> None:
        self.loss, self.effort, self.reason = loss, effort, reason
        self.failures: list[Failure] = []
        self.notes: list[str] = []

    def report(self, kernels: Kernels) -> Report:
        place = place_of(self.loss.source, self.loss.span)
        if self.loss.holes:
            return Report(self.loss.name, place, skipped=self.reason)
        began = time.perf_counter()
        self._laws()
        waited = time.perf_counter()
        built = [] if self.reason else kernels.of(self.loss)
        waited = time.perf_counter() - waited
        self._examples(built)
        rows, compared = self._gradients(built)
        return Report(
            self.loss.name, place, tuple(map(str, built)), rows, compared, len(self.loss.laws),
            len(self.loss.examples), tuple(self.failures), tuple(self.notes), "",
            time.perf_counter() - began - waited,
        )  # fmt: skip

    def _laws(self) -> None:
        for law in self.loss.laws:
            if holes((law.expr,)):
                self.notes.append(f"{law.name} is about a loss with a hole: not tried")
                continue
            failure, note = broken(law, self.loss, self.effort)
            self.failures += [failure] if failure else []
            self.notes += [note] if note else []

    def _examples(self, built: Sequence[Kernel]) -> None:
        self.failures += [f for e in self.loss.examples if (f := mistaken(e, self.loss, built)) is not None]

    def _gradients(self, built: Sequence[Kernel]) -> tuple[int, int]:
        if not built:
            self.notes.append(f"value and gradients were not compared: {self.reason or 'there is no target'}")
            return 0, 0
        comparison = Comparison(self.loss, built)
        found = list(comparison.failures(self.effort, [sample_of(e, self.loss) for e in self.loss.examples]))
        seed = self.effort.seed or 0
        found = found or list(broken_promises(self.loss, built, comparison.judge, seed))
        self.failures += [*found, *disagreements(self.loss, comparison.judge, seed)]
        rows, compared = comparison.rows, comparison.compared
        if not found and compared < rows / 2:
            why = "elsewhere the loss as it is written is not finite or lost in rounding"
            self.notes.append(f"value and gradients could be compared in {compared} of {rows} rows only: {why}")
        return rows, compared

"""What holds of every call, whatever the loss: reductions agree, rows do not touch each other, ignored ones count 0."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from glo_dsl.lang.loss import Loss
from glo_dsl.runtime.compile import compile
from glo_dsl.verify.batch import Array, Batch
from glo_dsl.verify.exact import Evaluation
from glo_dsl.verify.kernels import Kernel
from glo_dsl.verify.oracle import IGNORED
from glo_dsl.verify.report import Failure, place_of
from glo_dsl.verify.reproduce import of_call
from glo_dsl.verify.space import random_batch, space_of
from glo_dsl.verify.truth import VALUE, Oracle, Truth, rounded

ROWS, CLASSES, POISONED = 5, 3, 2


def broken_promises(loss: Loss, kernels: Sequence[Kernel], judge: Oracle, seed: int) -> Iterator[Failure]:
    """What is wrong with calls of a loss; one batch of plain rows is enough, for no number depends on it."""
    batch = _plain_batch(loss, judge, seed)
    if batch is None:
        return
    for kernel in kernels:
        fit = rounded(batch, kernel.precision)
        truth = judge.truth(fit, kernel.precision)
        yield from _poison(loss, kernel, judge, fit, truth)
        if kernel.target != "triton":
            yield from _reductions(loss, kernel, fit, truth)


def _plain_batch(loss: Loss, judge: Oracle, seed: int) -> Batch | None:
    """Rows about which the oracle knows everything, with one value of what a kernel takes once; None if not found."""
    space, rng = space_of(loss), np.random.default_rng(seed)
    for _ in range(10):
        batch = random_batch(space, rng, 16 * ROWS, CLASSES if space.counted else 1, groups=1)
        batch = rounded(batch, np.float32)
        clear = np.flatnonzero(judge.truth(batch).judged & judge.truth(batch, np.float32).judged)
        if len(clear) >= ROWS:
            return batch.take(clear[:ROWS])
    return None


def _poison(loss: Loss, kernel: Kernel, judge: Oracle, batch: Batch, truth: Truth) -> Iterator[Failure]:
    """NaN in one row makes its value NaN, if it enters that at all, and changes no other row."""
    for v in loss.inputs:
        if v.type.kind != "real" or not v.type.per_sample:
            continue
        column = batch.columns[v.name].copy()
        column[(POISONED, 0) if column.ndim == 2 else POISONED] = np.nan
        poisoned = Batch(batch.variables, {**batch.columns, v.name: column}, batch.classes)
        found = kernel.rows(poisoned)
        others = np.arange(ROWS) != POISONED
        at = "\n     ".join(map(str, poisoned))
        touched = [name or "the value" for name in truth.numbers if (truth.excess(name, found[name])[others] > 1).any()]
        lines = ["print(fn.value_and_grad(*inputs, reduction='none', **params))"]
        text = of_call(loss, poisoned, kernel.target, kernel.dtype, lines)
        if touched:
            message = f"NaN in {v.name} of one row changes other rows: {', '.join(touched)} ({kernel})"
            yield _failure(loss, "nan", message, at, (), text)
        expected = judge.truth(poisoned).numbers[VALUE][POISONED]
        if np.isnan(expected) and not np.isnan(found[VALUE][POISONED]):
            numbers = ((str(kernel), f"{found[VALUE][POISONED]:g}"), ("autograd", "nan"))
            yield _failure(loss, "nan", f"NaN in {v.name} is lost ({kernel})", at, numbers, text)


def _reductions(loss: Loss, kernel: Kernel, batch: Batch, truth: Truth) -> Iterator[Failure]:
    """Sum and mean are those of the rows; a row with the index that is to be ignored counts for nothing."""
    everywhere = np.ones(ROWS, dtype=bool)
    cases = [("reduction", batch, everywhere)]
    if any(v.type.kind == "class" for v in loss.inputs):
        cases.append(("ignored", _ignoring(loss, batch), np.arange(ROWS) > 0))
    for kind, called, counts in cases:
        for reduction in ("sum", "mean"):
            found = _called(loss, kernel, called, reduction)
            divisor = _divisor(loss, batch, counts) if reduction == "mean" else 1.0
            for name, got in found.items():
                expected, allowed = (_reduced(loss, a, name, counts) / divisor for a in (truth.numbers, truth.allowed))
                if not np.all(np.abs(got - expected) <= 2 * np.abs(allowed)):
                    yield _wrong_reduction(loss, kernel, called, (kind, reduction, name), got, expected)
                    return


def _ignoring(loss: Loss, batch: Batch) -> Batch:
    """The first row is ignored."""
    name = next(v.name for v in loss.inputs if v.type.kind == "class")
    column = batch.columns[name].copy()
    column[0] = IGNORED
    return Batch(batch.variables, {**batch.columns, name: column}, batch.classes)


def _called(loss: Loss, kernel: Kernel, batch: Batch, reduction: str) -> dict[str, Array]:
    """Value and gradients of a reduced loss: from the C kernel itself, else by way of the calling contract."""
    inputs, params = kernel.arguments(batch)
    if kernel.target == "c":
        if loss.per is not None and reduction == "mean":
            return {}
        value, slopes = kernel.run(inputs, params, reduction)
        per_sample = {v.name for v in loss.inputs if v.type.per_sample}
        slopes = {name: slope if name in per_sample else slope.sum(0) for name, slope in slopes.items()}
    else:
        fn = compile(loss, kernel.target)
        quotient = fn.spec.divisor if reduction == "mean" else ()  # its gradient is not that of the rows, divided
        wrt = [name for name in fn.spec.differentiable if name not in quotient]
        named = dict(zip(fn.spec.params, params, strict=True))
        settings: dict[str, Any] = {name: value for (name, _), value in named.items()}
        value, slopes = fn.value_and_grad(*inputs, wrt=wrt, reduction=reduction, **settings)
    return {VALUE: value.double().numpy(), **{name: slope.double().numpy() for name, slope in slopes.items()}}


def _divisor(loss: Loss, batch: Batch, counts: Array) -> float:
    if loss.per is None:
        return float(counts.sum())
    per = Evaluation([loss.per], batch.arrays(), batch.classes).values[loss.per]
    return float(np.broadcast_to(per, (ROWS, 1))[counts].sum())


def _reduced(loss: Loss, numbers: Mapping[str, Array], name: str, counts: Array) -> Array:
    """Numbers of every row as they belong to the sum of the rows that count."""
    rows = np.where(counts if numbers[name].ndim == 1 else counts[:, None], numbers[name], 0.0)
    stays = any(v.name == name and v.type.per_sample for v in loss.inputs)
    return np.asarray(rows if stays else rows.sum(axis=0))


def _wrong_reduction(
    loss: Loss, kernel: Kernel, batch: Batch, case: tuple[str, str, str], got: Array, expected: Array
) -> Failure:
    kind, reduction, name = case
    what = f"the gradient by {name}" if name else "the value"
    skipped = " when a row is ignored" if kind == "ignored" else ""
    message = f"{what} with reduction={reduction!r} is not that of the rows{skipped} ({kernel})"
    numbers = ((reduction, str(got.tolist())), ("from the rows", str(expected.tolist())))
    wrt = [name] if name else []
    lines = [
        f"print(fn(*inputs, reduction={how!r}, **params))" if not name
        else f"print(fn.value_and_grad(*inputs, wrt={wrt!r}, reduction={how!r}, **params)[1])"
        for how in dict.fromkeys(("none", reduction))
    ]  # fmt: skip
    at = "\n     ".join(map(str, batch))
    return _failure(loss, kind, message, at, numbers, of_call(loss, batch, kernel.target, kernel.dtype, lines))


def _failure(loss: Loss, kind: str, message: str, at: str, numbers: tuple[tuple[str, str], ...], text: str) -> Failure:
    return Failure(kind, loss.name, place_of(loss.source, loss.span), message, at, numbers, text)

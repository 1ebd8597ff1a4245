"""Loss and gradient against a copy of the logits, and every loss of rows against cross-entropy."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import glo_dsl as glo
from on_gpu.cases import TWELVE, Case, copying, gigabyte, measured, ours
from on_gpu.judge import first_line
from on_gpu.setting import Result, Results, Setting

GOALS = {
    4096: 0.93, 8192: 0.93, 16384: 0.93, 32768: 0.93, 50257: 0.88, 65536: 0.88, 128256: 0.88, 262144: 0.80,
}  # fmt: skip
"""The share of a copy's bandwidth that cross-entropy is to reach, by the number of classes."""

EQUAL_BYTES = 1.15
ROWS, CLASSES = 16384, 32768
SECONDS = 0.5


def against_copy(setting: Setting) -> Results:
    """A copy reads and writes as many bytes as loss and gradient have to."""
    for classes, goal in list(GOALS.items())[: setting.count(len(GOALS))]:
        case = gigabyte(setting, glo.zoo["cross_entropy"], classes)
        buffers = case.buffers(setting)
        kernel = {"glo": ours(case, buffers)["glo"]}
        bars = {"copy": copying(buffers)}
        truth = case.truth(buffers[0])
        found = measured(setting, case.result(), case.dtype, kernel, truth, len(buffers), SECONDS, bars)
        found.figures = {"of copy": found.ratio("copy"), "goal": goal, "TB/s": terabytes(case, found)}
        yield found


def terabytes(case: Case, found: Result) -> float | None:
    """The least bytes of a case in the time that it took."""
    if "glo" not in found.microseconds:
        return None
    return round(case.least_bytes / found.microseconds["glo"][0] / 1e6, 3)


def against_cross_entropy(setting: Setting) -> Results:
    """Each in turns with cross-entropy on the same logits; a loss of two rows of logits moves more, and may."""
    for loss in losses_of_rows(setting):
        case = Case(loss, *setting.shape(ROWS, CLASSES))
        bar = Case(glo.zoo["cross_entropy"], case.rows, case.classes)
        try:
            buffers = case.buffers(setting)
            classes = bar.inputs(setting)[1]
            kernels = {"glo": ours(case, buffers)["glo"]}
            bars = {"cross entropy": ours(bar, [[b[0], classes] for b in buffers])["glo"]}
            truth = case.truth(buffers[0])
            found = measured(setting, case.result(), case.dtype, kernels, truth, len(buffers), SECONDS / 2, bars)
        except Exception as error:
            setting.wait()
            found = case.result()
            found.notes = [f"failed: {type(error).__name__}: {first_line(error)}"]
            yield found
            continue
        slower = found.ratio("glo", "cross entropy")
        more = case.least_bytes / bar.least_bytes
        found.figures = {
            "at equal bytes": None if slower is None else round(slower / more, 3), "goal": EQUAL_BYTES,
            "TB/s": terabytes(case, found),
        }  # fmt: skip
        yield found


def summary(results: Sequence[Result]) -> list[Result]:
    """How many losses keep up with cross-entropy, and which is furthest behind."""
    slower = {r.of["loss"]: r.figures["at equal bytes"] for r in results if r.figures.get("at equal bytes")}
    last = max(slower, key=lambda name: slower[name], default=None)
    within = sum(ratio <= EQUAL_BYTES for ratio in slower.values())
    figures = {"losses": len(slower), f"within {EQUAL_BYTES}": within, "last": last, "at": last and slower[last]}
    return [Result("all losses", figures=figures)]


def losses_of_rows(setting: Setting) -> Iterator[glo.Loss]:
    """The twelve, then all others of the library that take logits of any size, with classes or other logits."""
    yield from (glo.zoo[name] for name in TWELVE[: setting.count(len(TWELVE))])
    if setting.rehearsal:
        return
    for name in glo.zoo:
        loss = glo.zoo[name]
        kinds = [(v.type.kind, v.type.per_class, v.type.per_sample) for v in loss.inputs]
        anything = all(v.type.kind == "class" or v.domain.hi == -v.domain.lo == math.inf for v in loss.inputs)
        if name not in TWELVE and kinds in (LOGITS_AND_CLASS, TWO_ROWS) and anything:
            yield loss


ROW, CLASS = ("real", True, True), ("class", False, True)
LOGITS_AND_CLASS, TWO_ROWS = [ROW, CLASS], [ROW, ROW]


def kernels_of_copies(setting: Setting) -> list[Callable[[], object]]:
    cases = [gigabyte(setting, glo.zoo["cross_entropy"], classes) for classes in GOALS]
    return [lambda case=case: once(setting, case) for case in cases]


def kernels_of_losses(setting: Setting) -> list[Callable[[], object]]:
    cases = [Case(loss, *setting.shape(ROWS, CLASSES)) for loss in losses_of_rows(setting)]
    return [lambda case=case: once(setting, case) for case in cases]


def once(setting: Setting, case: Case) -> None:
    """Builds the kernel of a case."""
    ours(case, [case.inputs(setting)])["glo"].step(0)
    setting.wait()
    setting.free()

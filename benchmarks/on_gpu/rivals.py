"""Twelve losses on six shapes against eager PyTorch and torch.compile."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import glo_dsl as glo
from on_gpu.cases import TWELVE, Case, compiled, eager, fastest, geometric_mean, measured, ours
from on_gpu.setting import Result, Results, Setting

SHAPES = ((4096, 128256), (8192, 32768), (4096, 50257), (32768, 1000), (16384, 8192), (65536, 100))
"""Where much is at stake first: time may run out."""

LONG, EVOLVED = 32768, ("baikal", "taylor3")
EAGER_FORMS, PATIENT = ("eager", "eager float32"), "max-autotune-no-cudagraphs"
EAGER_RATIO, COMPILED_RATIO = "eager/glo", "compile/glo"
SECONDS = 0.3


def cases(setting: Setting) -> list[Case]:
    names = TWELVE[: setting.count(len(TWELVE))]
    shapes = SHAPES[: setting.count(len(SHAPES))]
    return [Case(glo.zoo[name], *setting.shape(*shape)) for shape in shapes for name in names]


def against_pytorch(setting: Setting) -> Results:
    """All with torch.compile as it is; then what time is left goes to its most patient mode."""
    for case in cases(setting):
        yield compared(setting, case)
    if setting.compiles:
        for case in sorted(cases(setting), key=lambda case: (case.classes < LONG, case.loss.name not in EVOLVED)):
            yield patiently(setting, case)


def compared(setting: Setting, case: Case) -> Result:
    """All contenders on a case."""
    buffers = case.buffers(setting)
    contenders = ours(case, buffers) | eager(case, buffers)
    if setting.compiles:
        contenders["compile"] = compiled(case, buffers)
    truth = case.truth(buffers[0])
    result = measured(setting, case.result(), case.dtype, contenders, truth, len(buffers), SECONDS)
    best = fastest(result, EAGER_FORMS)
    result.figures = {EAGER_RATIO: best and result.ratio(best), COMPILED_RATIO: result.ratio("compile")}
    return result


def patiently(setting: Setting, case: Case) -> Result:
    """The kernel against what torch.compile finds when it may look for longer."""
    buffers = case.buffers(setting)
    contenders = {"glo": ours(case, buffers)["glo"], "compile max-autotune": compiled(case, buffers, PATIENT)}
    result = measured(setting, case.result(), case.dtype, contenders, case.truth(buffers[0]), len(buffers), SECONDS)
    result.figures = {COMPILED_RATIO: result.ratio("compile max-autotune")}
    return result


def summary(results: Sequence[Result]) -> list[Result]:
    """Geometric means over the cases; of a case that was measured twice the better time of the rival counts."""
    found = []
    for word, goal, goal_there in ((EAGER_RATIO, 8, 20), (COMPILED_RATIO, 2, 3)):
        ratios: dict[tuple[str, int], float] = {}
        for result in results:
            ratio, key = result.figures.get(word), (result.of["loss"], result.of["classes"])
            if ratio:
                ratios[key] = min(ratio, ratios.get(key, ratio))
        evolved = [ratio for (loss, classes), ratio in ratios.items() if loss in EVOLVED and classes >= LONG]
        figures = {
            "cases": len(ratios), "geometric mean": geometric_mean(list(ratios.values())), "goal": goal,
            "least": min(ratios.values(), default=None),
            "Baikal and TaylorGLO from 32k classes on": geometric_mean(evolved), "goal there": goal_there,
        }  # fmt: skip
        found.append(Result(word, figures=figures))
    return found


def ahead(setting: Setting) -> list[Callable[[], object]]:
    return [lambda case=case: once(setting, case) for case in cases(setting)]


def once(setting: Setting, case: Case) -> None:
    """Builds the kernels of a case, ours and Inductor's."""
    buffers = [case.inputs(setting)]
    ours(case, buffers)["glo"].step(0)
    if setting.compiles:
        compiled(case, buffers).step(0)
    setting.wait()
    setting.free()

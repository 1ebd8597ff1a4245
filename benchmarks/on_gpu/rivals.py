"""Twelve losses on six shapes against eager PyTorch and torch.compile."""

from __future__ import annotations

from collections.abc import Callable

import glo_dsl as glo
from on_gpu.cases import TWELVE, Case, compiled, eager, fastest, geometric_mean, measured, ours
from on_gpu.setting import Result, Results, Setting

SHAPES = ((4096, 128256), (8192, 32768), (4096, 50257), (32768, 1000), (16384, 8192), (65536, 100))
"""Where much is at stake first: time may run out."""

LONG, EVOLVED = 32768, ("baikal", "taylor3")
EAGER_FORMS, COMPILED = ("eager", "eager float32"), ("compile", "compile max-autotune")
SECONDS = 0.3


def cases(setting: Setting) -> list[Case]:
    names = TWELVE[: setting.count(len(TWELVE))]
    shapes = SHAPES[: setting.count(len(SHAPES))]
    return [Case(glo.zoo[name], *setting.shape(*shape)) for shape in shapes for name in names]


def against_pytorch(setting: Setting) -> Results:
    """All with torch.compile as it is; then what time is left goes to its most patient mode."""
    found: list[tuple[Case, Result]] = []
    for case in cases(setting):
        found.append((case, compared(setting, case)))
        yield found[-1][1]
        yield from summaries(found)
    if not setting.compiles:
        return
    for case, result in sorted(found, key=lambda pair: (pair[0].classes < LONG, not is_evolved(pair[0]))):
        patient = compared(setting, case, "max-autotune-no-cudagraphs")
        yield patient
        ratios = [result.figures["compile/glo"], patient.figures["compile/glo"]]
        result.figures["compile/glo"] = min((r for r in ratios if r is not None), default=None)
        yield from summaries(found)


def is_evolved(case: Case) -> bool:
    return case.loss.name in EVOLVED


def compared(setting: Setting, case: Case, mode: str = "default") -> Result:
    """All contenders on a case; in another mode than the default one glo and torch.compile alone."""
    buffers = case.buffers(setting)
    contenders = ours(case, buffers)
    if mode == "default":
        contenders |= eager(case, buffers)
        if setting.compiles:
            contenders["compile"] = compiled(case, buffers)
    else:
        contenders = {"glo": contenders["glo"], "compile max-autotune": compiled(case, buffers, mode)}
    truth = case.truth(buffers[0])
    result = measured(setting, str(case), contenders, truth, case.dtype, len(buffers), SECONDS)
    for word, names in (("eager/glo", EAGER_FORMS), ("compile/glo", COMPILED)):
        best = fastest(result, names)
        result.figures[word] = None if best is None else result.ratio(best)
    return result


def summaries(found: list[tuple[Case, Result]]) -> Results:
    """Geometric means of what there is: the last ones stand. What torch.compile's patience won is counted in them."""
    for word, goal, evolved_goal in (("eager/glo", 8, 20), ("compile/glo", 2, 3)):
        evolved = [r for c, r in found if is_evolved(c) and c.classes >= LONG]
        ratios = [r.figures[word] for _, r in found]
        known = [r for r in ratios if r]
        if known:
            figures = {
                "of": len(known), "geometric mean": geometric_mean(ratios), "goal": goal, "least": min(known),
                "Baikal and TaylorGLO at 32k and more": geometric_mean([r.figures[word] for r in evolved]),
                "goal there": evolved_goal,
            }  # fmt: skip
            yield Result(word, figures=figures)


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

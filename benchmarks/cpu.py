"""Loss and gradient on the CPU: glo-dsl against eager PyTorch and torch.compile. See README.md in this folder."""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from eager import EAGER, Outcome, constants, differentiated
from measuring import machine
from torch import Tensor

import glo_dsl as glo

EXAMPLES = Path(__file__).parents[1] / "examples"
ROWS = [(128, 10), (4096, 10), (4096, 1000), (256, 50257)]
FLAT = [(1280,), (40960,), (4_000_000,), (12_000_000,)]
LOSSES = ("cross_entropy", "focal", "baikal", "taylor3", "huber", "mse")
CONTENDERS = ("glo", "glo autograd", "eager", "compile")
SECONDS = 2.5
"""What the timed rounds of a case take, all contenders together."""


@dataclass
class Row:
    """A case: microseconds by contender, and what went wrong, if anything."""

    loss: str
    shape: tuple[int, ...]
    microseconds: dict[str, float]
    rounds: int
    note: str = ""

    def ratio(self, slow: str, fast: str) -> float:
        if slow not in self.microseconds or fast not in self.microseconds:
            return math.nan
        return self.microseconds[slow] / self.microseconds[fast]


def inputs_of(name: str, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    first = torch.randn(shape, generator=generator) * 2
    if name in ("huber", "mse"):
        return first, torch.randn(shape, generator=generator)
    return first, torch.randint(0, shape[1], shape[:1], generator=generator)


def steps(name: str, shape: tuple[int, ...]) -> dict[str, Callable[[], Outcome]]:
    """The contenders on the same data, each a function without arguments."""
    loss = glo.load(EXAMPLES / f"{name}.glo")[name]
    fn, data = glo.compile(loss), inputs_of(name, shape)
    given = constants(loss)
    torch._dynamo.reset()
    compiled = torch.compile(EAGER[name], dynamic=False, fullgraph=True)
    wrt = fn.spec.differentiable[:1]

    def direct() -> Outcome:
        value, gradients = fn.value_and_grad(*data, wrt=wrt)
        return value, gradients[wrt[0]]

    return {
        "glo": direct,
        "glo autograd": lambda: differentiated(fn, *data),
        "eager": lambda: differentiated(EAGER[name], *data, *given),
        "compile": lambda: differentiated(compiled, *data, *given),
    }


def truth(name: str, shape: tuple[int, ...]) -> Outcome:
    """The eager form in float64."""
    first, second = inputs_of(name, shape)
    given = constants(glo.load(EXAMPLES / f"{name}.glo")[name], torch.float64)
    second = second.double() if second.is_floating_point() else second
    return differentiated(EAGER[name], first.double(), second, *given)


def wrong(mine: Outcome, want: Outcome) -> str:
    """What is wrong with an outcome; empty if nothing is."""
    value_error = float((mine[0].double() - want[0]).abs() / want[0].abs())
    gradient_error = float((mine[1].double() - want[1]).abs().max() / want[1].abs().max())
    if value_error < 1e-5 and gradient_error < 1e-4:
        return ""
    return f"WRONG: relative error of the value {value_error:.1e}, of the gradient {gradient_error:.1e}"


def kernels_generated() -> int:
    from torch._inductor import metrics

    return int(metrics.generated_kernel_count)


def ready(name: str, shape: tuple[int, ...], with_compile: bool) -> tuple[dict[str, Callable[[], Outcome]], list[str]]:
    """The contenders that give right results, warm; and notes on those that do not."""
    want, notes, good = truth(name, shape), [], {}
    for contender, step in steps(name, shape).items():
        if contender == "compile" and not with_compile:
            continue
        before = kernels_generated()
        try:
            problem = wrong(step(), want)
        except Exception as error:
            problem = f"failed: {type(error).__name__}: {str(error).splitlines()[0]}"
        if contender == "compile" and not problem and kernels_generated() == before:
            problem = "compiled nothing"
        if problem:
            notes.append(f"{contender} {problem}")
        else:
            good[contender] = step
    return good, notes


def once(step: Callable[[], Outcome], repeats: int) -> float:
    """Seconds of a call, the mean over `repeats`."""
    start = time.perf_counter()
    for _ in range(repeats):
        step()
    return (time.perf_counter() - start) / repeats


def measure(name: str, shape: tuple[int, ...], seconds: float, with_compile: bool) -> Row:
    """Contenders take turns, round by round, each first in its turn; the median over the rounds counts."""
    good, notes = ready(name, shape, with_compile)
    if not good:
        return Row(name, shape, {}, 0, "; ".join(notes))
    first = {contender: min(once(step, 1) for _ in range(4)) for contender, step in good.items()}
    repeats = {contender: max(1, int(3e-4 / guess)) for contender, guess in first.items()}
    each = sum(first[c] * repeats[c] for c in good)
    rounds = max(9, min(300, int(seconds / each)))
    times: dict[str, list[float]] = {contender: [] for contender in good}
    order = list(good)
    for _ in range(rounds):
        order.append(order.pop(0))
        for contender in order:
            times[contender].append(once(good[contender], repeats[contender]))
    medians = {contender: 1e6 * statistics.median(t) for contender, t in times.items()}
    return Row(name, shape, medians, rounds, "; ".join(notes))


def geometric_mean(values: Sequence[float]) -> float:
    finite = [v for v in values if not math.isnan(v)]
    return math.exp(statistics.fmean(map(math.log, finite))) if finite else math.nan


HEAD = f"{'loss':14}{'shape':>13}" + "".join(f"{c + ' us':>16}" for c in CONTENDERS)


def line(row: Row) -> str:
    times = "".join(f"{row.microseconds.get(c, math.nan):16.1f}" for c in CONTENDERS)
    ratios = "".join(f"{row.ratio(slow, 'glo'):12.2f}" for slow in ("eager", "compile"))
    shape = "x".join(map(str, row.shape))
    return f"{row.loss:14}{shape:>13}{times}{ratios}{row.ratio('eager', 'glo autograd'):16.2f}  {row.note}".rstrip()


def summary(rows: Sequence[Row]) -> dict[str, float]:
    pairs = {(slow, fast) for slow in ("eager", "compile") for fast in ("glo", "glo autograd")}
    return {f"{slow} / {fast}": geometric_mean([r.ratio(slow, fast) for r in rows]) for slow, fast in sorted(pairs)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="write the results as JSON to this file")
    parser.add_argument("--quick", action="store_true", help="two shapes and short rounds")
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out: it takes most of the time")
    parser.add_argument("--loss", action="append", choices=LOSSES, help="only this loss; may be repeated")
    options = parser.parse_args()
    torch._inductor.config.fx_graph_cache = False  # a kernel from a cache would not be seen to be compiled
    facts = machine()
    print(*(f"{key}: {value}" for key, value in facts.items()), sep="\n", end="\n\n")
    print(HEAD + f"{'eager/glo':>12}{'compile/glo':>12}{'eager/autograd':>16}")
    rows = []
    for name in options.loss or LOSSES:
        shapes: Sequence[tuple[int, ...]] = FLAT if name in ("huber", "mse") else ROWS
        for shape in shapes[1:3] if options.quick else shapes:
            seconds = SECONDS / 5 if options.quick else SECONDS
            rows.append(measure(name, shape, seconds, not options.no_compile))
            print(line(rows[-1]), flush=True)
    facts["load after"] = os.getloadavg()[0]
    means = summary(rows)
    print("\ngeometric means: " + ", ".join(f"{key} {value:.2f}" for key, value in means.items()))
    if options.out:
        result = {"machine": facts, "rows": [asdict(row) for row in rows], "geometric means": means}
        options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

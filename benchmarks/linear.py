"""A linear layer into a loss: time and memory of `glo.linear` and of the whole logits. See README.md in this folder."""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from eager import EAGER, constants
from measuring import machine
from torch import Tensor

import glo_dsl as glo

EXAMPLES = Path(__file__).parents[1] / "examples"
SHAPES = {"large": (4096, 1024, 50257), "small": (2048, 256, 8000)}
CONTENDERS = {
    "cross_entropy": ("glo linear", "glo", "eager", "torch chunked"),
    "baikal": ("glo linear", "glo", "eager"),
    "taylor3": ("glo linear", "glo", "eager"),
}
MEGABYTE = 1e6
Step = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass
class Row:
    """A contender: seconds of a training step of the layer, and megabytes it took beyond the gradients it gave."""

    loss: str
    shape: tuple[int, ...]
    contender: str
    seconds: float
    megabytes: float
    logits_megabytes: float
    gradient_error: float


def step_of(name: str, contender: str) -> Step:
    """The loss as a function of hidden states, weight and classes."""
    loss = glo.load(EXAMPLES / f"{name}.glo")[name]
    if contender == "glo linear":
        return glo.linear(loss)
    if contender == "torch chunked":
        options = torch.nn.LinearCrossEntropyOptions()
        return lambda h, w, t: F.linear_cross_entropy(h, w, t, options=options)
    if contender == "glo":
        fn = glo.compile(loss)
        return lambda h, w, t: fn(F.linear(h, w), t)
    eager, given = EAGER[name], constants(loss)
    return lambda h, w, t: eager(F.linear(h, w), t, *given)


def data(rows: int, width: int, classes: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(rows, width, generator=generator)
    weight = torch.randn(classes, width, generator=generator) / width**0.5
    return hidden.requires_grad_(), weight.requires_grad_(), torch.randint(0, classes, (rows,), generator=generator)


def resident(entry: str) -> int:
    """Bytes of this process in memory: VmRSS now, VmHWM at most since the last reset."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(entry)).split()[1])


def measure_here(name: str, contender: str, shape: tuple[int, ...], gradients: Path) -> tuple[float, float]:
    """Seconds and extra bytes of a step, in a process that has done nothing else; its gradients go to a file."""
    step = step_of(name, contender)
    hidden, weight, t = data(*shape)
    step(hidden, weight, t).backward()  # kernels are built, and the pages of libraries in memory
    hidden.grad = weight.grad = None
    ctypes.CDLL(None).malloc_trim(0)
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    step(hidden, weight, t).backward()
    assert hidden.grad is not None and weight.grad is not None
    extra = resident("VmHWM") - before - hidden.grad.nbytes - weight.grad.nbytes
    torch.save((hidden.grad, weight.grad), gradients)
    hidden.grad = weight.grad = None
    start = time.perf_counter()
    step(hidden, weight, t).backward()
    return time.perf_counter() - start, extra


def measure(name: str, contender: str, shape: tuple[int, ...], gradients: Path) -> tuple[float, float]:
    """The same in a process of its own."""
    arguments = ["--one", name, contender, json.dumps(shape), str(gradients)]
    done = subprocess.run([sys.executable, __file__, *arguments], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    seconds, extra = json.loads(done.stdout)
    return seconds, extra


def gradient_error(mine: Path, want: Path) -> float:
    """The largest difference of two pairs of gradients, as part of the largest entry."""
    pairs = zip(torch.load(mine), torch.load(want))
    return max(float((a - b).abs().max() / b.abs().max()) for a, b in pairs)


def compare(name: str, shape: tuple[int, ...], rounds: int) -> list[Row]:
    """The contenders in turns, each time in new processes; medians."""
    times: dict[str, list[tuple[float, float]]] = {contender: [] for contender in CONTENDERS[name]}
    errors = {}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            for contender, found in times.items():
                found.append(measure(name, contender, shape, Path(folder) / contender))
        for contender in times:
            errors[contender] = gradient_error(Path(folder) / contender, Path(folder) / "eager")
    logits = shape[0] * shape[2] * 4 / MEGABYTE
    return [
        Row(
            name, shape, contender, statistics.median(s for s, _ in found),
            statistics.median(e for _, e in found) / MEGABYTE, logits, errors[contender],
        )
        for contender, found in times.items()
    ]  # fmt: skip


def line(row: Row) -> str:
    share = f"{row.megabytes / row.logits_megabytes:.3f} of the logits"
    numbers = f"{row.seconds:8.2f} s {row.megabytes:8.0f} MB = {share:22}"
    return f"{row.loss:14} {'x'.join(map(str, row.shape)):16} {row.contender:14}{numbers} {row.gradient_error:.0e}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="write the results as JSON to this file")
    parser.add_argument("--quick", action="store_true", help="the small shape only, one round")
    parser.add_argument("--loss", choices=list(CONTENDERS), help="only this loss; others stay as they are in the file")
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        name, contender, shape, gradients = options.one
        print(json.dumps(measure_here(name, contender, tuple(json.loads(shape)), Path(gradients))))
        return
    facts = machine()
    print(*(f"{key}: {value}" for key, value in facts.items()), sep="\n", end="\n\n")
    rows = []
    for shape in [SHAPES["small"]] if options.quick else SHAPES.values():
        for name in [options.loss] if options.loss else CONTENDERS:
            found = compare(name, shape, 1 if options.quick else 3)
            rows += found
            print(*map(line, found), sep="\n", flush=True)
    facts["load after"] = os.getloadavg()[0]
    if options.out:
        old = json.loads(options.out.read_text())["rows"] if options.loss and options.out.exists() else []
        kept = [row for row in old if row["loss"] != options.loss]
        result = {"machine": facts, "rows": kept + [asdict(row) for row in rows]}
        options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""What a call costs where the kernel costs nothing: batches of 128 and 10 classes; launches, waits, graph replay."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from eager import EAGER, constants, differentiated
from torch import Tensor

import glo_dsl as glo
from on_gpu.cases import Case, measured
from on_gpu.judge import first_line
from on_gpu.setting import Result, Results, Setting
from on_gpu.timing import Contender, interleaved

NAMES = ("cross_entropy", "focal", "baikal", "taylor3")
ROWS, CLASSES, BUFFERS = 128, 10, 4
CALLS, BLOCKS = 300, 5
GOALS = {"wall us": 30, "launches": 2, "replay us": 6}
SECONDS = 0.3


def overhead(setting: Setting) -> Results:
    for name in NAMES[: setting.count(len(NAMES))]:
        yield calls(setting, Case(glo.zoo[name], *setting.shape(ROWS, CLASSES), torch.float32))


def calls(setting: Setting, case: Case) -> Result:
    """The same step by `value_and_grad`, by autograd, and in eager PyTorch with autograd."""
    fn, form, given = (
        glo.compile(case.loss, "triton"),
        EAGER[case.loss.name],
        constants(case.loss, device=setting.device),
    )
    data = [case.inputs(setting, seed) for seed in range(BUFFERS)]

    def direct(n: int) -> tuple[Tensor, list[Tensor]]:
        value, gradients = fn.value_and_grad(*data[n])
        return value, list(gradients.values())

    def stepped(function: Callable[..., Tensor], *rest: Tensor) -> Contender:
        def step(n: int) -> tuple[Tensor, list[Tensor]]:
            value, gradient = differentiated(function, *data[n], *rest)
            return value, [gradient]

        return Contender(step)

    contenders = {"glo": Contender(direct), "glo autograd": stepped(fn), "eager": stepped(form, *given)}
    result = measured(setting, case.result(), case.dtype, contenders, case.truth(data[0]), BUFFERS, SECONDS)
    right = {name: contenders[name] for name in contenders if name in result.microseconds}
    for name, wall in walls(setting, right).items():
        result.figures[f"{name} wall us"] = wall
    for name in ("glo", "glo autograd"):
        if name not in right:
            continue
        result.figures[f"{name} launches"] = launches(setting, lambda name=name: right[name].step(0))
        report_waiting(setting, result, name, lambda name=name: right[name].step(0))
    if case.loss.params:
        tensors = {p: torch.tensor(value, device=setting.device) for p, value in case.loss.defaults.items()}
        report_waiting(setting, result, "constants on the device", lambda: fn.value_and_grad(*data[0], **tensors))
    if "glo" in right and not setting.rehearsal:
        result.figures["replay us"] = replay(setting, direct)
    result.figures["goals"] = ", ".join(f"{name} {goal}" for name, goal in GOALS.items())
    return result


def walls(setting: Setting, contenders: dict[str, Contender]) -> dict[str, float]:
    """Microseconds of a call in a long row of them, the device included; the median of blocks in turns."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    count = setting.count(CALLS)
    for _ in range(BLOCKS):
        for name, contender in contenders.items():
            setting.wait()
            begin = time.perf_counter()
            for n in range(count):
                contender.step(n % BUFFERS)
            setting.wait()
            times[name].append((time.perf_counter() - begin) / count)
    return {name: round(1e6 * statistics.median(found), 2) for name, found in times.items()}


def launches(setting: Setting, step: Callable[[], object]) -> int | None:
    """Kernels and copies that a call starts; None where the profiler sees no device."""
    if setting.rehearsal:
        return None
    from torch.profiler import ProfilerActivity, profile

    step()
    setting.wait()
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as seen:
        step()
        setting.wait()
    return sum(e.device_type == torch.autograd.DeviceType.CUDA for e in seen.events()) or None


@contextmanager
def no_waiting(setting: Setting) -> Iterator[None]:
    """PyTorch raises an error where the host would wait for the device."""
    if setting.rehearsal:
        yield
        return
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def report_waiting(setting: Setting, result: Result, name: str, step: Callable[[], object]) -> None:
    """Whether a call, warm, waits for the device, and what says so."""
    step()
    try:
        with no_waiting(setting):
            step()
    except RuntimeError as error:
        result.notes.append(f"{name}: {first_line(error)}")
        result.figures[f"{name} waits"] = "YES"
    else:
        result.figures[f"{name} waits"] = "unknown" if setting.rehearsal else "no"


def replay(setting: Setting, step: Callable[[int], object]) -> float:
    """Microseconds of a call that a CUDA graph has recorded."""
    graph = recorded(lambda: step(0))
    return interleaved({"replay": Contender(lambda n: graph.replay())}, 1, setting.clock, SECONDS)["replay"][0]


def recorded(step: Callable[[], object]) -> torch.cuda.CUDAGraph:
    """A call as a graph, warm: PyTorch wants a few runs on another stream first."""
    other = torch.cuda.Stream()
    other.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(other):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(other)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph

"""`glo bench`: how fast a loss is on this machine; and with `--tune`, which tiles its GPU likes best."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from glo_dsl.cli.compile import find
from glo_dsl.errors import GloError
from glo_dsl.lang.loss import Loss


class Dtype(StrEnum):
    """What predictions are held in."""

    float16 = "float16"
    bfloat16 = "bfloat16"
    float32 = "float32"
    float64 = "float64"


def bench_command(
    file: Annotated[str, typer.Argument(help="A .glo file, or the name of a loss of the library.",
                                        show_default=False)] = "",
    loss: Annotated[str, typer.Option(help="Which loss of the file.")] = "",
    rows: Annotated[int, typer.Option(min=1, help="Samples.")] = 4096,
    classes: Annotated[int, typer.Option(min=1, help="Classes, where the loss has a class axis.")] = 1000,
    dtype: Annotated[Dtype, typer.Option(help="Of the real inputs.")] = Dtype.float32,
    seconds: Annotated[float, typer.Option(min=0.01, help="That each target is timed for.")] = 1.0,
    tune: Annotated[bool, typer.Option("--tune", help="Measure tiles on this GPU, for later kernels.")] = False,
    forget: Annotated[bool, typer.Option("--forget", help="Forget the tiles that were measured.")] = False,
) -> None:  # fmt: skip
    """Time a loss with its gradient on this machine, or measure tiles for its GPU."""
    console = Console()
    if not console.is_terminal:
        console.width = 100
    if tune or forget:
        if file:
            raise GloError("tiles are not those of one loss", hint="glo bench --tune, with no file")
        _tune(console) if tune else _forget(console)
        return
    if not file:
        raise GloError("no loss to time", hint="glo bench FILE, or the name of a loss of the library: glo bench focal")
    _time(console, find(file, loss), rows, classes, dtype, seconds)


def _time(console: Console, loss: Loss, rows: int, classes: int, dtype: Dtype, seconds: float) -> None:
    import torch

    from glo_dsl.runtime.build_c import NoCompiler
    from glo_dsl.verify.timing import copied, inputs_of, timed

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    inputs = inputs_of(loss, rows, classes, getattr(torch, dtype), device)
    first = next(t for t in inputs if t.is_floating_point())
    found = [copied(first, seconds)]
    for target in ("triton" if device.type == "cuda" else "c", "torch"):
        try:
            found.append(timed(loss, target, inputs, seconds))
        except NoCompiler as reason:
            console.print(f"target {target}: {reason}", markup=False, highlight=False)
    shape = f"{rows} x {classes}" if any(v.type.per_class for v in loss.inputs) else str(rows)
    table = Table(title=f"{loss.name}, {shape}, {dtype}, {device.type}", title_justify="left", box=None, pad_edge=False)
    for column in ("what", "microseconds", "GB/s", "of a copy", ""):
        table.add_column(column, justify="left" if column in ("what", "") else "right")
    copy = found[0].bytes / found[0].seconds
    for each in found:
        speed = each.bytes / each.seconds
        note = "" if each.agrees else "not what PyTorch's operations give"
        table.add_row(each.target, f"{1e6 * each.seconds:.1f}", f"{speed / 1e9:.1f}", f"{speed / copy:.2f}", note)
    console.print(table)
    console.print("\nLoss and gradient in one call. Bytes are those that any kernel has to read and write.",
                  markup=False, highlight=False)  # fmt: skip


def _tune(console: Console) -> None:
    import torch

    if not torch.cuda.is_available() or torch.version.hip:
        raise GloError("no NVIDIA GPU here to measure tiles on", hint="glo bench FILE times a loss on the CPU")
    import triton
    from triton.testing import do_bench

    from glo_dsl.runtime.tiles import path
    from glo_dsl.runtime.tune import tune

    major, minor = torch.cuda.get_device_capability()
    release = tuple(int(word) for word in triton.__version__.split(".")[:2])

    def timer(step: object) -> float:
        return float(do_bench(step, return_mode="median")) / 1e3

    with console.status("measuring") as status:
        tables = tune(
            torch.device("cuda"), f"cuda:{major}{minor}", timer, clusters=major >= 9 and release >= (3, 8),
            report=lambda trial: status.update(f"{trial.loss}, {trial.classes} classes"),
        )  # fmt: skip
    for name, table in tables.items():
        rows = ", ".join(f"{t.values}: {t.warps} warps" + f" x {t.ctas}" * (t.ctas > 1) for t in table[:-1])
        last = f"beyond: {table[-1].values} at a time, {table[-1].warps} warps"
        console.print(f"like {name}: {rows}, {last}", markup=False, highlight=False)
    console.print(f"\nkept in {path()}; glo bench --forget removes it", markup=False, highlight=False)


def _forget(console: Console) -> None:
    from glo_dsl.runtime.tiles import forget

    there = forget()
    console.print("forgotten" if there else "nothing was measured here", markup=False, highlight=False)

"""`glo check`: gradients, laws and examples of .glo files, tried hard."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import glo_dsl
from glo_dsl.errors import Diagnostic, GloError, did_you_mean
from glo_dsl.lang.loss import Loss
from glo_dsl.passes.lint import diagnose

if TYPE_CHECKING:
    from glo_dsl.verify.report import Failure, Report

AT_ONCE = 6
"""Losses that one process takes at a time; their kernels are built together."""

FEW = 12
"""Up to so many losses, starting more processes takes longer than it saves."""


@dataclass(frozen=True)
class Options:
    """What the checks of all files have in common."""

    targets: tuple[str, ...]
    examples: int
    seed: int | None


@dataclass(frozen=True)
class Part:
    """Some losses of one file, for one process: it reads them itself, for expressions do not travel."""

    file: Path
    names: tuple[str, ...]


def check_command(
    files: Annotated[list[Path], typer.Argument(help="The .glo files, or directories of them.", metavar="FILE...",
                                                show_default=False)],
    loss: Annotated[str, typer.Option(help="Check this loss only.")] = "",
    target: Annotated[list[str] | None, typer.Option(help="Compare this target only: c, torch or triton (in its "
                                                          "interpreter). May be given several times.")] = None,
    examples: Annotated[int, typer.Option(help="Draws per law, and per loss for its gradients; random rows come on "
                                               "top.", min=1)] = 25,
    seed: Annotated[int | None, typer.Option(help="Other draws than in every run.", min=0, show_default=False)] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Fail on warnings and notes too.")] = False,
    report: Annotated[Path | None, typer.Option("--json", help="Write all that is found to this file.")] = None,
    jobs: Annotated[int, typer.Option(help="Processes; 0 for one per core where there is much to do.", min=0)] = 0,
) -> None:  # fmt: skip
    """Check losses: their gradients on every target, their laws and their examples.

    Exit code 0 if nothing is wrong, 1 if something is, 2 if the command is.
    """
    options = Options(tuple(dict.fromkeys(target or ("c", "torch"))), examples, seed)
    _check_targets(options.targets)
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # batches are small: threads would wait for each other
    console = Console(soft_wrap=True, highlight=False)
    read = [(file, *_read(file)) for file in _files(files)]
    parts = list(_parts([(file, losses) for file, losses, _ in read], loss))
    diagnostics = [d for _, _, found in read for d in found]
    if diagnostics:
        print("\n\n".join(map(str, diagnostics)) + "\n", file=sys.stderr)
    began = time.perf_counter()
    try:
        reports = list(_shown(console, parts, _reports(parts, options, jobs)))
    except KeyboardInterrupt:
        raise GloError("interrupted") from None
    _summary(console, reports, time.perf_counter() - began)
    if report is not None:
        _write(report, reports, diagnostics)
    doubtful = strict and (diagnostics or any(r.notes for r in reports))
    if doubtful or any(d.severity == "error" for d in diagnostics) or not all(r.ok for r in reports):
        raise typer.Exit(1)


def _check_targets(targets: Sequence[str]) -> None:
    known = ("c", "torch", "triton")
    for name in targets:
        if name not in known:
            hint = did_you_mean(name, known) or f"choose: {', '.join(known)}"
            raise typer.BadParameter(f"unknown target {name}; {hint}", param_hint="--target")
    if "triton" in targets:
        os.environ["TRITON_INTERPRET"] = "1"  # before anything imports triton


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    """The files that are meant, each once."""
    found: dict[Path, None] = {}
    for path in paths:
        inside = sorted(path.rglob("*.glo")) if path.is_dir() else [path]
        if not inside:
            raise typer.BadParameter(f"there is no .glo file in {path}", param_hint="FILE")
        found |= dict.fromkeys(inside)
    yield from found


def _read(file: Path) -> tuple[dict[str, Loss], tuple[Diagnostic, ...]]:
    """The losses of a file that are right, and what there is to say about the rest."""
    try:
        text = glo_dsl.read(file)
    except GloError as error:
        raise typer.BadParameter(error.message, param_hint="FILE") from None
    module = diagnose(text, str(file), file)
    return module.losses, module.diagnostics


def _parts(read: Sequence[tuple[Path, dict[str, Loss]]], only: str) -> Iterator[Part]:
    known = {name for _, losses in read for name in losses}
    if only and only not in known:
        hint = did_you_mean(only, known) or f"there are: {', '.join(sorted(known)) or 'none'}"
        raise typer.BadParameter(f"no loss {only}; {hint}", param_hint="--loss")
    for file, losses in read:
        names = [name for name in losses if not only or name == only]
        for first in range(0, len(names), AT_ONCE):
            yield Part(file, tuple(names[first : first + AT_ONCE]))


def _reports(parts: Sequence[Part], options: Options, jobs: int) -> Iterator[Report]:
    """The reports in the order of the files."""
    count = sum(len(part.names) for part in parts)
    workers = min(len(parts), jobs or (os.cpu_count() or 1 if count > FEW else 1))
    if workers <= 1:
        for part in parts:
            yield from _checked(part, options)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for reports in pool.map(_collected, parts, [options] * len(parts)):
            yield from reports


def _collected(part: Part, options: Options) -> list[Report]:
    return list(_checked(part, options))


def _checked(part: Part, options: Options) -> Iterator[Report]:
    from glo_dsl.verify.check import check_losses

    losses, _ = _read(part.file)
    chosen = [losses[name] for name in part.names]
    yield from check_losses(chosen, targets=options.targets, examples=options.examples, seed=options.seed)


def _shown(console: Console, parts: Sequence[Part], reports: Iterable[Report]) -> Iterator[Report]:
    """One line for each loss as it is done, and below it what is wrong."""
    width = max((len(name) for part in parts for name in part.names), default=0)
    columns = (TextColumn("{task.description}"), BarColumn(24), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as display:
        task = display.add_task("checking", total=sum(len(part.names) for part in parts))
        for report in reports:
            _line(console, report, width)
            for failure in report.failures:
                _failure(console, failure)
            for note in report.notes:
                console.print(f"      note: {note}", style="yellow", markup=False)
            display.advance(task)
            yield report


def _line(console: Console, report: Report, width: int) -> None:
    word, style = ("skip", "yellow") if report.skipped else ("ok", "green") if report.ok else ("FAIL", "bold red")
    console.print(f"{word:<4}", style=style, end="  ")
    console.print(f"{report.loss:<{width}}  {report.skipped or ', '.join(_parts_of(report))}", markup=False)


def _parts_of(report: Report) -> Iterator[str]:
    """What was checked, in numbers."""
    if report.targets:
        yield f"{_targets(report.targets)}: {report.compared} of {report.rows} rows"
    if report.laws:
        yield f"{report.laws - report.failed('law')}/{report.laws} laws"
    if report.examples:
        yield f"{report.examples - report.failed('example')}/{report.examples} examples"
    yield f"{report.seconds:.1f} s"


def _targets(names: Sequence[str]) -> str:
    """`c in float64`, `c in float32` as `c64 c32`."""
    return " ".join(name.replace(" in float", "") for name in names)


def _failure(console: Console, failure: Failure) -> None:
    head, *rest = failure.lines()
    console.print()
    console.print(head, style="bold", markup=False)
    for line in rest:
        console.print(line, markup=False)
    if failure.reproduction:
        console.print(f"\nTo see it again:\n\n{failure.reproduction}", markup=False)


def _summary(console: Console, reports: Sequence[Report], seconds: float) -> None:
    counts = [
        (sum(not r.skipped for r in reports), "loss", "losses"), (sum(r.laws for r in reports), "law", "laws"),
        (sum(r.examples for r in reports), "example", "examples"),
    ]  # fmt: skip
    checked = ", ".join(f"{n} {one if n == 1 else many}" for n, one, many in counts if n) or "nothing to check"
    failed = [r.loss for r in reports if not r.ok]
    outcome = f"failed: {', '.join(failed)}" if failed else "nothing wrong found"
    console.print(f"\n{checked} in {seconds:.1f} s; {outcome}", markup=False)


def _write(path: Path, reports: Sequence[Report], diagnostics: Sequence[Diagnostic]) -> None:
    said: list[dict[str, Any]] = [
        {"file": d.source.name if d.source else "", "line": d.span.line if d.span else 0, "message": d.message,
         "code": d.code, "severity": d.severity}
        for d in diagnostics
    ]  # fmt: skip
    found = {"losses": [{**asdict(r), "ok": r.ok} for r in reports], "diagnostics": said}
    try:
        path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise GloError(f"cannot write {path}: {error.strerror}") from None

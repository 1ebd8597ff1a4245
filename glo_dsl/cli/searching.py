"""A search on the terminal: it is watched while it runs, may be interrupted, and ends with a table."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from glo_dsl.cli.interrupting import interruptible
from glo_dsl.cli.watching import Watch, watched
from glo_dsl.errors import GloError
from glo_dsl.evolve.compare import welch
from glo_dsl.evolve.progress import Progress
from glo_dsl.evolve.report.page import REPORT
from glo_dsl.evolve.session import Report
from glo_dsl.evolve.verify import Entry, Outcome


def shown(run: Callable[[Report], Outcome], directory: Path, executor: str = "", quiet: bool = False) -> None:
    """Runs a search, which a person can watch on standard error, and prints what it found on standard output.

    Raises:
        GloError: as the search does; or it was interrupted, with how to go on.
    """
    watch, errors = Watch(executor), Console(stderr=True)
    try:
        with (
            _plain_warnings(errors),
            interruptible(directory, watch.stop) as interrupted,
            watched(watch, errors, quiet) as show,
        ):

            def report(step: Progress) -> None:
                interrupted()
                show(step)

            outcome = run(report)
    except KeyboardInterrupt:
        raise GloError(
            "interrupted; everything that was finished is stored", hint=f"go on: glo resume {directory}"
        ) from None
    _print(Console(), outcome, directory, quiet)


@contextmanager
def _plain_warnings(console: Console) -> Iterator[None]:
    """Warnings as a user wants them: what is wrong, and not on which line of ours."""

    def tell(message: Warning | str, *_: object, **__: object) -> None:
        console.print(f"warning: {message}", markup=False, highlight=False, soft_wrap=True)

    with warnings.catch_warnings():
        warnings.showwarning = tell
        yield


def _print(console: Console, outcome: Outcome, directory: Path, quiet: bool) -> None:
    baseline = outcome.baseline
    seeds = len(baseline.result.accuracies)
    table = Table(title=f"untouched test data, {seeds} fresh seeds, each loss at its best learning rate")
    attacked = ("under attack",) if baseline.result.attacked else ()
    for column in ("loss", "size", "learning rate", "test", *attacked, "gain", "Welch p"):
        table.add_column(column, justify="left" if column == "loss" else "right")
    table.add_row(*_row(baseline), "", "")
    for n, entry in enumerate(outcome.entries):
        gain = entry.result.mean - baseline.result.mean
        name, *figures = _row(entry)
        table.add_row(
            f"{name} (best.glo)" if n == 0 else name, *figures, f"{100 * gain:+.2f} points",
            f"{welch(baseline.result, entry.result):.2g}",
        )  # fmt: skip
    console.print(table)
    if quiet:
        return
    counts = dict(outcome.counts)
    never = ", ".join(f"{n} {reason}" for reason, n in counts.items() if reason != "trained")
    console.print(f"{sum(counts.values())} proposals, {counts.get('trained', 0)} trained; not trained: {never or 0}.")
    console.print(
        f"{outcome.in_all} networks trained, {outcome.trainings} of them by the search; the others chose and tested "
        "what it found. ± is the standard error; best.glo was chosen on validation data."
    )
    best = (directory / "best.glo").read_text(encoding="utf-8").strip()
    console.print(f"\n{best}\n", markup=False, highlight=False, soft_wrap=True)
    page = "" if outcome.unreported else f"{REPORT} (open it in a browser), "
    console.print(
        f"Written to {directory}: {page}best.glo, best_triton.py (its kernel), front.glo, summary.json, the study",
        markup=False,
    )
    if outcome.unreported:
        console.print(f"No {REPORT} was written: {outcome.unreported}", markup=False)


def _row(entry: Entry) -> list[str]:
    result = entry.result
    size = str(entry.complexity) if entry.complexity else ""
    rate = f"{result.grid.best:.3g}{'' if result.grid.interior else ' (no optimum)'}"
    attacked = [result.under_attack] if result.attacked else []
    return [result.name, size, rate, f"{result.mean:.4f} ± {result.standard_error:.4f}", *attacked]

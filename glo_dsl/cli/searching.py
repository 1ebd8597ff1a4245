"""A search on the terminal: its progress, and the table at its end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from glo_dsl.errors import GloError
from glo_dsl.evolve.compare import welch
from glo_dsl.evolve.driver import Progress as Step
from glo_dsl.evolve.report.page import REPORT
from glo_dsl.evolve.session import Report
from glo_dsl.evolve.verify import Entry, Outcome


def shown(run: Callable[[Report], Outcome], directory: Path) -> None:
    """Runs a search with its progress on the terminal, and prints what it found.

    Raises:
        GloError: as the search does; or it was interrupted, with how to go on.
    """
    console = Console()
    with _display(console) as display:
        view = _View(display)
        try:
            outcome = run(view.show)
            view.finish()
        except KeyboardInterrupt:
            raise GloError(
                "interrupted; everything that was finished is stored", hint=f"go on: glo resume {directory}"
            ) from None
    _print(console, outcome, directory)


def _display(console: Console) -> Progress:
    columns = (
        TextColumn("{task.description:<30}"),
        BarColumn(12),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
    )
    return Progress(*columns, console=console, disable=not console.is_terminal)


class _View:
    """One line of progress per stage; where the output is no terminal, stages are printed as they begin."""

    def __init__(self, display: Progress) -> None:
        self._display = display
        self._lines: dict[str, TaskID] = {}

    def show(self, step: Step) -> None:
        if step.stage not in self._lines:
            self.finish()
            self._lines[step.stage] = self._display.add_task(step.stage, total=step.total, note="")
            if self._display.disable:
                self._display.console.print(f"{step.stage} ...")
        note = "" if step.best is None else f"best {step.best:.4f}"
        counts = dict(step.counts)
        if counts:
            note += f", {counts.get('trained', 0)} of {sum(counts.values())} proposals trained"
        self._display.update(self._lines[step.stage], completed=step.done, total=step.total, note=note)

    def finish(self) -> None:
        """A stage is over when the next one begins."""
        for line in self._display.tasks:
            self._display.update(line.id, completed=line.total)


def _print(console: Console, outcome: Outcome, directory: Path) -> None:
    baseline = outcome.baseline
    seeds = len(baseline.result.accuracies)
    table = Table(title=f"untouched test data, {seeds} fresh seeds, each loss at its best learning rate")
    for column in ("loss", "size", "learning rate", "test", "gain", "Welch p"):
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
    return [result.name, size, rate, f"{result.mean:.4f} ± {result.standard_error:.4f}"]

"""`glo search`: evolve the hole of a loss on a task, tune its constants, compare with tuned cross-entropy."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

import glo_dsl
from glo_dsl.cli.compile import choose
from glo_dsl.cli.files import read_losses
from glo_dsl.errors import GloError


def search_command(
    file: Annotated[Path, typer.Argument(help="A .glo file with a hole, like examples/glo.glo.", show_default=False)],
    loss: Annotated[str, typer.Option(help="Which loss of the file; needed when there are several.")] = "",
    task: Annotated[str, typer.Option(help="What to train on.")] = "digits",
    generations: Annotated[int, typer.Option(help="Generations of genetic programming.", min=0)] = 16,
    population: Annotated[int, typer.Option(help="Proposals in a generation; most are never trained.", min=4)] = 60,
    fresh_seeds: Annotated[int, typer.Option(help="Fresh seeds in the final comparison.", min=2)] = 100,
    seed: Annotated[int, typer.Option(help="All random choices follow from it.", min=0)] = 0,
    out: Annotated[Path, typer.Option(help="Directory for what is found.")] = Path("glo-out"),
    overwrite: Annotated[bool, typer.Option(help="Replace what an earlier search left in the directory.")] = False,
) -> None:  # fmt: skip
    """Search for a better loss, and say honestly whether it is one."""
    chosen = choose(read_losses(file), file, loss)
    if (out / "best.glo").exists() and not overwrite:
        raise GloError(f"{out} holds an earlier search", hint="choose another --out, or say --overwrite")
    from glo_dsl.evolve.space import space_of

    space_of(chosen)  # a mistake is answered before the tensor libraries are imported, which takes seconds
    from glo_dsl.evolve.search import Plan, check_space, search
    from glo_dsl.evolve.task import task_named

    check_space(chosen)
    plan = Plan(seed=seed, generations=generations, fresh_seeds=fresh_seeds)
    settings = replace(plan.settings, population=population, newcomers=min(plan.settings.newcomers, population // 2))
    console = Console()
    with _display(console) as display:
        view = _View(display)
        try:
            outcome = search(chosen, task_named(task), replace(plan, settings=settings), out, view.show)
            view.finish()
        except KeyboardInterrupt:
            raise GloError(f"interrupted; every evaluated candidate is in {out / 'candidates.jsonl'}") from None
    _write(outcome, out)
    _print(console, outcome, out, task)


def _display(console: Console) -> Progress:
    columns = (
        TextColumn("{task.description:<35}"),
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

    def show(self, progress: object) -> None:
        from glo_dsl.evolve.search import Progress as Step

        assert isinstance(progress, Step)
        if progress.stage not in self._lines:
            self.finish()
            self._lines[progress.stage] = self._display.add_task(progress.stage, total=progress.total, note="")
            if self._display.disable:
                self._display.console.print(f"{progress.stage} ...")
        note = f"best {progress.best:.4f}" if progress.best else ""
        counts = dict(progress.counts)
        if counts:
            note += f", trained {counts.get('trained', 0)} of {sum(counts.values())}"
        self._display.update(self._lines[progress.stage], completed=progress.done, total=progress.total, note=note)

    def finish(self) -> None:
        """A stage is over when the next one begins."""
        for line in self._display.tasks:
            self._display.update(line.id, completed=line.total)


def _write(outcome: object, out: Path) -> None:
    """The winner's standalone module and the figures behind the table."""
    from glo_dsl.evolve.compare import welch
    from glo_dsl.evolve.search import Outcome
    from glo_dsl.runtime.standalone import standalone

    assert isinstance(outcome, Outcome)
    best = glo_dsl.load(out / "best.glo")["best"]
    (out / "best_triton.py").write_text(standalone(best, glo_dsl.__version__), encoding="utf-8")
    baseline = outcome.results[0]
    rows = [
        {"name": r.name, "learning_rate": r.grid.best, "grid": dict(zip(map(str, r.grid.rates), r.grid.accuracy)),
         "test_accuracies": r.accuracies, "mean": r.mean, "standard_error": r.standard_error,
         "welch_p": None if r is baseline else welch(baseline, r)}
        for r in outcome.results
    ]  # fmt: skip
    summary = {"best": outcome.best_name, "trainings": outcome.trainings, "proposals": outcome.counts, "losses": rows}
    (out / "summary.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")


def _print(console: Console, outcome: object, out: Path, task: str) -> None:
    from glo_dsl.evolve.compare import welch
    from glo_dsl.evolve.search import Outcome

    assert isinstance(outcome, Outcome)
    baseline = outcome.results[0]
    seeds = len(baseline.accuracies)
    table = Table(title=f"{task}: accuracy on untouched test data, {seeds} fresh seeds, each loss at its best rate")
    for column in ("loss", "learning rate", "test accuracy", "gain", "Welch p"):
        table.add_column(column, justify="left" if column == "loss" else "right")
    for r in outcome.results:
        against = (
            ("", "")
            if r is baseline
            else (f"{100 * (r.mean - baseline.mean):+.2f} points", f"{welch(baseline, r):.2g}")
        )
        name = f"{r.name} (best.glo)" if r.name == outcome.best_name else r.name
        table.add_row(name, f"{r.grid.best:.3g}", f"{r.mean:.4f} ± {r.standard_error:.4f}", *against)
    console.print(table)
    counts = outcome.counts
    proposals = sum(counts.values())
    never = ", ".join(f"{n} {reason}" for reason, n in counts.items() if reason != "trained")
    console.print(f"{proposals} proposals, {counts.get('trained', 0)} trained; not trained: {never}.")
    console.print(
        f"{outcome.trainings} networks trained in all. ± is the standard error; best.glo was chosen on validation data."
    )
    console.print(f"\n{outcome.best.strip()}\n", markup=False, highlight=False, soft_wrap=True)
    console.print(f"Written to {out}: best.glo, best_triton.py (its kernel), summary.json, candidates.jsonl")

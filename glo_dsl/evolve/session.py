"""A search in a directory: begun or resumed there, and its results written there."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import glo_dsl
from glo_dsl.errors import GloError
from glo_dsl.evolve.baseline import check_search
from glo_dsl.evolve.checkpoint import USELESS, versions
from glo_dsl.evolve.compare import welch
from glo_dsl.evolve.config import Config, from_json
from glo_dsl.evolve.device import device_named
from glo_dsl.evolve.driver import Search
from glo_dsl.evolve.evaluator import trainer_of
from glo_dsl.evolve.executors.executor import Executor
from glo_dsl.evolve.executors.named import executor_named
from glo_dsl.evolve.ledger import Ledger
from glo_dsl.evolve.progress import Progress
from glo_dsl.evolve.report.page import REPORT, write_report
from glo_dsl.evolve.space import Space
from glo_dsl.evolve.store.records import Records
from glo_dsl.evolve.store.study import Study
from glo_dsl.evolve.tasks.named import task_named
from glo_dsl.evolve.verify import Entry, Outcome
from glo_dsl.evolve.writers.log import Log
from glo_dsl.evolve.writers.named import check
from glo_dsl.lang.loss import Param
from glo_dsl.lang.restate import restated
from glo_dsl.runtime.standalone import standalone

Report = Callable[[Progress], None]

REPORTED = "reported"
"""The note with the version that has written the page of a search that had ended."""


@dataclass(frozen=True)
class Where:
    """Where a search computes; its result does not depend on it.

    Attributes: see `executor_named`.
    """

    executor: str = "in-process"
    workers: int | None = None
    time_limit: float | None = None
    address: str | None = None

    def begin(self, config: Config) -> Executor:
        """The executor, with trainers of the task.

        Raises:
            GloError: as `executor_named` does, or the device is not there.
        """
        factory = trainer_of(config.task, config.task_options, config.device)
        gpu = config.device != "cpu"
        if gpu and self.executor != "ray":  # whose workers are elsewhere
            device_named(config.device)
        return executor_named(self.executor, self.workers, factory, self.time_limit, self.address, gpu=gpu)


def begin(
    config: Config, directory: Path, where: Where, report: Report = lambda _: None, logs: Sequence[str] = ()
) -> Outcome:
    """Runs a search in a new study. `logs`: loggers that follow it, see `writers.named`.

    Raises:
        GloError: the directory has a study, the configuration makes no sense, nothing in the space trains, or a logger
            is not installed.
        KeyboardInterrupt: what was finished is in the study.
    """
    check(logs)
    task = task_named(config.task, **config.task_options)  # a mistake is answered before anything is written
    check_search(config, task)
    with where.begin(config) as executor, Study.create(directory, config.as_json()) as study:
        return _run(config, study, executor, directory, report, logs)


def resume(directory: Path, where: Where, report: Report = lambda _: None, logs: Sequence[str] = ()) -> Outcome:
    """Goes on with the search of a study, or tells again what it found. `logs` get what they do not have.

    Raises:
        GloError: there is no study, another process drives it, this version would have another history, or a logger is
            not installed.
    """
    check(logs)
    with Study.open(directory) as study:
        config = from_json(study.config())
        with where.begin(config) as executor:
            return _run(config, study, executor, directory, report, logs)


def _run(
    config: Config, study: Study, executor: Executor, directory: Path, report: Report, logs: Sequence[str]
) -> Outcome:
    study.take()
    task = task_named(config.task, **config.task_options)
    with Log(logs, directory, config) as log:

        def heard(step: Progress) -> None:
            report(step)
            log.show(step)

        def opened() -> Search:
            return Search(config, task, Ledger(study, executor, told=lambda *_: search.tell()), heard)

        search = opened()
        if not logs:  # a log may want to have what is in the book
            try:
                search.skip()
            except USELESS:
                search = opened()
        study.note("search", about(search))
        outcome = search.run()
        search.ledger.record("result", result_of(outcome, search.space))
        write(outcome, search, directory)
        log.end(outcome, {name: (directory / name).read_text(encoding="utf-8") for name in ("best.glo", "front.glo")})
    return replace(outcome, unreported=_reported(study, directory))


def _reported(study: Study, directory: Path) -> str:
    """Writes the page about a search that has ended, once: to draw it takes longer than all else that tells a result
    again. Why there is none, or ""."""
    if study.noted(REPORTED) == glo_dsl.__version__ and (directory / REPORT).is_file():
        return ""
    try:
        write_report(study, directory, directory / REPORT)
        study.note(REPORTED, glo_dsl.__version__)
    except GloError as error:
        return f"{error.message}: {error.hint}" if error.hint else error.message
    return ""


def text_of(entry: Entry, space: Space | None, name: str, remark: str = "") -> str:
    """A finalist as a `.glo` file, in the words of the space where it has a hole."""
    if space is not None and entry.genotype is not None:
        extra: tuple[Param, ...] = entry.loss.params[len(space.loss.params) :]
        return space.text(entry.genotype, extra, remark, name)
    comment = "".join(f"# {line}\n" for line in remark.splitlines())
    head, _, rest = restated(entry.loss).partition("(")
    return f"{comment}{head.split()[0]} {name}({rest}\n"


def about(search: Search) -> dict[str, Any]:
    """What a report wants to know of a search that its configuration does not say."""
    return {
        "metric": search.task.metric, "outputs": search.task.outputs, "baseline": restated(search.baseline),
        "versions": versions(),
    }  # fmt: skip


def result_of(outcome: Outcome, space: Space | None) -> dict[str, Any]:
    """What a search ended with, as its last event has it."""
    entries = [(outcome.baseline, restated(outcome.baseline.loss))]
    entries += [(e, text_of(e, space, e.loss.name)) for e in outcome.entries]
    losses = [
        {
            "name": e.result.name, "text": text, "restated": restated(e.loss), "complexity": e.complexity,
            "grid": [list(e.result.grid.rates), list(e.result.grid.accuracy)],
            "test": list(e.result.accuracies), "diverged": e.result.diverged,
            **({"attacked": list(e.result.attacked)} if e.result.attacked else {}),
        }
        for e, text in entries
    ]  # fmt: skip
    return {"trainings": outcome.trainings, "in_all": outcome.in_all, "losses": losses}


def write(outcome: Outcome, search: Search, directory: Path) -> None:
    """`best.glo`, its kernel, `front.glo` with all finalists, and the figures behind the table."""
    best, config = outcome.entries[0], search.config
    remark = (
        f"Found by glo search on task {config.task}; train it with a learning rate near {best.result.grid.best:.3g}."
    )
    remark += f"\nIt comes from {', '.join(best.seeds)}." if best.seeds else ""
    text = text_of(best, search.space, "best", remark)
    (directory / "best.glo").write_text(text, encoding="utf-8")
    loss = glo_dsl.loads(text, "best.glo")["best"]
    (directory / "best_triton.py").write_text(standalone(loss, glo_dsl.__version__), encoding="utf-8")
    front = [text_of(e, search.space, e.loss.name, _told(e, outcome.baseline)) for e in outcome.entries]
    (directory / "front.glo").write_text(_joined(front), encoding="utf-8")
    rows = [_row(e, outcome.baseline) for e in (outcome.baseline, *outcome.entries)]
    summary = {
        "task": config.task, "strategy": config.strategy, "trainings": outcome.trainings, "in all": outcome.in_all,
        "proposals": dict(outcome.counts), "losses": rows,
    }  # fmt: skip
    (directory / "summary.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")


def _joined(texts: list[str]) -> str:
    """Files in one, in which what several begin with stands once."""
    seen: dict[str, None] = {}
    for text in texts:
        seen |= dict.fromkeys(part.strip("\n") for part in text.split("\n\n"))
    return "\n\n".join(seen) + "\n"


def _told(entry: Entry, baseline: Entry) -> str:
    mean, error = entry.result.mean, entry.result.standard_error
    result = f"{mean:.4f} +- {error:.4f} on test data; {baseline.loss.name}: {baseline.result.mean:.4f}"
    if entry.result.attacked:
        mine, usual = fmean(entry.result.attacked), fmean(baseline.result.attacked)
        result += f"\n{mine:.4f} under attack; {baseline.loss.name}: {usual:.4f}"
    return f"{result}\ncomes from {', '.join(entry.seeds)}" if entry.seeds else result


def _row(entry: Entry, baseline: Entry) -> dict[str, Any]:
    result = entry.result
    return {
        "name": result.name, "text": restated(entry.loss), "complexity": entry.complexity, "seeds": list(entry.seeds),
        "learning_rate": result.grid.best, "grid": result.grid.written,
        "test": result.accuracies, "mean": result.mean, "standard_error": result.standard_error,
        **({"attacked": result.attacked} if result.attacked else {}),
        "welch_p": None if entry is baseline else welch(baseline.result, result),
    }  # fmt: skip


def front_of(directory: Path) -> str:
    """The text of the finalists of a study that has come to its end.

    Raises:
        GloError: there is no study, or its search has not come to its end.
    """
    records: AbstractContextManager[Records] = Records.open(directory)
    with records:
        path = directory / "front.glo"
        if not path.is_file():
            raise GloError(f"the search in {directory} has not come to its end", hint=f"glo resume {directory}")
        return path.read_text(encoding="utf-8")

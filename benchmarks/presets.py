"""Which preset finds the better loss in the same number of training steps? See README.md in this folder."""

from __future__ import annotations

import argparse
import json
import math
import re
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from measuring import machine
from scipy.stats import ttest_ind, ttest_rel

import glo_dsl as glo
from glo_dsl.evolve.config import Config, configured, from_json
from glo_dsl.evolve.driver import Search
from glo_dsl.evolve.ledger import Ledger
from glo_dsl.evolve.session import Where, begin, resume
from glo_dsl.evolve.store.place import FILE
from glo_dsl.evolve.store.records import Records
from glo_dsl.evolve.store.study import Study
from glo_dsl.evolve.tasks.named import task_named
from glo_dsl.evolve.verify import Entry, Finalist, Outcome, verified
from glo_dsl.ir.expr import size
from glo_dsl.lang.restate import restated

SPACE = Path(__file__).parents[1] / "examples" / "glo.glo"

FIRST = "islands"
"""The preset whose steps the others are given."""

PRESETS: dict[str, dict[str, Any]] = {
    FIRST: {"strategy": "islands"},
    "islands, no start": {"strategy": "islands", "strategy_options": {"start": "none"}},
    "nsga2": {"strategy": "nsga2"},
    "glo": {"strategy": "glo"},
    "taylor": {"strategy": "taylor"},
}

GCE = (0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Exponents of generalised cross-entropy: at 0 it would be cross-entropy, at 1 the mean absolute error."""

SEARCHING = ("search", "constants")
"""Purposes whose steps are those of a preset; what chooses and tests what it found is the same for all."""


@dataclass(frozen=True)
class Plan:
    """What is measured: searches of FIRST with so many networks, all others with as many steps."""

    trainings: int
    tune_generations: int
    settings: dict[str, Any]
    directory: Path
    where: Where

    def place(self, task: str, name: str, seed: int) -> Path:
        """The directory of a study; a task of one's own has the name of its factory."""
        words = [re.sub(r"\W+", "-", word) for word in (Path(task).name, name)]
        return self.directory.joinpath(*words, str(seed))

    def config(self, task: str, seed: int, given: dict[str, Any]) -> Config:
        """What a preset says comes before the settings; constants are tuned by those presets that tune them at all."""
        tuned = {"tune_generations": self.tune_generations} if given.get("strategy") == "islands" else {}
        text = SPACE.read_text(encoding="utf-8")
        return configured(text, "glo", {**self.settings, "task": task, "seed": seed, **tuned, **given})


def steps_of(payload: dict[str, Any]) -> int:
    """Steps of all networks of a unit of work.

    >>> steps_of({"jobs": [{}] * 4, "seeds": [1, 2], "steps": [50, 200], "keep": 0.5})
    1000
    """
    count, total = len(payload["jobs"]), 0
    for before, after in pairwise((0, *payload["steps"])):
        total += count * (after - before)
        count = max(1, round(payload["keep"] * count))
    return total * len(payload["seeds"])


def spent(directory: Path) -> dict[str, dict[str, int]]:
    """Networks and steps of a study, by purpose."""
    found: dict[str, dict[str, int]] = {}
    with Records.open(directory) as records:
        for generation, event in enumerate(records.events(["ask"])):
            entry = found.setdefault(event.payload["purpose"].partition(",")[0], {"networks": 0, "steps": 0})
            for unit in records.units(generation):
                entry["networks"] += len(unit.payload["jobs"]) * len(unit.payload["seeds"])
                entry["steps"] += steps_of(unit.payload)
    return found


def measured(directory: Path, config: Config, run: Callable[[], Outcome]) -> dict[str, Any]:
    """What a run gave; one that is finished is read, one that was broken off goes on.

    Raises:
        SystemExit: the study in the directory is of another plan.
    """
    path = directory / "run.json"
    if (directory / FILE).exists():
        with Records.open(directory) as records:
            if from_json(records.config()) != config:
                raise SystemExit(f"the study in {directory} has other settings: give another --directory")
    if path.is_file():
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found
    resumed, start = (directory / FILE).exists(), time.perf_counter()
    outcome = run()
    found = {
        "baseline": _row(outcome.baseline), "entries": [_row(entry) for entry in outcome.entries],
        "spent": spent(directory), "proposals": dict(outcome.counts),
        "seconds": None if resumed else time.perf_counter() - start,
    }  # fmt: skip
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return found


def _row(entry: Entry) -> dict[str, Any]:
    return {
        "text": restated(entry.loss), "rate": entry.result.grid.best, "complexity": entry.complexity,
        "seeds": list(entry.seeds), "mean": entry.result.mean, "standard error": entry.result.standard_error,
    }  # fmt: skip


def searched(plan: Plan, name: str, task: str, seed: int, trainings: int) -> dict[str, Any]:
    """A search of one preset."""
    directory = plan.place(task, name, seed)
    config = plan.config(task, seed, {**PRESETS[name], "trainings": trainings})

    def run() -> Outcome:
        if (directory / FILE).exists():
            return resume(directory, plan.where)
        return begin(config, directory, plan.where)

    return measured(directory, config, run)


def known(plan: Plan, task: str, seed: int) -> dict[str, Any]:
    """Generalised cross-entropy with each exponent at its best rate; the first entry is best on validation data."""
    directory = plan.place(task, "gce", seed)
    config = plan.config(task, seed, {"leaders": len(GCE), "finalists": len(GCE), "tune_generations": 0})

    def run() -> Outcome:
        fresh = not (directory / FILE).exists()
        opened = Study.create(directory, config.as_json()) if fresh else Study.open(directory)
        with plan.where.begin(config) as executor, opened as study:
            study.take()
            search = Search(config, task_named(task), Ledger(study, executor))
            return verified(search, [_finalist(search, q) for q in GCE])

    return measured(directory, config, run)


def _finalist(search: Search, q: float) -> Finalist:
    loss = glo.zoo["gce"]
    loss = replace(loss, params=tuple(replace(p, default=q) for p in loss.params))
    verdict = search.peek(loss)
    return Finalist(loss, verdict, search.rate_for(verdict), size(loss.expr))


def budget(run: dict[str, Any]) -> int:
    """The steps that a preset took."""
    return sum(part["steps"] for purpose, part in run["spent"].items() if purpose in SEARCHING)


def _trainings(plan: Plan, name: str, config: Config, whole: float) -> int:
    """Networks that take the steps of so many whole trainings, where at each rung as many go on as are kept; for
    another form of FIRST, which tunes constants as it does, those of FIRST."""
    if PRESETS[name]["strategy"] == PRESETS[FIRST]["strategy"]:
        return plan.trainings
    share = sum((b - a) * config.keep**n for n, (a, b) in enumerate(pairwise((0.0, *config.rungs))))
    return math.ceil(whole / share)


def measure(plan: Plan, task: str, names: Sequence[str], runs: int) -> dict[str, list[dict[str, Any]]]:
    """Every preset, run after run."""
    whole = plan.settings.get("steps") or task_named(task).recipe.steps
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in ("gce", *names)}
    for seed in range(runs):
        found["gce"].append(known(plan, task, seed))
        first = searched(plan, FIRST, task, seed, plan.trainings)
        for name in names:
            trainings = _trainings(plan, name, plan.config(task, seed, PRESETS[name]), budget(first) / whole)
            run = first if name == FIRST else searched(plan, name, task, seed, trainings)
            found[name].append(run)
            print(f"{task}, run {seed}, {name}: {run['entries'][0]['mean']:.4f} with {budget(run)} steps", flush=True)
    return found


def summary(found: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """A row for each preset and for what is known, against FIRST, run by run on the same fresh seeds."""
    tests = {name: [run["entries"][0]["mean"] for run in runs] for name, runs in found.items()}
    first = next(runs for name, runs in found.items() if name != "gce")
    tests = {"cross-entropy": [run["baseline"]["mean"] for run in first], **tests}
    own = tests.get(FIRST)
    rows = []
    for name, values in tests.items():
        runs = found.get(name, [])
        rows.append({
            "name": name, "test": fmean(values), "standard error": _error(values), "runs": values,
            "steps": fmean(budget(run) for run in runs) if runs and name != "gce" else None,
            "networks": _networks(runs) if name != "gce" else None, "seconds": _seconds(runs),
            "never trained": _untrained(runs) if name != "gce" else None,
            "known before": sum(bool(run["entries"][0]["seeds"]) for run in runs) if name != "gce" else None,
            "paired p": _p(ttest_rel, own, values), "welch p": _p(ttest_ind, own, values, equal_var=False),
        })  # fmt: skip
    return rows


def _error(values: Sequence[float]) -> float | None:
    return stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None


def _networks(runs: Sequence[dict[str, Any]]) -> float | None:
    counts = [sum(part["networks"] for p, part in run["spent"].items() if p in SEARCHING) for run in runs]
    return fmean(counts) if counts else None


def _seconds(runs: Sequence[dict[str, Any]]) -> float | None:
    whole = [run["seconds"] for run in runs if run["seconds"] is not None]
    return fmean(whole) if whole else None


def _untrained(runs: Sequence[dict[str, Any]]) -> float | None:
    shares = [1 - run["proposals"].get("trained", 0) / sum(run["proposals"].values()) for run in runs]
    return fmean(shares) if shares else None


def _p(test: Callable[..., Any], own: Sequence[float] | None, values: Sequence[float], **how: Any) -> float | None:
    if own is None or own is values or len(own) < 2 or list(own) == list(values):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # runs that are all equal have no p-value
        found = float(test(own, values, **how).pvalue)
    return found if math.isfinite(found) else None


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as Markdown."""
    head = "| | test | steps | networks | seconds | never trained | paired p | Welch p |"
    lines = [head, "| --- | --- | --- | --- | --- | --- | --- | --- |"]
    for row in rows:
        test = f"{row['test']:.4f}" + ("" if row["standard error"] is None else f" ± {row['standard error']:.4f}")
        cells = [
            _cell(row["steps"], ".0f"), _cell(row["networks"], ".0f"), _cell(row["seconds"], ".0f"),
            _cell(row["never trained"], ".0%"), _cell(row["paired p"], ".2g"), _cell(row["welch p"], ".2g"),
        ]  # fmt: skip
        lines.append(f"| {row['name']} | {test} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", action="append", help="digits and digits-noisy by default; as often as wished")
    parser.add_argument("--presets", nargs="+", choices=PRESETS, default=list(PRESETS))
    parser.add_argument("--runs", type=int, default=5, help="independent searches of each preset")
    parser.add_argument("--trainings", type=int, default=1800, help=f"networks of a search of {FIRST}")
    parser.add_argument("--tune-generations", type=int, default=4, help=f"of CMA-ES on what {FIRST} finds")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=JSON", help="a setting of every search")
    parser.add_argument(
        "--directory", type=Path, default=Path("presets-studies"), help="of the studies: run again to go on"
    )
    parser.add_argument("--executor", default="processes")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    given = {name: json.loads(value) for name, _, value in (text.partition("=") for text in options.set)}
    settings = {"fresh_seeds": 50, "confirm_seeds": 30, **given}
    where = Where(options.executor, options.workers)
    plan = Plan(options.trainings, options.tune_generations, settings, options.directory, where)
    found: dict[str, Any] = {
        "machine": machine(), "trainings": plan.trainings, "tune generations": plan.tune_generations,
        "settings": settings, "tasks": {},
    }  # fmt: skip
    for task in options.task or ["digits", "digits-noisy"]:
        runs = measure(plan, task, options.presets, options.runs)
        found["tasks"][task] = {"rows": summary(runs), "runs": runs}
        print(f"\n{task}\n\n{table(found['tasks'][task]['rows'])}\n")
    if options.out:
        options.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

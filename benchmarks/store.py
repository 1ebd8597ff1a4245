"""What does it cost to keep a study, and to read what is known?

python benchmarks/store.py --out benchmarks/results/store.json
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from measuring import machine

from glo_dsl.evolve.store.place import FILE
from glo_dsl.evolve.store.rows import Candidate, Evaluation
from glo_dsl.evolve.store.study import Study

TEXT = "loss candidate(z: real[C], t: class[C]) = sum(-onehot(t) * log(softmax(z) + 0.0123) * tanh(1.25 * softmax(z)))"
BATCH = 1000  # evaluations in a generation


def evaluations(count: int) -> list[Evaluation]:
    """As a search has them: classes of 16 bytes, two seeds each, three metrics."""
    chance = random.Random(0)
    found: list[Evaluation] = []
    while len(found) < count:
        gradient_class = chance.randbytes(16)
        for seed in (chance.getrandbits(62), chance.getrandbits(62)):
            metrics = {"loss": chance.random(), "train_accuracy": chance.random(), "steps": 200}
            found.append(Evaluation(gradient_class, seed, 0, chance.random(), metrics, "", chance.random()))
    return found[:count]


def generations(found: list[Evaluation], of_unit: int) -> Iterator[tuple[list[Candidate], list[list[Evaluation]]]]:
    """The candidates and the units of each generation."""
    for start in range(0, len(found), BATCH):
        batch = found[start : start + BATCH]
        classes = dict.fromkeys(e.gradient_class for e in batch)
        candidates = [Candidate(TEXT, {"how": "crossover", "parents": [17, 4]}, c, 21) for c in classes]
        yield candidates, [batch[k : k + of_unit] for k in range(0, len(batch), of_unit)]


def measured(directory: Path, found: list[Evaluation], of_unit: int) -> dict[str, Any]:
    """One study of these evaluations, with units of `of_unit` of them."""
    finishes: list[float] = []
    with Study.create(directory, {}) as study:
        study.take()
        began, used = time.perf_counter(), time.process_time()
        for number, (candidates, units) in enumerate(generations(found, of_unit)):
            payloads = [[[e.gradient_class.hex(), e.seed] for e in unit] for unit in units]
            study.begin(number, {"generation": number}, candidates, payloads)
            for unit in units:
                claimed = study.claim("worker", 60)
                assert claimed is not None
                before = time.perf_counter()
                assert study.finish(claimed.id, claimed.attempt, unit)
                finishes.append(time.perf_counter() - before)
            study.record("tell", [e.fitness for unit in units for e in unit])
        whole, used = time.perf_counter() - began, time.process_time() - used
        known, count = timed(study, found)
        assert count == len(found)
    began = time.perf_counter()
    Study.open(directory).close()
    opening = time.perf_counter() - began
    finishes.sort()
    return {
        "evaluations": len(found),
        "evaluations of a unit": of_unit,
        "ms of a finish": {
            "median": 1e3 * statistics.median(finishes),
            "99 of 100": 1e3 * finishes[int(0.99 * len(finishes))],
            "longest": 1e3 * finishes[-1],
        },
        "ms of an evaluation, finish alone": 1e3 * sum(finishes) / len(found),
        "ms of an evaluation, with all that a search writes": 1e3 * whole / len(found),
        "ms of CPU of an evaluation, with all that a search writes": 1e3 * used / len(found),
        "bytes of an evaluation, with all that a search writes": (directory / FILE).stat().st_size / len(found),
        "bytes of an evaluation, its table alone": table_bytes(directory) / len(found),
        "us of an evaluation that is known": 1e6 * known / len(found),
        "ms to open and check": 1e3 * opening,
    }


def timed(study: Study, found: list[Evaluation]) -> tuple[float, int]:
    """Seconds to ask for all evaluations, as many classes at once as a generation has, and how many were known."""
    began, count = time.perf_counter(), 0
    for start in range(0, len(found), 20):
        some = found[start : start + 20]
        count += len(study.known([e.gradient_class for e in some], [e.seed for e in some], 0))
    return time.perf_counter() - began, count


def table_bytes(directory: Path) -> int:
    """What the table of evaluations takes: the file less the file without them."""
    path = directory / FILE
    before = path.stat().st_size
    plain = sqlite3.connect(path, isolation_level=None)
    plain.execute("DELETE FROM evaluation")
    plain.execute("VACUUM")
    plain.close()
    return before - path.stat().st_size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--evaluations", type=int, default=30_000)
    parser.add_argument("--dir", type=Path, help="a directory on the disk to measure; default: the system's for such")
    parser.add_argument("--out", type=Path, help="write the figures there")
    options = parser.parse_args()
    before, found = machine(), evaluations(options.evaluations)
    rows = []
    for of_unit in (1, 8, 64):
        with tempfile.TemporaryDirectory(dir=options.dir) as directory:
            rows.append(measured(Path(directory), found, of_unit))
        print(json.dumps(rows[-1], indent=1))
    if options.out:
        figures = {"machine": before | {"load after": os.getloadavg()[0]}, "studies": rows}
        options.out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())

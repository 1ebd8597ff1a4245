"""A driver to be killed or interrupted: `python -m tests.evolve.executors.driver KIND DO MARKS`.

It puts each of two workers to a unit that does not end, which leaves a file in MARKS.
"""

from __future__ import annotations

import sys
from pathlib import Path

from glo_dsl.evolve.executors.named import executor_named
from tests.evolve.executors.workload import Workload


def main(kind: str, do: str, marks: str) -> None:
    with executor_named(kind, 2, Workload) as executor:
        for number in range(2):
            executor.submit(number, {"do": do, "mark": str(Path(marks) / str(number))})
        list(executor.finished())


if __name__ == "__main__":
    main(*sys.argv[1:])

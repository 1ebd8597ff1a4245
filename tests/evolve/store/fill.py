"""A process that may write files up to a size: it fills a study until it hears that there is no room, then gets room.

python fill.py DIRECTORY BYTES: what it says are lines of JSON: how many were stored, the error, and what went on after.
"""

from __future__ import annotations

import json
import resource
import sys

from glo_dsl.errors import GloError
from glo_dsl.evolve.store.rows import Evaluation
from glo_dsl.evolve.store.study import Study


def main(directory: str, size: int) -> None:
    with Study.create(directory, {}) as study:
        study.take()
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))
        stored = 0
        try:
            while stored < 100_000:
                study.record("tell", stored)
                stored += 1
        except GloError as error:
            said = {"message": error.message, "hint": error.hint}
        print(json.dumps({"stored": stored, **said}), flush=True)
        readable = len(study.events())
        again = 0
        for _ in range(3):  # still no room: it stays an error, and does no harm
            try:
                study.begin(0, {}, [], [None])
            except GloError:
                again += 1
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        (number,) = study.begin(0, {}, [], [None])
        unit = study.claim("here", 60)
        assert unit is not None and unit.id == number
        finished = study.finish(unit.id, unit.attempt, [Evaluation(b"x", 0, 0, 0.5)])
        print(json.dumps({"readable": readable, "again": again, "finished": finished}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))

"""What becomes of a unit of work: queued, leased, and in the end done or failed.

A worker that was slow, and lost its lease to another, is told so by the number of its attempt. What it measured is no
less true: an evaluation is a fact about (class, seed, rung). So a late `finish` stores the evaluations that
are not there yet, and only the state of the unit is left to those who work on it now. What is stored once stays.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from glo_dsl.evolve.store.plain_json import decode, encode
from glo_dsl.evolve.store.rows import Evaluation, Unit

COLUMNS = "id, generation, payload, state, owner, lease_until, attempt, failures, reason"


def unit_of(row: tuple[object, ...]) -> Unit:
    """A unit from the columns of `COLUMNS`."""
    number, generation, payload, *rest = row
    return Unit(number, generation, decode(payload), *rest)  # type: ignore[arg-type]


def queue(db: sqlite3.Connection, generation: int, payloads: Sequence[object]) -> tuple[int, ...]:
    """Adds units in their order; their numbers."""
    insert = "INSERT INTO unit (generation, payload) VALUES (?, ?)"
    return tuple(db.execute(insert, (generation, encode(payload))).lastrowid or 0 for payload in payloads)


def claim(db: sqlite3.Connection, owner: str, until: float, driver: int) -> Unit | None:
    """Leases the first unit in the queue; None if there is none."""
    rows = db.execute(
        f"""UPDATE unit SET state = 'leased', owner = ?, lease_until = ?, driver = ?, attempt = attempt + 1
            WHERE id = (SELECT min(id) FROM unit WHERE state = 'queued') RETURNING {COLUMNS}""",
        (storable(owner), until, driver),
    ).fetchall()
    return unit_of(rows[0]) if rows else None


def extend(db: sqlite3.Connection, unit: int, attempt: int, until: float) -> bool:
    """Whether that attempt still has the unit, which is leased to it until then."""
    return _changed(
        db, "UPDATE unit SET lease_until = ? WHERE id = ? AND attempt = ? AND state = 'leased'", until, unit, attempt
    )


def release(db: sqlite3.Connection, unit: int, attempt: int) -> bool:
    """Puts a unit back into the queue, through no fault of its own."""
    return _changed(
        db, "UPDATE unit SET state = 'queued', owner = '' WHERE id = ? AND attempt = ? AND state = 'leased'",
        unit, attempt,
    )  # fmt: skip


def finish(db: sqlite3.Connection, unit: int, attempt: int, evaluations: Sequence[Evaluation]) -> bool:
    """Stores evaluations, and that the unit is done if this attempt is its last; see above for one that is late.

    A unit that is back in the queue and was claimed by nobody since is done too, and one that this same attempt has
    finished before stays so: whoever does not know whether a finish was stored repeats it.
    """
    db.executemany(
        # not OR IGNORE, which would pass over a broken promise of a column as well
        "INSERT INTO evaluation VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (class, seed, rung) DO NOTHING",
        [_columns(evaluation, unit) for evaluation in evaluations],
    )
    return _changed(
        db, "UPDATE unit SET state = 'done', reason = '' WHERE id = ? AND attempt = ? AND state <> 'failed'",
        unit, attempt,
    )  # fmt: skip


def fail(db: sqlite3.Connection, unit: int, attempt: int, reason: str, most: int) -> bool:
    """Counts a failure: back into the queue, or failed for good at the `most`-th."""
    return _changed(
        db,
        """UPDATE unit SET failures = failures + 1, reason = ?, owner = '',
                  state = CASE WHEN failures + 1 >= ? THEN 'failed' ELSE 'queued' END
           WHERE id = ? AND attempt = ? AND state = 'leased'""",
        storable(reason), most, unit, attempt,
    )  # fmt: skip


def expire(db: sqlite3.Connection, now: float, most: int) -> int:
    """Counts a failure of each unit whose lease has ended: its worker is dead, or too slow. How many there were."""
    return db.execute(
        """UPDATE unit SET failures = failures + 1, reason = 'the lease of ' || owner || ' has ended', owner = '',
                  state = CASE WHEN failures + 1 >= ? THEN 'failed' ELSE 'queued' END
           WHERE state = 'leased' AND lease_until <= ?""",
        (most, now),
    ).rowcount


def storable(text: str) -> str:
    """Text as SQLite takes it; what an error says may hold halves of characters."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _columns(e: Evaluation, unit: int) -> tuple[object, ...]:
    fitness = None if e.fitness is None else float(e.fitness)  # numpy's numbers are not SQLite's
    return (
        e.gradient_class, int(e.seed), int(e.rung), fitness, encode(e.metrics), storable(e.reason), unit,
        float(e.seconds),
    )  # fmt: skip


def _changed(db: sqlite3.Connection, statement: str, *values: object) -> bool:
    """Whether the statement met its unit."""
    return db.execute(statement, values).rowcount == 1

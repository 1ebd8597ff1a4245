"""The tables of a study, and how those of older versions become those of today."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from glo_dsl.errors import GloError
from glo_dsl.evolve.store.plain_json import decode, encode
from glo_dsl.evolve.store.trouble import damaged

_FIRST = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE event (n INTEGER PRIMARY KEY, kind TEXT NOT NULL, payload TEXT NOT NULL)",
    """CREATE TRIGGER event_stays BEFORE UPDATE ON event
       BEGIN SELECT RAISE(ABORT, 'events are only added'); END""",
    """CREATE TRIGGER event_is_kept BEFORE DELETE ON event
       BEGIN SELECT RAISE(ABORT, 'events are only added'); END""",
    """CREATE TABLE candidate (
         id INTEGER PRIMARY KEY, generation INTEGER NOT NULL, place INTEGER NOT NULL, text TEXT NOT NULL,
         origin TEXT NOT NULL, class BLOB, complexity INTEGER NOT NULL, verdict TEXT NOT NULL,
         UNIQUE (generation, place))""",
    "CREATE INDEX candidate_by_class ON candidate (class)",
    """CREATE TABLE unit (
         id INTEGER PRIMARY KEY, generation INTEGER NOT NULL, payload TEXT NOT NULL,
         state TEXT NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'leased', 'done', 'failed')),
         owner TEXT NOT NULL DEFAULT '', lease_until REAL NOT NULL DEFAULT 0, attempt INTEGER NOT NULL DEFAULT 0,
         failures INTEGER NOT NULL DEFAULT 0, reason TEXT NOT NULL DEFAULT '', driver INTEGER NOT NULL DEFAULT 0)""",
    "CREATE INDEX unit_by_state ON unit (state, id)",
    "CREATE INDEX unit_by_generation ON unit (generation)",
    """CREATE TABLE evaluation (
         class BLOB NOT NULL CHECK (typeof(class) = 'blob'), seed INTEGER NOT NULL, rung INTEGER NOT NULL,
         fitness REAL, metrics TEXT NOT NULL, reason TEXT NOT NULL, unit INTEGER NOT NULL, seconds REAL NOT NULL,
         CHECK (fitness IS NOT NULL OR reason <> ''), PRIMARY KEY (class, seed, rung)) WITHOUT ROWID""",
    "CREATE TABLE front (candidate INTEGER PRIMARY KEY REFERENCES candidate (id), figures TEXT NOT NULL)",
    """CREATE VIEW candidates AS
         SELECT id, generation, place, hex(class) AS class, complexity, verdict, text, origin FROM candidate""",
    """CREATE VIEW evaluations AS
         SELECT hex(class) AS class, seed, rung, fitness, reason, metrics, unit, seconds FROM evaluation""",
    # One line for a class and a rung, with the first loss of that class; a seed without a fitness is no success.
    """CREATE VIEW best AS
         SELECT e.rung, avg(e.fitness) AS fitness, count(*) AS seeds, min(e.fitness) AS least, max(e.fitness) AS most,
                c.complexity, c.id AS candidate, c.generation, hex(e.class) AS class, c.text
         FROM evaluation e JOIN candidate c ON c.id = (SELECT min(id) FROM candidate WHERE class = e.class)
         GROUP BY e.class, e.rung HAVING count(*) = count(e.fitness)
         ORDER BY e.rung DESC, avg(e.fitness) DESC, c.complexity, c.id""",
    """CREATE VIEW work AS
         SELECT generation, state, count(*) AS units, max(attempt) AS attempts, sum(failures) AS failures
         FROM unit GROUP BY generation, state""",
)

_SECOND = (
    "DROP INDEX candidate_by_class",
    "CREATE INDEX candidate_by_text ON candidate (text)",
    # In `evaluation` the class is the key of a job; what was trained stands in the unit. Only json_each: SQLite 3.40
    # refuses json_extract in views of files that are not trusted. The first of jobs with one key, so that an evaluation
    # has one line; CROSS JOIN, because the other order would compare all evaluations with all jobs.
    """CREATE VIEW trainings AS
         WITH job AS (
           SELECT u.id AS unit, part.atom AS part, upper(key.atom) AS key, min(each.id), rate.atom AS rate,
                  text.atom AS text
           FROM unit u, json_each(u.payload, '$.part') part, json_each(u.payload, '$.jobs') each,
                json_each(CASE each.type WHEN 'object' THEN each.value END, '$.key') key,
                json_each(CASE each.type WHEN 'object' THEN each.value END, '$.rate') rate,
                json_each(CASE each.type WHEN 'object' THEN each.value END, '$.text') text
           GROUP BY u.id, upper(key.atom))
         SELECT job.key, e.seed, e.rung, e.fitness, e.reason, e.metrics, e.seconds, job.part, job.rate, job.text,
                e.unit, (SELECT min(c.id) FROM candidate c WHERE c.text = job.text) AS candidate
         FROM evaluation e CROSS JOIN job ON job.unit = e.unit AND job.key = hex(e.class)""",
    "DROP VIEW best",
    # One line for a key and a rung, with the first loss of that key; a seed without a fitness is no success. Rounded,
    # because means that are equal would else be in the order of their last bits, and that of the version of SQLite.
    """CREATE VIEW best AS
         WITH judged AS (SELECT * FROM trainings WHERE part = 'validation'),
              first AS (SELECT key, min(unit), rate, text, candidate FROM judged GROUP BY key)
         SELECT t.rung, avg(t.fitness) AS fitness, count(*) AS seeds, min(t.fitness) AS least, max(t.fitness) AS most,
                first.rate, c.complexity, c.generation, first.candidate, first.key, first.text
         FROM judged t JOIN first ON first.key = t.key LEFT JOIN candidate c ON c.id = first.candidate
         GROUP BY t.key, t.rung HAVING count(*) = count(t.fitness)
         ORDER BY t.rung DESC, round(avg(t.fitness), 12) DESC, c.complexity NULLS LAST, first.candidate NULLS LAST,
                  first.key""",
    "DROP TABLE front",
)


def _first(db: sqlite3.Connection) -> None:
    for statement in _FIRST:
        db.execute(statement)


def _second(db: sqlite3.Connection) -> None:
    """No search has ever written to `front`. What somebody else did becomes a note: nothing that was stored is lost."""
    front = db.execute("SELECT candidate, figures FROM front ORDER BY candidate").fetchall()
    if front:
        write_meta(db, "front", [{"candidate": candidate, "figures": decode(text)} for candidate, text in front])
    for statement in _SECOND:
        db.execute(statement)


MIGRATIONS: list[Callable[[sqlite3.Connection], None]] = [_first, _second]
"""The k-th makes version k + 1 of version k; an empty file is version 0. What is released here never changes."""


def version(db: sqlite3.Connection, path: Path) -> int:
    """The version of the tables, 0 for an empty file.

    Raises:
        GloError: the file is another program's, or a newer glo-dsl's.
    """
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables:
        return 0
    rows = db.execute("SELECT value FROM meta WHERE key = 'schema'").fetchall() if "meta" in tables else []
    found = decode(rows[0][0]) if rows else None
    if not isinstance(found, int) or found < 1:
        raise damaged(path, "it has tables of something else")
    if found > len(MIGRATIONS):
        raise GloError(
            f"{path} was written by a newer glo-dsl (version {found} of the tables, known here: {len(MIGRATIONS)})",
            hint="install a newer glo-dsl: pip install -U glo-dsl",
        )
    return found


def migrate(db: sqlite3.Connection, old: int) -> None:
    """Brings tables of version `old` up to date. The caller's transaction makes it all or nothing."""
    for step in MIGRATIONS[old:]:
        step(db)
    write_meta(db, "schema", len(MIGRATIONS))


def read_meta(db: sqlite3.Connection, key: str) -> object:
    """What is noted under a key, or None."""
    rows = db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchall()
    return decode(rows[0][0]) if rows else None


def write_meta(db: sqlite3.Connection, key: str, value: object) -> None:
    db.execute("INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
               (key, encode(value)))  # fmt: skip

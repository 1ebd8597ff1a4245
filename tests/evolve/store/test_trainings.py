"""The views of a study show what a search has trained, by what its ledger writes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from glo_dsl.evolve.store import schema
from glo_dsl.evolve.store.place import FILE
from glo_dsl.evolve.store.records import Records
from glo_dsl.evolve.store.rows import Evaluation
from glo_dsl.evolve.store.study import Study
from tests.evolve.conftest import small
from tests.evolve.store.conftest import evaluations, finished, work

ALL = "SELECT * FROM trainings ORDER BY unit, key, rung, seed"


def lines(directory: Path, query: str = ALL) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(directory / FILE)) as plain:
        plain.row_factory = sqlite3.Row
        return [dict(row) for row in plain.execute(query)]


@pytest.fixture
def records(ended: Path) -> Iterator[Records]:
    with Records.open(ended) as opened:
        yield opened


def test_every_training_has_its_line(ended: Path, records: Records) -> None:
    """That of the unit which was asked for it."""
    first = {c["text"]: c["id"] for c in reversed(records.candidates())}
    want = []
    for unit in (unit for n in range(100) for unit in records.units(n)):
        for job in unit.payload["jobs"]:
            for steps in unit.payload["steps"]:
                known = records.known([bytes.fromhex(job["key"])], unit.payload["seeds"], steps)
                want += [
                    {
                        "key": job["key"].upper(), "seed": e.seed, "rung": e.rung, "fitness": e.fitness,
                        "reason": e.reason, "metrics": "{}", "seconds": e.seconds, "part": unit.payload["part"],
                        "rate": job["rate"], "text": job["text"], "unit": unit.id, "candidate": first.get(job["text"]),
                    }
                    for e in known.values()
                ]  # fmt: skip
    found = lines(ended)
    order = ("unit", "key", "rung", "seed")
    assert found == sorted(want, key=lambda line: [line[name] for name in order])
    assert len(found) == len(lines(ended, "SELECT * FROM evaluation")) > 100
    assert {line["candidate"] is None for line in found} == {True, False}


def test_they_come_to_what_the_events_say(ended: Path, records: Records) -> None:
    """What the strategy was told of each proposal, and the table at the end."""
    tells = [event.payload for event in records.events(["tell"])]
    asked = [event.payload for event in records.events(["ask"])]
    generations = [n for n, payload in enumerate(asked) if payload["purpose"] == "search"]
    seeds, told = small().seeds("search"), 0
    for generation, tell in zip(generations, tells, strict=True):
        for row, fitness in zip(records.candidates(generation), tell["fitness"], strict=True):
            means: dict[tuple[int, str], float] = {}
            for e in row["evaluations"]:
                if e["seed"] in seeds and e["part"] == "validation":
                    at = e["rung"], e["key"]
                    means[at] = means.get(at, 0.0) + (e["fitness"] or 0.0) / len(seeds)
            if fitness is not None:
                last = max(rung for rung, _ in means)
                assert fitness == pytest.approx(max(v for (rung, _), v in means.items() if rung == last))
                told += 1
    assert told > 10
    (result,) = (event.payload for event in records.events(["result"]))
    summary = json.loads((ended / "summary.json").read_text())
    tested: dict[str, dict[int, float]] = {}
    for t in lines(ended, "SELECT text, seed, fitness FROM trainings WHERE part = 'test'"):
        tested.setdefault(t["text"], {})[t["seed"]] = t["fitness"]
    assert all(list(of_loss) == list(small().seeds("fresh")) for of_loss in tested.values())
    assert set(tested) <= {loss["restated"] for loss in result["losses"]}
    for loss, row in zip(result["losses"], summary["losses"], strict=True):
        same = tested.get(loss["restated"]) or tested[result["losses"][1]["restated"]]  # tuned to the same
        assert list(same.values()) == loss["test"] == row["test"]


def test_the_best_of_a_search(ended: Path, records: Records) -> None:
    groups: dict[tuple[int, str], list[dict[str, Any]]] = {}
    for line in lines(ended):
        if line["part"] == "validation":
            groups.setdefault((line["rung"], line["key"]), []).append(line)
    whole = {at: group for at, group in groups.items() if all(line["fitness"] is not None for line in group)}
    rows = records.best(10_000)
    assert {(row["rung"], row["key"]) for row in rows} == set(whole) and len(rows) == len(whole) > 20
    by_id = {c["id"]: c for c in records.candidates()}
    for row in rows:
        group = whole[row["rung"], row["key"]]
        values = [line["fitness"] for line in group]
        assert (row["seeds"], row["least"], row["most"]) == (len(group), min(values), max(values))
        assert row["fitness"] == pytest.approx(sum(values) / len(values))
        assert (row["text"], row["rate"]) in {(line["text"], line["rate"]) for line in groups[row["rung"], row["key"]]}
        candidate = by_id.get(row["candidate"], {})
        assert (row["complexity"], row["generation"]) == (candidate.get("complexity"), candidate.get("generation"))
        assert row["text"] == candidate.get("text", row["text"])
    assert rows == sorted(rows, key=lambda row: (-row["rung"], -round(row["fitness"], 12), row["complexity"] or 10**6))
    assert rows[0]["fitness"] > 0.8


def test_a_study_of_version_1_shows_them_too(ended: Path, tmp_path: Path) -> None:
    """With the units that a search wrote, and nothing in its views."""
    with closing(sqlite3.connect(tmp_path / FILE)) as old:
        schema.MIGRATIONS[0](old)
        old.execute("ATTACH ? AS new", (str(ended / FILE),))
        for table in ("meta", "event", "candidate", "unit", "evaluation"):
            old.execute(f"INSERT INTO {table} SELECT * FROM new.{table}")
        old.execute("UPDATE meta SET value = '1' WHERE key = 'schema'")
        old.commit()
        assert old.execute("SELECT * FROM best").fetchall() == []
    with Study.open(tmp_path) as study, Records.open(ended) as records:
        assert study.best(10_000) == records.best(10_000) != []
        assert study.candidates() == records.candidates()
        assert study.noted("front") is None
    assert lines(tmp_path) == lines(ended)


pieces = st.none() | st.booleans() | st.integers(-2, 2) | st.floats(0, 1) | st.sampled_from(["0a", "0A", "[", "{}", ""])
objects = st.fixed_dictionaries(
    {}, optional={name: pieces | st.lists(pieces, max_size=2) for name in ("key", "text", "rate")}
) | st.fixed_dictionaries({"key": st.sampled_from(["0a", "0A"]), "text": pieces, "rate": pieces})
payloads = pieces | st.fixed_dictionaries(
    {}, optional={"jobs": pieces | st.lists(pieces | objects, max_size=4), "part": pieces | st.just("validation")}
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(payload=payloads)
@example(
    payload={
        "part": "validation",
        "jobs": ["[", {"key": "0a", "text": "x", "rate": 1}, {"key": "0A", "text": "y", "rate": 2}],
    }
)
def test_any_payload_may_be(study: Study, tmp_path: Path, payload: Any) -> None:
    """Only the first job with the key of an evaluation gives it a line."""
    rung = study.record("next", None)
    finished(study, [Evaluation(b"\x0a", 0, rung, 0.5)], payload)
    jobs = payload.get("jobs") if isinstance(payload, dict) and "part" in payload else None
    fit = [
        job for job in (jobs if isinstance(jobs, list) else [])
        if isinstance(job, dict) and job.get("key") in ("0a", "0A") and {"text", "rate"} <= set(job)
    ]  # fmt: skip
    found = lines(tmp_path / "study", f"SELECT part, rate, text FROM trainings WHERE rung = {rung}")
    want = [{"part": payload["part"], **{n: plain(fit[0][n]) for n in ("rate", "text")}}] if fit else []
    assert found == want
    judged = [row for row in study.best(10_000) if row["rung"] == rung]
    assert len(judged) == (bool(fit) and payload["part"] == "validation")


def plain(value: object) -> object:
    """As SQL has it: what is no number and no text is nothing."""
    return None if isinstance(value, list) else value


def test_their_cost_grows_with_the_study_and_no_faster(study: Study) -> None:
    """Counted in instructions of SQLite: to compare all jobs with all evaluations would be four times as many."""
    spent = []
    for n in range(2):
        for unit in range(12 * n, 12 * n + 12):
            keys = [bytes([unit, k]) for k in range(20)]
            found = [e for key in keys for e in evaluations(key, 0.5, 0.25)]
            finished(study, found, work(*((key.hex(), f"loss {key.hex()}", 0.5) for key in keys)))
        for view in ("best", "trainings"):
            spent.append(instructions(study, f"SELECT * FROM {view}"))
    assert spent[2] < 2.5 * spent[0] and spent[3] < 2.5 * spent[1]


def instructions(study: Study, query: str) -> int:
    """Hundreds of them."""
    count = 0

    def tick() -> int:
        nonlocal count
        count += 1
        return 0

    with study._database.snapshot() as db:
        db.set_progress_handler(tick, 100)
        db.execute(query).fetchall()
        db.set_progress_handler(None, 0)
    return count

"""Writing a study and reading it: every row comes back, and nothing is ever lost, replaced or trained twice."""

from __future__ import annotations

import math
import re
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from glo_dsl.errors import GloError
from glo_dsl.evolve.store.place import FILE
from glo_dsl.evolve.store.records import Records
from glo_dsl.evolve.store.rows import Candidate, Evaluation, Event
from glo_dsl.evolve.store.study import OWN, Study
from tests.evolve.store.conftest import evaluations, finished, work

CANDIDATES = [
    Candidate("loss a(x: real) = x", {"parents": [1, 2]}, b"\x01\xff", 1),
    Candidate("loss b(x: real) = \u00fc", "random", None, 7, "no gradient"),
    Candidate("loss c(x: real) = x + 0", "crossover", b"\x01\xff", 3),
    Candidate("loss d(x: real) = 2", "crossover", b"\x02", 1),
]


def test_what_is_written_is_read(study: Study, tmp_path: Path) -> None:
    payload = work(("aa01", CANDIDATES[0].text, 0.25))
    assert study.begin(4, {"seed": 3}, CANDIDATES, [payload, None]) == (1, 2)
    assert study.record("tell", [0.5, None]) == 2
    unit = study.claim("worker 1", seconds=60)
    assert unit is not None
    assert (unit.id, unit.generation, unit.payload, unit.state) == (1, 4, payload, "leased")
    assert (unit.owner, unit.lease_until, unit.attempt, unit.failures) == ("worker 1", 1060.0, 1, 0)
    assert study.finish(1, 1, evaluations(b"\xaa\x01", 0.5, None))
    with Records.open(tmp_path / "study") as records:  # while the search writes
        assert records.config() == {"task": "digits"}
        assert records.events() == [Event(1, "ask", {"seed": 3}), Event(2, "tell", [0.5, None])]
        assert records.events(["tell", "no such"]) == records.events(after=1) == [Event(2, "tell", [0.5, None])]
        assert [u.state for u in records.units(4)] == ["done", "queued"] and records.units(0) == []
        assert records.work() == {"done": 1, "queued": 1}
        rows = records.candidates(4)
        assert rows == records.candidates() and records.candidates(3) == []
        assert [(r["place"], r["text"], r["origin"], r["class"]) for r in rows] == [
            (place, c.text, c.origin, c.gradient_class) for place, c in enumerate(CANDIDATES)
        ]
        assert [(r["complexity"], r["verdict"]) for r in rows] == [(1, ""), (7, "no gradient"), (3, ""), (1, "")]
        assert rows[0]["evaluations"] == rows[2]["evaluations"] and rows[1]["evaluations"] == []
        training = {
            "key": "AA01", "text": CANDIDATES[0].text, "rate": 0.25, "part": "validation", "candidate": 1, "unit": 1,
            "rung": 0, "metrics": {"loss": 0.5}, "seconds": 0.25,
        }  # fmt: skip
        assert rows[0]["evaluations"] == [
            {**training, "seed": 0, "fitness": 0.5, "reason": ""},
            {**training, "seed": 1, "fitness": None, "reason": "diverged"},
        ]
        records.check()


def test_what_is_known(study: Study) -> None:
    classes = [bytes([k // 256, k % 256]) for k in range(1200)]  # more than are asked at once
    found = [Evaluation(c, seed, 1, k + seed / 4) for k, c in enumerate(classes) for seed in (-5, 2**40)]
    finished(study, found)
    asked = [*classes, b"unknown", classes[0]]
    known = study.known(asked, [2**40, 17, 2**40], rung=1)
    assert known == {(e.gradient_class, e.seed): e for e in found if e.seed == 2**40}
    assert len(study.known(asked, (-5, 2**40), rung=1)) == 2400
    assert study.known(asked, [2**40], rung=0) == study.known([], [1], 1) == study.known(asked, [], 1) == {}


def test_an_evaluation_is_stored_once(study: Study) -> None:
    finished(study, evaluations(b"x", 0.5, None))
    finished(study, evaluations(b"x", 0.75, 0.75, 0.75))  # somebody else's chance decides nothing that is decided
    assert [e.fitness for e in study.known([b"x"], range(3), 0).values()] == [0.5, None, 0.75]


def test_numbers_of_numpy_are_numbers(study: Study) -> None:
    finished(study, [Evaluation(b"x", np.int64(3), np.int32(0), np.float32(0.5), seconds=np.float64(1))])  # type: ignore[arg-type]
    assert study.known([b"x"], [3], 0)[b"x", 3].fitness == 0.5


def test_texts_that_sqlite_cannot_hold(study: Study) -> None:
    study.begin(0, {}, [Candidate("\ud800", "a\ud800", b"x", 1)], [None])
    unit = study.claim("\udcff", 60)
    assert unit is not None and unit.owner == "\\udcff"
    assert study.fail(unit.id, unit.attempt, "no \udcff")
    assert study.units(0)[0].reason == "no \\udcff"
    assert study.candidates()[0]["origin"] == "a\ud800"


@pytest.mark.parametrize("fitness", [math.nan, math.inf, -math.inf])
def test_no_fitness_is_none_with_a_reason(fitness: float) -> None:
    with pytest.raises(ValueError, match=rf"{fitness} of seed 1, rung 2 is not finite: write None and a reason"):
        Evaluation(b"x", 1, 2, fitness)
    with pytest.raises(ValueError, match="neither a fitness nor a reason"):
        Evaluation(b"x", 1, 2, None)
    with pytest.raises(ValueError, match="seconds"):
        Evaluation(b"x", 1, 2, 0.5, seconds=fitness)


@pytest.mark.parametrize("seed", [2**63, -(2**63) - 1])
def test_seeds_fit_64_bits(seed: int) -> None:
    with pytest.raises(ValueError, match="64 bits"):
        Evaluation(b"x", seed, 0, 0.5)
    with pytest.raises(ValueError, match="64 bits"):
        Evaluation(b"x", 0, seed, 0.5)


def test_what_is_no_json_is_written_nowhere(study: Study) -> None:
    with pytest.raises(ValueError, match=r"nan at value\[1\]"):
        study.begin(0, {}, CANDIDATES, [1.0, [0.0, math.nan]])
    with pytest.raises(TypeError, match="key 1 at value"):
        study.record("tell", {1: 2})
    assert study.events() == [] and study.candidates() == [] and study.work() == {}
    finished(study, [])
    study.begin(9, {}, [], [None])
    unit = study.claim("here", 60)
    assert unit is not None
    with pytest.raises(ValueError, match=r"inf at value\.loss"):
        study.finish(
            unit.id, unit.attempt, [Evaluation(b"x", 0, 0, 1.0), Evaluation(b"x", 1, 0, 1.0, {"loss": math.inf})]
        )
    assert study.known([b"x"], [0], 0) == {} and study.units(9) == [unit]


def test_a_generation_begins_once(study: Study) -> None:
    study.begin(0, {}, CANDIDATES, [None])
    with pytest.raises(ValueError, match="generation 0 has begun before"):
        study.begin(0, {}, CANDIDATES, [None])
    assert len(study.events()) == 1 and study.work() == {"queued": 1}


def test_events_are_only_added(study: Study, tmp_path: Path) -> None:
    study.record("tell", 1)
    with sqlite3.connect(tmp_path / "study" / FILE) as other:
        for statement in ("UPDATE event SET kind = 'x'", "DELETE FROM event"):
            with pytest.raises(sqlite3.IntegrityError, match="only added"):
                other.execute(statement)
    other.close()


def test_the_best_are_those_that_never_failed(study: Study, tmp_path: Path) -> None:
    a, d = CANDIDATES[0].text, CANDIDATES[3].text
    study.begin(3, {}, [*CANDIDATES, CANDIDATES[0]], [])  # the first with a text stands for it
    finished(study, evaluations(b"\xd0", 1.0, None), work(("d0", d, 0.5)))
    finished(study, evaluations(b"\xa0", 0.25, 0.75), work(("a1", a, 0.5), ("a0", a, 0.25)))
    finished(study, evaluations(b"\xa1", 0.125), work(("a1", a, 0.5)))
    finished(study, evaluations(b"\xa0", 0.125, rung=1), work(("a0", "a, written otherwise", 0.5)))
    finished(study, evaluations(b"\xe0", 0.5), work(("e0", "a tuned one", 0.75)))
    finished(study, evaluations(b"\xa2", 1.0), work(("a2", a, 0.25), part="test"))
    finished(study, evaluations(b"unheard of", 1.0))
    rows = study.best()
    assert [tuple(row.values()) for row in rows] == [
        (1, 0.125, 1, 0.125, 0.125, 0.25, 1, 3, 1, "A0", a),
        (0, 0.5, 2, 0.25, 0.75, 0.25, 1, 3, 1, "A0", a),
        (0, 0.5, 1, 0.5, 0.5, 0.75, None, None, None, "E0", "a tuned one"),
        (0, 0.125, 1, 0.125, 0.125, 0.5, 1, 3, 1, "A1", a),
    ]
    assert " ".join(rows[0]) == "rung fitness seeds least most rate complexity generation candidate key text"
    assert study.best(1) == rows[:1]
    with sqlite3.connect(tmp_path / "study" / FILE) as plain:  # as anybody reads it
        assert plain.execute("SELECT class, verdict FROM candidates WHERE id = 2").fetchall() == [("", "no gradient")]
        assert plain.execute("SELECT sum(seconds) FROM evaluations WHERE class = 'A0'").fetchall() == [(0.75,)]
        parts = plain.execute("SELECT part, sum(seconds) FROM trainings WHERE candidate = 1 GROUP BY part").fetchall()
        assert parts == [("test", 0.25), ("validation", 0.75)]
        assert plain.execute("SELECT state, sum(units) FROM work GROUP BY state").fetchall() == [("done", 7)]
    plain.close()


def test_a_note_is_kept_and_replaced(study: Study, tmp_path: Path) -> None:
    study.note("search", {"metric": "accuracy"})
    study.note("search", {"metric": "r2", "outputs": [1, 2]})
    with Records.open(tmp_path / "study") as records:
        assert records.noted("search") == {"metric": "r2", "outputs": [1, 2]} and records.noted("other") is None
        assert records.config() == {"task": "digits"} and not records.events()


@pytest.mark.parametrize("key", ["schema", "config", "glo_dsl", "driver"])
def test_no_note_takes_the_place_of_the_study_s_own(study: Study, tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match="the study's own"):
        study.note(key, 7)
    with closing(sqlite3.connect(tmp_path / "study" / "study.sqlite3")) as db:
        assert {k for (k,) in db.execute("SELECT key FROM meta")} == OWN


def test_records_cannot_write(study: Study, tmp_path: Path) -> None:
    with Records.open(tmp_path / "study") as records:
        assert not hasattr(records, "record")
        with pytest.raises(GloError, match="may not be written"), records._database.transaction() as db:
            db.execute("DELETE FROM meta")


def test_who_has_not_taken_a_study_does_not_drive(tmp_path: Path) -> None:
    with Study.create(tmp_path, {}) as study:
        for write in (
            study.heartbeat, lambda: study.record("tell", 1), lambda: study.begin(0, {}, [], []),
            lambda: study.note("n", 1),
        ):  # fmt: skip
            with pytest.raises(GloError, match="only who drives a study") as error:
                write()
            assert error.value.hint == "call take() first"
        assert study.claim("a worker", 60) is None and study.events() == []


def test_threads_share_a_study(study: Study) -> None:
    study.begin(0, {}, [], list(range(40)))
    trouble: list[BaseException] = []

    def at_work(name: str) -> None:
        try:
            while unit := study.claim(name, 60):
                assert study.finish(unit.id, unit.attempt, evaluations(bytes([unit.payload]), 0.5))
        except BaseException as error:
            trouble.append(error)

    threads = [threading.Thread(target=at_work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert trouble == [] and study.work() == {"done": 40}
    assert len(study.known([bytes([k]) for k in range(40)], [0], 0)) == 40


def test_a_thread_waits_for_the_transaction_of_another(study: Study) -> None:
    found: list[object] = []
    for use in (study.events, lambda: study.record("tell", 1)):
        with study._database.transaction():
            thread = threading.Thread(target=lambda use=use: found.append(use()))
            thread.start()
            thread.join(0.05)
            assert thread.is_alive()
        thread.join()
    assert found == [[], 1]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(
    metrics=st.dictionaries(
        st.text(max_size=5),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
            max_leaves=6,
        ),
        max_size=3,
    ),
    fitness=st.floats(allow_nan=False, allow_infinity=False) | st.none(),
    reason=st.text(st.characters(codec="utf-8"), min_size=1, max_size=9),
    gradient_class=st.binary(max_size=40),
    seed=st.integers(-(2**63), 2**63 - 1),
)
def test_evaluations_come_back_as_they_were(
    study: Study, metrics: dict[str, object], fitness: float | None, reason: str, gradient_class: bytes, seed: int
) -> None:
    rung = study.record("next", None)
    found = Evaluation(gradient_class, seed, rung, fitness, metrics, reason, 1.5)
    finished(study, [found])
    assert study.known([gradient_class], [seed], rung) == {(gradient_class, seed): found}


def test_the_page_about_it_is_right(
    ended: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its commands and its Python say something about a search, and it names every table and every view."""
    text = (Path(__file__).parents[3] / "docs" / "search-store.md").read_text(encoding="utf-8")
    (tmp_path / "out").symlink_to(ended)
    monkeypatch.chdir(tmp_path)
    with sqlite3.connect(Path("out") / FILE) as plain:
        for query in re.findall(r'^    sqlite3 out/study.sqlite3 "(.*)"$', text, re.M):
            assert plain.execute(query).fetchall()
        named = plain.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')").fetchall()
    plain.close()
    rows = re.findall(r"^\| (`.*?`) \|", text.partition("## What survives")[0], re.M)
    assert {name for (name,) in named} == set(re.findall(r"`(\w+)`", " ".join(rows)))
    (block,) = re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)
    exec(compile(block, "search-store.md", "exec"), {})
    assert re.search(r"^0\.\d+ \d+ loss glo", capsys.readouterr().out, re.M)

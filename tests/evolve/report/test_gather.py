"""What a report knows is what the study holds, and what the search itself said of it."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections import Counter
from pathlib import Path

import pytest

from glo_dsl.errors import GloError
from glo_dsl.evolve.store.records import Records
from tests.evolve.report.conftest import story_of


def test_the_story_is_what_the_search_told(ended: Path) -> None:
    story, summary = story_of(ended), json.loads((ended / "summary.json").read_text())
    assert story.state == "ended" and story.outcome is not None
    assert sum((g.fates for g in story.generations), Counter[str]()) == summary["proposals"]
    assert sum(len(g.asked) for g in story.generations) < sum(summary["proposals"].values())
    assert story.generations[-1].trainings == story.outcome.trainings == summary["trainings"]
    assert story.outcome.in_all == summary["in all"]
    for loss, row in zip((story.outcome.baseline, *story.outcome.finalists), summary["losses"], strict=True):
        assert (loss.name, loss.complexity, loss.restated) == (row["name"], row["complexity"], row["text"])
        assert (loss.result.mean, loss.result.grid.best) == (row["mean"], row["learning_rate"])
        assert loss.p == row["welch_p"] and loss.result.diverged == row["test"].count(0.0)


def test_numbers_are_places_and_parents_come_before(ended: Path) -> None:
    asked = story_of(ended).asked
    assert [a.number for a in asked] == list(range(len(asked)))
    assert any(a.parents for a in asked) and all(p < a.number for a in asked for p in a.parents)


def test_scores_are_what_the_strategy_was_told(ended: Path, known_gradients: Path) -> None:
    """A candidate that was trained to the end was told the mean of its seeds at the better rate, and so was each later
    one of the same gradient."""
    _scores_are_told(ended, {"trained"})
    _scores_are_told(known_gradients, {"trained", "gradient known"})


def _scores_are_told(directory: Path, fates: set[str]) -> None:
    story = story_of(directory)
    full = [a for a in story.asked if story.last in a.scores]
    assert len(full) > 5 and {a.fate for a in full} == fates
    assert all(a.fitness == pytest.approx(a.scores[story.last]) for a in full if a.fate == "trained")
    cut = [a for a in story.asked if a.scores and story.last not in a.scores]
    assert cut and all(a.fitness == pytest.approx(a.scores[story.steps[0]]) for a in cut if a.fate == "trained")


def test_an_interrupted_search_is_the_beginning_of_the_whole(interrupted: Path, ended: Path) -> None:
    part, whole = story_of(interrupted), story_of(ended)
    assert part.state == "interrupted" and part.outcome is None and part.generations
    assert part.generations == whole.generations[: len(part.generations)]


CHANGES = {
    "a setting": "UPDATE meta SET value = json_set(value, '$.keep', 'x') WHERE key = 'config'",
    "no metric": "UPDATE meta SET value = json_remove(value, '$.metric') WHERE key = 'search'",
    "words for fitness": "UPDATE event SET payload = json_set(payload, '$.fitness[0]', 'x') WHERE kind = 'tell'",
    "infinite fitness": "UPDATE event SET payload = replace(payload, '\"fitness\":[', '\"fitness\":[1e999,') "
    "WHERE kind = 'tell'",
    "a list too short": "UPDATE event SET payload = json_remove(payload, '$.fitness[0]') WHERE kind = 'tell'",
    "no JSON": "UPDATE event SET payload = '{' WHERE kind = 'tell'",
    "a number alone": "UPDATE event SET payload = '3' WHERE kind = 'ask'",
    "depth": f"UPDATE event SET payload = '{'[' * 100_000}{']' * 100_000}' WHERE kind = 'tell'",
    "no losses": "UPDATE event SET payload = json_set(payload, '$.losses', json('[]')) WHERE kind = 'result'",
    "one test": "UPDATE event SET payload = json_set(payload, '$.losses[0].test', json('[1]')) WHERE kind = 'result'",
    "a huge test": "UPDATE event SET payload = json_set(payload, '$.losses[0].test[0]', 1e300) WHERE kind = 'result'",
    "a rate of 0": "UPDATE event SET payload = json_set(payload, '$.losses[0].grid[0][0]', 0) WHERE kind = 'result'",
    "parents": "UPDATE candidate SET origin = json_set(origin, '$.parents', json('[\"x\"]'))",
    "origin": "UPDATE candidate SET origin = '7'",
    "key": "UPDATE unit SET payload = json_set(payload, '$.jobs[0].key', 'xyz')",
    "seeds": "UPDATE unit SET payload = json_set(payload, '$.seeds', 7)",
    "infinite evaluation": "UPDATE evaluation SET fitness = 9e999",
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_study_that_makes_no_sense_is_refused(change: str, ended: Path, tmp_path: Path) -> None:
    shutil.copy(ended / "study.sqlite3", tmp_path)
    db = sqlite3.connect(tmp_path / "study.sqlite3")
    with db:
        db.execute("DROP TRIGGER event_stays")
        assert db.execute(CHANGES[change]).rowcount > 0
    db.close()
    with pytest.raises(GloError) as raised:
        story_of(tmp_path)
    assert raised.value.hint


def test_reading_leaves_the_study_as_it_was(ended: Path) -> None:
    before = (ended / "study.sqlite3").read_bytes()
    story_of(ended)
    assert (ended / "study.sqlite3").read_bytes() == before
    with Records.open(ended) as records:
        assert records.noted("nothing") is None

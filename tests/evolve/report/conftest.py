"""Small studies in every state, and pages about them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from glo_dsl.evolve.driver import Progress
from glo_dsl.evolve.report.gather import gathered
from glo_dsl.evolve.report.page import page
from glo_dsl.evolve.report.story import Story
from glo_dsl.evolve.session import begin
from glo_dsl.evolve.store.records import Records
from glo_dsl.evolve.store.rows import Candidate
from glo_dsl.evolve.store.study import Study
from tests.evolve.conftest import HERE, LINE, small

EVIL = (
    "</svg></pre><script>alert(1)</script><img src=x onerror=alert(1)>\"'&$\\frac{x}{0}$ \u202e{{ 7*7 }}\x07\udc80 ﷽"
    + "名" * 90
)


@pytest.fixture(scope="session")
def regression(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("report") / "line"
    text = "loss glo(p: real, y: real) = ?f(p - y)"
    begin(small(space=text, task=LINE, tune_generations=0, trainings=12), directory, HERE)
    return directory


@pytest.fixture(scope="session")
def known_gradients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One whose strategy asks about gradients that are known, for they may be smaller."""
    directory = tmp_path_factory.mktemp("report") / "nsga2"
    options = {"population": 12, "offspring": 24, "generations": 3, "start": "none"}
    begin(small("nsga2", strategy_options=options, tune_generations=0), directory, HERE)
    return directory


@pytest.fixture(scope="session")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that was stopped after two generations."""
    directory = tmp_path_factory.mktemp("report") / "interrupted"

    def stop(step: Progress) -> None:
        if step.generation is not None and step.generation.number == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        begin(small(), directory, HERE, stop)
    return directory


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that was killed before it asked anything."""
    directory = tmp_path_factory.mktemp("report") / "empty"
    Study.create(directory, small().as_json()).close()
    return directory


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All texts that a study can hold are an attack, and its lineage is a circle."""
    directory = tmp_path_factory.mktemp("report") / "hostile"
    evil = EVIL.replace("\udc80", "")  # the store refuses half a character in a row
    config = {**small().as_json(), "space": evil, "loss": evil, "task": evil, "strategy": evil}
    config["strategy_options"] = {evil: [evil, {evil: 1}]}
    with Study.create(directory, config) as study:
        study.take()
        study.note("search", {"metric": "accuracy", "outputs": 3, "baseline": EVIL, "versions": {EVIL: EVIL}})
        origin = {"origin": EVIL, "parents": [0, 1, 7, -1]}
        made = [Candidate("loss (" + evil, origin, b"a", 3), Candidate(evil, origin, None, 1, evil)]
        study.begin(0, {"purpose": "search"}, made, [])
        study.record("tell", {"fitness": [0.5, None], "reasons": ["", EVIL]})
        study.record("result", {"trainings": 1, "in_all": 2, "losses": [_row(EVIL), _row(EVIL), _row("l")]})
    return directory


def _row(text: str) -> dict[str, Any]:
    return {
        "name": text, "text": text, "restated": "loss (" + text, "complexity": 1, "grid": [[1, 2, 4], [0.1, 0.3, 0.2]],
        "test": [0.1, 0.2], "diverged": 0,
    }  # fmt: skip


@pytest.fixture(params=["ended", "regression", "interrupted", "empty", "hostile"])
def any_study(request: pytest.FixtureRequest) -> Path:
    found: Path = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="session")
def page_of() -> Callable[[Path], str]:
    """The page about a study; made once."""
    made: dict[Path, str] = {}

    def call(directory: Path) -> str:
        if directory not in made:
            with Records.open(directory) as records:
                made[directory] = page(records, "DIR/study.sqlite3")
        return made[directory]

    return call


def story_of(directory: Path) -> Story:
    with Records.open(directory) as records:
        return gathered(records)

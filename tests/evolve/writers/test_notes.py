from __future__ import annotations

import json
from pathlib import Path

import pytest

from glo_dsl.errors import GloError
from glo_dsl.evolve.writers.notes import FILE, Note, Notes


def test_what_is_noted_is_there_for_the_next(tmp_path: Path) -> None:
    notes = Notes(tmp_path, ["mlflow"])
    assert notes.of("mlflow") == Note() and not (tmp_path / FILE).exists()
    notes.change("mlflow", run="abc")
    notes.change("wandb", generation=4)
    notes.change("mlflow", generation=7, ended=True)
    again = Notes(tmp_path, ["mlflow"])
    assert again.of("mlflow") == Note("abc", 7, True) and again.of("wandb") == Note("", 4, False)
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[1]", "3", '{"mlflow": 3}', '{"mlflow": {"runs": "a"}}', '{"mlflow": {"run": 1}}', "[" * 10**5,
        '{"mlflow": {"generation": "1"}}', '{"mlflow": {"generation": true}}', '{"mlflow": {"ended": 1}}',
        '{"mlflow": {"run": "../../x"}}', '{"mlflow": {"run": "a b"}}', '{"mlflow": {"run": "' + "a" * 65 + '"}}',
        '{"mlflow": {"run": "a\\n"}}',
    ],
)  # fmt: skip
def test_a_damaged_file_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(GloError, match=r"logged\.json is damaged") as caught:
        Notes(tmp_path, ["mlflow"])
    assert "remove it" in str(caught.value)
    Notes(tmp_path, [])  # nobody needs it


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"\xff\xfe")
    with pytest.raises(GloError, match="is damaged"):
        Notes(tmp_path, ["mlflow"])


def test_what_is_written_is_json(tmp_path: Path) -> None:
    Notes(tmp_path, ["mlflow"]).change("mlflow", run="x")
    assert json.loads((tmp_path / FILE).read_text()) == {"mlflow": {"run": "x", "generation": -1, "ended": False}}

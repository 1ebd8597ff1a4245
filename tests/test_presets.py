"""The benchmark of presets: how it counts, compares and goes on."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.evolve.conftest import BLOBS

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import presets

LITTLE = [
    "--task", BLOBS, "--presets", "islands", "taylor", "--runs", "1", "--trainings", "12", "--executor", "in-process",
    "--workers", "1", "--set", "steps=8", "--set", "fresh_seeds=3", "--set", "leader_seeds=2", "--set", "rate_seeds=2",
    "--set", "tune_seeds=1", "--set", "confirm_seeds=2", "--set", "leaders=2", "--set", "finalists=1",
    "--tune-generations", "1",
]  # fmt: skip


def test_steps_are_those_that_are_taken() -> None:
    payload = {"jobs": [{}] * 4, "seeds": [1, 2], "steps": [50, 200], "keep": 0.5}
    assert presets.steps_of(payload) == 2 * (4 * 50 + 2 * 150)
    assert presets.steps_of({**payload, "jobs": [{}], "steps": [50, 100, 200]}) == 2 * 200
    assert presets.steps_of({**payload, "steps": [200]}) == 2 * 4 * 200


def run(mean: float, **spent: int) -> dict[str, Any]:
    entry = {"mean": mean, "seeds": ["zoo: gce"]}
    parts = {purpose: {"networks": steps // 10, "steps": steps} for purpose, steps in spent.items()}
    proposals = {"trained": 1, "gradient known": 3}
    return {"baseline": {"mean": 0.5}, "entries": [entry], "spent": parts, "proposals": proposals, "seconds": 2.0}


def test_a_summary_compares_run_by_run() -> None:
    own = [run(value, search=100, constants=50, test=1000) for value in (0.7, 0.8, 0.9)]
    worse = [run(value - shift, search=150) for value, shift in ((0.7, 0.1), (0.8, 0.11), (0.9, 0.09))]
    rows = {row["name"]: row for row in presets.summary({"gce": worse, "islands": own, "taylor": worse})}
    assert list(rows) == ["cross-entropy", "gce", "islands", "taylor"]
    assert rows["islands"]["steps"] == rows["taylor"]["steps"] == 150 and rows["islands"]["networks"] == 15
    assert rows["islands"]["test"] == pytest.approx(0.8) and rows["islands"]["paired p"] is None
    assert rows["taylor"]["paired p"] < 0.01 < rows["taylor"]["welch p"]
    assert rows["islands"]["never trained"] == 0.75 and rows["islands"]["known before"] == 3
    lines = presets.table(list(rows.values())).splitlines()
    assert len(lines) == 6 and lines[4].startswith("| islands | 0.8000 ± 0.0577 | 150 | 15 | 2 | 75% |")


def test_it_runs_goes_on_and_refuses_another_plan(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presets, "GCE", (0.7,))
    arguments = [*LITTLE, "--directory", str(tmp_path / "studies"), "--out", str(tmp_path / "out.json")]
    presets.main(arguments)
    first, text = (tmp_path / "out.json").read_text(), capsys.readouterr().out
    assert "run 0, taylor: " in text and "| gce |" in text
    (tmp_path / "studies" / "blobs-py-blobs" / "taylor" / "0" / "run.json").unlink()  # as if it had been killed there
    presets.main(arguments)
    assert _figures((tmp_path / "out.json").read_text()) == _figures(first)
    with pytest.raises(SystemExit, match="other settings"):
        presets.main([*arguments, "--set", "keep=0.4"])


def _figures(text: str) -> list[tuple[str, float, float | None]]:
    (task,) = json.loads(text)["tasks"].values()
    return [(row["name"], row["test"], row["steps"]) for row in task["rows"]]

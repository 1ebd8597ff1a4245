"""Each logger that is installed, by itself: what is written is read back as its own tools read it.

TensorBoard comes with the extra `test`; `make log` runs these tests with the others.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from glo_dsl.evolve.writers.named import OPENINGS, check
from tests.evolve.writers import reading

Found = reading.Found
READERS: dict[str, Callable[[Path, str], Found]] = {
    "tensorboard": reading.tensorboard, "mlflow": reading.mlflow, "wandb": reading.wandb,
}  # fmt: skip
TEXT = "loss best(z: real[C], t: class[C]) =\n  -mean(<b>*_x_*</b>)  # ä\n"


@pytest.fixture(params=list(OPENINGS))
def logger(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    if find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "WANDB_MODE", "WANDB_API_KEY", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    check([request.param])
    yield request.param


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
def test_what_is_written_is_read_back(logger: str, tmp_path: Path) -> None:
    """By two processes, the second of which goes on with the run."""
    place = tmp_path / "a study"
    place.mkdir()
    writer = OPENINGS[logger](place, None)
    run = writer.run
    writer.parameters({"strategy_options.population": "12", "task": "digits"})
    writer.figures(12, {"best": 0.5, "median": 0.25})
    writer.figures(12, {"best": 0.5})
    writer.close(False)
    writer = OPENINGS[logger](place, run)
    assert writer.run == run
    writer.figures(20, {"best": 0.75, "test/found0/welch_p": 1e-6})
    writer.text("best.glo", TEXT)
    writer.close(True)
    found = READERS[logger](place, run)
    assert found.figures == {
        "best": [(12, 0.5), (12, 0.5), (20, 0.75)], "median": [(12, 0.25)], "test/found0/welch_p": [(20, 1e-6)]
    }  # fmt: skip
    assert found.parameters == {"strategy_options.population": "12", "task": "digits"}
    assert found.texts == {"best.glo": TEXT}
    assert found.status in ("", "FINISHED", "0")
    assert sorted(path.name for path in place.iterdir()) == [{"mlflow": "mlruns"}.get(logger, logger)]
    assert json.dumps(run)

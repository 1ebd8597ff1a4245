"""The commands of the search, as a user runs them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from glo_dsl.cli.main import main
from glo_dsl.errors import GloError
from glo_dsl.evolve.session import front_of
from glo_dsl.evolve.store.records import Records
from glo_dsl.evolve.store.study import Study
from tests.cli.conftest import Run

SPACE = Path(__file__).parents[2] / "examples" / "glo.glo"
BLOBS = f"{Path(__file__).parents[1] / 'evolve' / 'blobs.py'}:blobs"
SMALL = (
    "--task", BLOBS, "--trainings", 30, "--fresh-seeds", 4, "--set", "population=12", "--set", "finalists=1",
    "--set", "leader_seeds=2", "--set", "rate_seeds=2", "--set", "tune_seeds=2", "--set", "confirm_seeds=3",
    "--set", "tune_generations=2",
    "--out", "found",
)  # fmt: skip


def test_search_writes_a_loss_its_kernel_and_a_table(installed: Run, tmp_path: Path) -> None:
    done = installed("glo", "search", SPACE, *SMALL)
    printed = done.stdout.decode()
    assert done.returncode == 0, done.stderr.decode()
    assert "cross_entropy" in printed and "Welch p" in printed and "±" in printed
    summary = json.loads((tmp_path / "found" / "summary.json").read_text())
    assert summary["losses"][0]["name"] == "cross_entropy" and len(summary["losses"]) > 1
    best = tmp_path / "found" / "best.glo"
    assert best.read_text().strip() in printed
    code = "import sys; sys.path.insert(0, 'found'); import best_triton, torch; " \
           "print(best_triton.best(torch.randn(5, 10), torch.arange(5)).isfinite().item())"  # fmt: skip
    used = subprocess.run([sys.executable, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert used.stdout.strip() == "True", used.stderr
    told = installed("glo", "resume", "found")
    assert told.returncode == 0 and best.read_text().strip() in told.stdout.decode()


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_leaves_a_study_to_go_on_with(times: int, tmp_path: Path) -> None:
    """Also a second one while it winds down."""
    glo = Path(sys.executable).with_name("glo")
    command = [str(glo), "search", str(SPACE), *map(str, SMALL), "--set", "population=40", "--trainings", "500"]
    running = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ)
    for _ in range(600):
        if (tmp_path / "found" / "study.sqlite3").exists():
            break
        time.sleep(0.1)
    time.sleep(1)
    for _ in range(times):
        running.send_signal(signal.SIGINT)
        time.sleep(0.05)
    _, error = running.communicate(timeout=60)
    ends = (1, -signal.SIGINT) if times > 1 else (1,)  # the second may meet an interpreter that is at its end
    assert running.returncode in ends and "glo resume found" in error.decode(), error.decode()
    assert "Traceback" not in error.decode()
    with Records.open(tmp_path / "found") as records:
        records.check()
    with Study.open(tmp_path / "found") as study:  # nobody has it any more
        study.take()
    with pytest.raises(GloError, match="has not come to its end"):
        front_of(tmp_path / "found")


def test_progress_goes_to_standard_error_and_quiet_is_quiet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["glo", "search", str(SPACE), *map(str, SMALL)])
    with pytest.raises(SystemExit) as stopped:
        main()
    loud = capsys.readouterr()
    stages = ["1/6 searching", "2/6 second look at the leaders", "3/6 learning rates of the finalists"]
    assert stopped.value.code == 0 and _without_time(loud.err)[:3] == stages
    assert "Welch p" in loud.out and "Written to found" in loud.out
    monkeypatch.setattr(sys, "argv", ["glo", "resume", "found", "--quiet"])
    with pytest.raises(SystemExit):
        main()
    quiet = capsys.readouterr()
    assert quiet.err == "" and "Welch p" in quiet.out and "Written to" not in quiet.out and "loss best" not in quiet.out
    monkeypatch.setattr(sys, "argv", ["glo", "resume", "found"])
    with pytest.raises(SystemExit):
        main()
    again = _without_time(capsys.readouterr().err)
    assert re.fullmatch(r"going over what the study has: \d+ events", again[0]) and len(again) <= 2


def _without_time(error: str) -> list[str]:
    """Without the lines that come every ten seconds."""
    return [line for line in error.splitlines() if not line.startswith("  ")]


def test_constants_are_tuned_from_a_toml_file(installed: Run, tmp_path: Path) -> None:
    (tmp_path / "f.glo").write_text(
        "loss f(z: real[C], t: class[C]; k = 0.5) = -k * log_softmax(z)[t] + sum(softmax(z)^2)"
    )
    (tmp_path / "search.toml").write_text(
        f'task = "{BLOBS}"\ntrainings = 20\nfresh_seeds = 3\nleader_seeds = 2\nrate_seeds = 2\nfinalists = 1\n'
        "[strategy_options]\npopulation = 4\ngenerations = 1\n"
    )
    done = installed("glo", "tune", "f.glo", "--config", "search.toml", "--out", "found")
    assert done.returncode == 0, done.stderr.decode()
    assert "; k = " in (tmp_path / "found" / "best.glo").read_text()


@pytest.mark.parametrize(
    ("command", "words", "message"),
    [
        ("search", (SPACE, "--task", "digit"), "did you mean digits?"),
        ("search", ("full.glo",), "f has no hole"),
        ("search", (SPACE, "--strategy", "island"), "did you mean islands?"),
        ("search", (SPACE, "--set", "populaton=3"), "did you mean population?"),
        ("search", (SPACE, "--set", "population"), "write name=value"),
        ("search", (SPACE, "--set", "devise=cpu"), "did you mean device?"),
        ("search", (SPACE, "--set", "keep=2"), "keep is 2"),
        ("search", (SPACE, "--log", "tensorbord"), "did you mean tensorboard?"),
        ("resume", ("nowhere", "--log", "wand"), "did you mean wandb?"),
        ("search", (SPACE, "--config", "bad.toml"), "is no TOML"),
        ("search", (SPACE, "--executor", "cluster"), "no executor cluster"),
        ("search", (SPACE, "--device", "gpu"), "it is cpu, cuda, or one of several"),
        ("search", (SPACE, "--device", "cuda:99"), "cuda:99"),
        ("tune", ("constant.glo", "--device", "cuda:99"), "cuda:99"),
        ("tune", ("full.glo",), "has no constants to tune"),
        ("resume", ("nowhere",), "there is no directory nowhere"),
        ("front", ("nowhere",), "there is no directory nowhere"),
    ],
)
def test_mistakes(
    command: str, words: tuple[object, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """In this process: a new one takes seconds to import what a search needs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full.glo").write_text("loss f(z: real[C], t: class[C]) = -log(softmax(z)[t])")
    (tmp_path / "constant.glo").write_text("loss f(z: real[C], t: class[C]; k = 1) = -k * log(softmax(z)[t])")
    (tmp_path / "bad.toml").write_text("trainings = \n")
    monkeypatch.setattr(sys, "argv", ["glo", command, *map(str, words)])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 1 and message in capsys.readouterr().err
    assert not (tmp_path / "glo-out").exists()


def test_numbers_out_of_range_are_refused(installed: Run) -> None:
    done = installed("glo", "search", SPACE, "--trainings", "-3")
    assert done.returncode == 2 and b"trainings" in done.stderr and b"Traceback" not in done.stderr

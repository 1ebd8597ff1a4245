"""The GPU benchmark where there is no GPU: rehearsed, and its judge, its clock and its driver put to the test."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import glo_dsl as glo

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import gpu
from eager import EAGER, constants, differentiated
from on_gpu import accuracy, driver, judge, population, rivals
from on_gpu.report import Report, line
from on_gpu.setting import Result, Section, Setting
from on_gpu.timing import Contender, HostClock, interleaved
from traps.on_device import moved, on_device

SETTING = Setting(rehearsal=True, compiles=False)


def test_no_gpu_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu.main([]) == 2
    assert "no CUDA device here; --rehearse" in capsys.readouterr().err


def test_unknown_sections_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu.main(["--rehearse", "--only", "rosw"]) == 2
    assert "no section rosw; there are: accuracy, " in capsys.readouterr().err


def test_a_rehearsal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two sections through driver, worker and builders: one that judges and times, one that checks."""
    out = tmp_path / "gpu.json"
    assert gpu.main(["--rehearse", "--only", "rows", "--only", "promises", "--out", str(out)]) == 0
    found = json.loads(out.read_text())
    assert found["machine"]["rehearsal"] is True
    assert [(name, s["ended"]) for name, s in found["sections"].items()] == [
        ("promises", "complete"), ("rows", "complete"),
    ]  # fmt: skip
    *rows, total = found["sections"]["rows"]["results"]
    assert [r["of"]["loss"] for r in rows] == ["cross_entropy", "baikal"]
    assert all(set(r["microseconds"]) == {"cross entropy", "glo"} and not r["notes"] for r in rows)
    assert total["figures"]["losses"] == 2
    assert all(r["figures"]["right"] and not r["notes"] for r in found["sections"]["promises"]["results"])
    assert "== rows: every loss of rows against cross-entropy" in capsys.readouterr().out


@pytest.mark.parametrize("name", EAGER)
def test_forms_are_the_losses(name: str) -> None:
    """What contenders are judged by is the loss of the library of that name."""
    loss = glo.zoo[name]
    generator = torch.Generator().manual_seed(0)
    by_class = any(v.type.per_class for v in loss.inputs)
    inputs = [
        torch.randint(7, (5,), generator=generator)
        if v.type.kind == "class"
        else torch.randn((5, 7) if by_class else (5,), dtype=torch.float64, generator=generator)
        for v in loss.inputs
    ]
    value, gradient = differentiated(EAGER[name], *inputs, *constants(loss, torch.float64))
    want, wanted = glo.compile(loss, "torch").value_and_grad(*inputs)
    torch.testing.assert_close(value, want)
    torch.testing.assert_close(gradient, wanted[loss.inputs[0].name])


def cross_entropy(factor: float = 1.0, shift: float = 0.0) -> Callable[[int], Any]:
    """Contenders that are right, or off by a factor in the gradient or a shift in the value."""
    z, t = logits()

    def step(n: int) -> Any:
        value, gradient = differentiated(EAGER["cross_entropy"], z, t)
        return value + shift, [gradient * factor]

    return step


def logits() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(6, 9, generator=generator), torch.randint(9, (6,), generator=generator)


def test_who_is_wrong_is_not_timed() -> None:
    def broken(n: int) -> Any:
        raise ValueError("no such kernel\nand more")

    contenders = {
        "right": Contender(cross_entropy()), "gradient": Contender(cross_entropy(factor=1.02)),
        "value": Contender(cross_entropy(shift=1e-3)), "nan": Contender(cross_entropy(factor=math.nan)),
        "shape": Contender(cross_entropy(), read=lambda found: (found[0].reshape(1), found[1])),
        "count": Contender(lambda n: (torch.zeros(()), [])), "broken": Contender(broken),
        "read": Contender(cross_entropy(factor=2.0), read=lambda found: (found[0], [found[1][0] / 2])),
    }  # fmt: skip
    good, notes = judge.judged(SETTING, contenders, judge.truth_of(EAGER["cross_entropy"], logits()), torch.float32)
    assert list(good) == ["right", "read"]
    assert [note.partition(":")[0] for note in notes] == [
        "gradient WRONG, not timed", "value WRONG, not timed", "nan WRONG, not timed", "shape WRONG, not timed",
        "count WRONG, not timed",
        "broken failed",
    ]  # fmt: skip
    assert notes[-1].endswith("ValueError: no such kernel")


def test_truth_in_parts_is_the_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = judge.truth_of(EAGER["cross_entropy"], logits())
    monkeypatch.setattr(judge, "AT_A_TIME", 20)  # two rows
    parts = judge.truth_of(EAGER["cross_entropy"], logits())
    torch.testing.assert_close(parts.value, whole.value)
    torch.testing.assert_close(parts.gradients[0], whole.gradients[0])
    z, t = logits()
    value, gradient = differentiated(EAGER["cross_entropy"], z.double(), t)
    torch.testing.assert_close(whole.value.double(), value)
    torch.testing.assert_close(whole.gradients[0].double(), gradient, rtol=1e-6, atol=1e-8)


def test_contenders_take_turns() -> None:
    """Each is first in its turn, no launch has the buffer of the one before, and what is prepared is not timed."""
    said: list[tuple[str, str, int]] = []

    class Clock(HostClock):
        turns = (6, 6)

        def launch(self, step: Callable[[], object], ahead: float) -> Callable[[], float]:
            step()
            count = len(said)
            return lambda: count * 1e-6

    def contender(name: str) -> Contender:
        return Contender(lambda n: said.append(("step", name, n)), prepare=lambda n: said.append(("prepare", name, n)))

    times = interleaved({name: contender(name) for name in "abc"}, 4, Clock(), 1.0)
    pairs = [said[k : k + 2] for k in range(0, len(said), 2)]
    assert all(p[0] == "prepare" and s[0] == "step" and p[1:] == s[1:] for p, s in pairs)
    launches = [s[1:] for _, s in pairs[6 * 3 :]]  # after the calls that say how long the host takes
    assert [name for name, _ in launches[::3]] == list("bcabcab")
    assert all(a[1] != b[1] for a, b in pairwise(launches))
    median, low, high, host = times["a"]
    assert low < median < high and host >= 0


SCRIPT = """
import json, os, sys, time
for text in sys.stdin:
    order = json.loads(text)
    print(json.dumps({"result": order}), flush=True)
    if order["section"] == "dies":
        print("no more", file=sys.stderr, flush=True)
        os._exit(7)
    if order["section"] == "hangs":
        time.sleep(60)
    print(json.dumps({"ended": "complete"}), flush=True)
"""


def section(name: str, seconds: float) -> Section:
    def run(setting: Setting) -> Iterator[Result]:
        raise AssertionError("the driver runs nothing itself")

    return Section(name, "losses", seconds, run)  # type: ignore[arg-type]


def driven(seconds: dict[str, float], log: Path) -> tuple[dict[str, Any], dict[str, float]]:
    """How sections ended, and the seconds that each was given."""
    sections = [section(name, share) for name, share in seconds.items()]
    ends: dict[str, Any] = {}
    given: dict[str, float] = {}
    driver.drive(
        sections, [sys.executable, "-c", SCRIPT], {}, log, lambda section: None,
        lambda section, result: given.update({section.name: result["seconds"]}),
        lambda section, end: ends.update({section.name: end["ended"]}),
    )  # fmt: skip
    return ends, given


def test_a_section_may_die_or_hang(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(driver, "GRACE", 0.1)
    monkeypatch.setattr(driver, "LEAST", 0.1)
    log = tmp_path / "log"
    ends, given = driven({"dies": 20, "good": 20, "hangs": -40, "last": 60}, log)
    assert ends["dies"] == "its process died: exit code 7" and "no more" in log.read_text()
    assert ends["hangs"].startswith("killed: it took more than")
    assert ends["good"] == ends["last"] == "complete"
    assert list(given) == ["dies", "good", "hangs", "last"]  # what was found before is kept


def test_time_that_is_left_goes_to_the_next(tmp_path: Path) -> None:
    _, given = driven({"first": 30, "second": 20, "third": -45}, tmp_path / "log")
    assert (given["first"], given["third"]) == (pytest.approx(30, abs=1), driver.LEAST)
    assert 40 < given["second"] <= 50


def test_the_report_is_whole_at_any_time(tmp_path: Path) -> None:
    out = tmp_path / "gpu.json"
    report, rows = Report({"cores": 2}, out), section("rows", 1.0)
    report.begun(rows)
    assert json.loads(out.read_text())["sections"]["rows"]["ended"] == "not yet"
    result = {"case": "ce", "of": {}, "microseconds": {"glo": [12.0, 11.0, 13.0, 5.0]}, "figures": {"of copy": 0.5},
              "notes": ["eager WRONG"]}  # fmt: skip
    report.keep(rows, result)
    assert json.loads(out.read_text())["sections"]["rows"]["results"] == [result]
    report.ended(rows, {"ended": "out of time", "seconds": 1.0})
    assert json.loads(out.read_text())["sections"]["rows"]["ended"] == "out of time"
    assert line(result).split("\n") == [f"{'ce':36} glo 12 us | of copy 0.5", "      ! eager WRONG"]


def test_the_mean_takes_the_best_of_the_rival() -> None:
    def found(loss: str, classes: int, **figures: float | None) -> Result:
        ratios = {name.replace("_", "/"): ratio for name, ratio in figures.items()}
        return Result(loss, {"loss": loss, "classes": classes}, figures=ratios)

    results = [
        found("baikal", 50257, eager_glo=32.0, compile_glo=8.0), found("brier", 100, eager_glo=2.0, compile_glo=1.0),
        found("focal", 100, eager_glo=None, compile_glo=None), found("baikal", 50257, compile_glo=4.0),
    ]  # fmt: skip
    eager, compiled = rivals.summary(results)
    assert (eager.figures["cases"], eager.figures["geometric mean"], eager.figures["least"]) == (2, 8.0, 2.0)
    assert (compiled.figures["geometric mean"], compiled.figures["least"]) == (2.0, 1.0)
    assert compiled.figures["Baikal and TaylorGLO from 32k classes on"] == 4.0
    assert rivals.summary([])[0].figures["geometric mean"] is None


def test_accuracy_counts_units_in_the_last_place() -> None:
    want = torch.tensor([[1.0, -0.25], [0.5, 0.0]])
    exact = accuracy.of(lambda: (torch.tensor(2.0), want), [], (torch.tensor(2.0), want))
    assert exact == {"loss": 0.0, "gradient": 0.0, "within an ulp": 1.0}
    off = want + torch.tensor([[2.0**-7, 0.0], [2.0**-7, 0.0]])  # one unit of 1.0, two of 0.5
    found = accuracy.of(lambda: (torch.tensor(2.2), off), [], (torch.tensor(2.0), want))
    assert found["loss"] == pytest.approx(0.1) and found["gradient"] == 2.0**-6
    assert found["within an ulp"] == 0.75
    beyond = torch.tensor([[math.inf, 0.0], [0.5, 0.0]])  # of what float32 holds: only the other row is judged
    found = accuracy.of(lambda: (torch.tensor(math.inf), off), [], (torch.tensor(math.inf), beyond))
    assert found == {"loss": 0.0, "gradient": 2.0**-6, "within an ulp": 0.5}


def test_a_generation_is_of_different_losses() -> None:
    losses = population.generation(64)
    assert len({loss.expr for loss in losses}) == len({loss.name for loss in losses}) == 64


@pytest.mark.parametrize(
    "tensor",
    [
        torch.arange(6.0).reshape(2, 3).T, torch.arange(8.0)[1::2], torch.ones(1, 3).expand(4, 3), torch.empty(0, 3),
        torch.tensor(1.0),
    ],
    ids=["transposed", "stepped", "expanded", "empty", "scalar"],
)  # fmt: skip
def test_tensors_move_as_they_lie(tensor: Tensor) -> None:
    there = moved(tensor, "cpu")
    assert torch.equal(there, tensor) and there.stride() == tensor.stride()
    assert not tensor.numel() or there.data_ptr() != tensor.data_ptr()


def test_a_loss_elsewhere_is_the_same_loss() -> None:
    """Twice differentiable, upstream gradients as they lie, and what it overwrites is overwritten here."""
    seen: list[tuple[int, ...]] = []

    def loss(z: Tensor) -> Tensor:
        each = z**3
        each.register_hook(lambda gradient: seen.append(gradient.stride()))
        return each

    z = torch.tensor([1.0, 2.0], requires_grad=True)
    (slope,) = torch.autograd.grad(on_device(loss, "cpu")(z), z, torch.ones(()).expand(2), create_graph=True)
    assert seen == [(0,)]
    assert torch.autograd.grad(slope.sum(), z)[0].tolist() == [6.0, 12.0]

    def overwriting(z: Tensor) -> Tensor:
        value = (z * 1).sum()
        z.detach().zero_()
        return value

    assert on_device(overwriting, "cpu")(z).item() == 3.0 and z.tolist() == [0.0, 0.0]

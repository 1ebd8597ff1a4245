from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import glo_dsl as glo
from glo_dsl.evolve.tasks import TASKS, task_named

OWN = """
import torch
from glo_dsl.evolve.tasks import Recipe, Task

def part(first):
    x = torch.arange(first, first + 60)
    return x[:, None].float() / 60, x % 3

def plain():
    parts = [part(first) for first in (0, 60, 120)]
    return Task("own", *parts, outputs=3, model=lambda: torch.nn.Linear(1, 3), recipe=Recipe(0.1, batch=50, steps=2))

def full(seed=0, data=None, fraction=1.0, noise=0.0, noise_seed=0):
    import dataclasses
    return dataclasses.replace(plain(), name=f"{seed} {data} {fraction} {noise} {noise_seed}")

def anything(**options):
    return plain()

def number():
    return 3

def wrong():
    import dataclasses
    return dataclasses.replace(plain(), outputs=2)
"""


@pytest.fixture
def own(tmp_path: Path) -> str:
    path = tmp_path / "own.py"
    path.write_text(OWN)
    return str(path)


def said(*arguments: object, **options: object) -> tuple[str, str]:
    with pytest.raises(glo.GloError) as error:
        task_named(*arguments, **options)  # type: ignore[arg-type]
    return error.value.message, error.value.hint or ""


def test_an_unknown_task_is_answered_with_a_suggestion() -> None:
    assert said("digit") == ("unknown task digit", "did you mean digits?")
    _, hint = said("nothing-like-it")
    assert all(name in hint for name in TASKS) and "module:factory" in hint


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fraction": 0.0}, "fraction is 0"), ({"fraction": 1.5}, "fraction is 1.5"),
        ({"fraction": float("nan")}, "fraction is nan"), ({"seed": -1}, "seed is -1"),
        ({"noise_seed": -2}, "noise_seed is -2"), ({"noise": 1.0}, "noise is 1"),
        ({"data": "somewhere"}, "task wine reads no data"),
    ],
)  # fmt: skip
def test_arguments_that_make_no_sense(options: dict[str, object], message: str) -> None:
    found, hint = said("wine", **options)
    assert found == message and hint


def test_noise_is_for_classes() -> None:
    assert said("diabetes", noise=0.1)[0] == "task diabetes has no labels to make noisy"


@settings(max_examples=20)
@given(st.floats(0.02, 1), st.integers(0, 9))
def test_a_fraction_of_wine_leaves_validation_and_test_as_many(fraction: float, seed: int) -> None:
    whole, part = task_named("wine", seed=seed), task_named("wine", fraction, seed)
    assert torch.equal(part.validation[1], whole.validation[1]) and torch.equal(part.test[1], whole.test[1])
    counts = zip(torch.bincount(part.train[1], minlength=3).tolist(), torch.bincount(whole.train[1]).tolist())
    assert all(few == max(1, round(fraction * many)) for few, many in counts)


def test_noise_on_any_task_with_classes_leaves_its_test_clean() -> None:
    clean, noisy = task_named("breast-cancer"), task_named("breast-cancer", noise=0.3)
    assert 0.2 < (clean.train[1] != noisy.train[1]).float().mean() < 0.4
    assert 0.15 < (clean.validation[1] != noisy.validation[1]).float().mean() < 0.45
    assert torch.equal(clean.test[1], noisy.test[1])


def test_an_own_task_gets_less_data_and_noise_without_knowing_of_them(own: str) -> None:
    whole, part = task_named(f"{own}:plain"), task_named(f"{own}:plain", fraction=0.5, noise=0.5)
    assert len(whole.train[1]) == 60 and torch.equal(whole.train[1], torch.arange(60) % 3)
    assert len(part.train[1]) == part.recipe.batch == 30 and len(part.validation[1]) == 60
    assert (part.validation[1] != whole.validation[1]).any() and torch.equal(part.test[1], whole.test[1])


def test_an_own_task_that_takes_them_gets_all_arguments_and_is_not_cut_twice(own: str) -> None:
    task = task_named(f"{own}:full", 0.5, 7, "somewhere", noise=0.25, noise_seed=3)
    assert task.name == "7 somewhere 0.5 0.25 3"
    assert len(task.train[1]) == 60 and torch.equal(task.train[1], torch.arange(60) % 3)


def test_defaults_of_an_own_task_are_kept(own: str) -> None:
    assert task_named(f"{own}:full").name == "0 None 1.0 0.0 0"


def test_arguments_that_an_own_task_cannot_follow(own: str) -> None:
    assert said(f"{own}:plain", seed=1)[0] == f"task {own}:plain has one split only"
    assert said(f"{own}:plain", data="x")[0] == f"task {own}:plain reads no data"


def test_what_is_no_task_and_what_is_an_unfit_one(own: str) -> None:
    assert said(f"{own}:number") == (f"{own}:number gave int, not a Task", "glo_dsl.evolve.tasks.Task")
    assert said(f"{own}:wrong")[0] == "task own: targets of train go up to 2"
    assert task_named(f"{own}:anything").name == "own"

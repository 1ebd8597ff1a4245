"""The page about tasks: its table is computed again, its example is the file, and can be learnt."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from glo_dsl.evolve.tasks import TASKS, Task, images, task_named
from glo_dsl.evolve.tasks.networks import parameters
from tests.evolve.tasks.stored_images import write_cifar10, write_mnist

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "search-tasks.md").read_text(encoding="utf-8")
ROWS = {
    cells[0].strip("`"): cells[1:]
    for line in re.findall(r"^\| (`[a-z0-9-]+` \|.*\d+, \d+, \d+.*) \|$", PAGE, re.M)
    for cells in [line.split(" | ")]
}
EXAMPLE = ROOT / "examples" / "own_task.py"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    write_mnist(root, train=1200)
    write_cifar10(root, each=600)
    return root


def test_the_table_has_all_tasks() -> None:
    assert list(ROWS) == list(TASKS)


def recipe_of(task: Task) -> str:
    recipe = task.recipe
    return f"{recipe.optimizer.upper()}, rate {recipe.rate:g}, batch {recipe.batch}, {recipe.steps} steps"


@pytest.mark.parametrize("name", [name for name in TASKS if not hasattr(images, name.replace("-", "_"))])
def test_a_row_of_a_small_task_is_what_the_task_says(name: str) -> None:
    sizes, inputs, _, count, recipe, _ = ROWS[name]
    task = task_named(name)
    assert sizes == ", ".join(str(len(targets)) for _, targets in (task.train, task.validation, task.test))
    assert inputs == " x ".join(map(str, task.train[0].shape[1:]))
    assert (int(count), recipe) == (parameters(task.model()), recipe_of(task))


@pytest.mark.parametrize("name", [name for name in TASKS if hasattr(images, name.replace("-", "_"))])
def test_a_row_of_mnist_or_cifar10_is_what_the_task_says(name: str, data: Path) -> None:
    _, inputs, _, count, recipe, _ = ROWS[name]
    task = TASKS[name](data=data)
    assert inputs.startswith(" x ".join(map(str, task.train[0].shape[1:])))
    assert (int(count), recipe) == (parameters(task.model()), recipe_of(task))


def test_the_example_on_the_page_is_the_file() -> None:
    assert f"```python\n{EXAMPLE.read_text(encoding='utf-8')}```" in PAGE


def test_the_calls_on_the_page_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    (block,) = re.findall(r"^```python\n(from glo_dsl.*?)^```$", PAGE, re.M | re.S)
    found: dict[str, Task] = {}
    exec(block, found)
    assert len(found["few"].train[1]) == pytest.approx(len(found["task"].train[1]) / 10, abs=5)
    assert found["mine"].name == "spirals"


def test_the_example_can_be_learnt() -> None:
    task = task_named(f"{EXAMPLE}:spirals")
    torch.manual_seed(0)
    network, generator = task.model(), torch.Generator().manual_seed(0)
    weights = list(network.parameters())
    speeds = [torch.zeros_like(w) for w in weights]
    assert task.augment is not None
    for step in range(task.recipe.steps):
        chosen = torch.arange(task.recipe.batch) + step % 10 * task.recipe.batch
        outputs = network(task.augment(task.train[0][chosen], generator))
        slopes = torch.autograd.grad(F.cross_entropy(outputs, task.train[1][chosen]), weights)
        with torch.no_grad():
            for weight, speed, slope in zip(weights, speeds, slopes):
                weight -= task.recipe.rate * speed.mul_(task.recipe.momentum).add_(slope)
    assert (network(task.test[0]).argmax(-1) == task.test[1]).float().mean() > 0.9

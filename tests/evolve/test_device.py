"""Names of devices, data on them, and what is said where they are not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from glo_dsl import GloError
from glo_dsl.evolve import device
from glo_dsl.evolve.device import device_named, placed
from glo_dsl.evolve.evaluator import trainer_of
from glo_dsl.evolve.session import Where
from glo_dsl.evolve.tasks.named import task_named
from glo_dsl.evolve.tasks.task import Task
from tests.evolve.conftest import BLOBS, small

META = torch.device("meta")
"""A device that every machine has beside the CPU; it computes shapes."""


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    def there(count: int) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)

    return there


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "cuda:-1", "CPU", "", "cuda:0 ", "cuda:1234567"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(GloError, match="device is ") as caught:
        small(device=name)
    assert caught.value.hint == "it is cpu, cuda, or one of several: cuda:0, cuda:1, ..."


def test_devices_that_are_there(gpus: Callable[[int], None]) -> None:
    gpus(2)
    assert [str(device_named(name)) for name in ("cpu", "cuda", "cuda:0", "cuda:1")] == [
        "cpu",
        "cuda:0",
        "cuda:0",
        "cuda:1",
    ]
    with pytest.raises(GloError, match="there is no cuda:2") as caught:
        device_named("cuda:2")
    assert caught.value.hint == "PyTorch sees 2, counted from cuda:0"


def test_no_gpu_is_said_before_anything_is_begun(gpus: Callable[[int], None]) -> None:
    gpus(0)
    for begun in (
        lambda: Where("in-process").begin(small(device="cuda")),
        lambda: Where("processes").begin(small(device="cuda")),
        trainer_of(BLOBS, {}, "cuda"),
    ):
        with pytest.raises(GloError, match="device is cuda, and PyTorch sees no GPU here") as caught:
            begun()
        assert caught.value.hint is not None and caught.value.hint.startswith("train on the CPU with --device cpu")


def test_one_worker_has_the_gpu(gpus: Callable[[int], None]) -> None:
    gpus(1)
    for name in ("in-process", "processes"):
        with Where(name).begin(small(device="cuda")) as executor:
            assert executor.capacity == 1
        with Where(name, 3).begin(small(device="cuda")) as executor:
            assert executor.capacity == 3


def blobs() -> Task:
    return task_named(BLOBS)


def test_data_lie_where_the_networks_are() -> None:
    task = blobs()
    assert placed(task, torch.device("cpu")) is task
    moved = placed(task, META)
    parts = [*moved.train, *moved.validation, *moved.test]
    assert all(part.device == META for part in parts)
    assert [t.shape for t in parts] == [t.shape for p in (task.train, task.validation, task.test) for t in p]
    assert moved.model is task.model and moved.recipe == task.recipe


def test_an_augmentation_for_the_cpu_alone_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "Generator", lambda _: torch.Generator())  # there are none for shapes
    fine = replace(blobs(), augment=lambda x, g: x + torch.randn((), generator=g))
    assert placed(fine, META).augment is fine.augment
    broken = replace(blobs(), augment=lambda x, g: x + torch.randn(x.shape, generator=g))
    with pytest.raises(GloError, match=f"the augmentation of {broken.name} does not work on meta: ") as caught:
        placed(broken, META)
    assert (
        caught.value.hint == "what it draws lies where its generator is: torch.rand(..., generator=g, device=g.device)"
    )

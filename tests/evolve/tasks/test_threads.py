"""Workers that are threads make their tasks at the same time, and share one global generator."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import torch

from glo_dsl.evolve.tasks.named import task_named
from glo_dsl.evolve.train.stack import drawn


def test_tasks_and_networks_are_made_side_by_side() -> None:
    task = task_named("wine")
    (alone,) = drawn(task.model, [5])

    def one(_: int) -> bool:
        made = task_named("wine")  # draws networks to see whether they follow from their seed
        (network,) = drawn(made.model, [5])
        return all(torch.equal(a, b) for a, b in zip(alone.parameters(), network.parameters()))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(one, range(60)))

from __future__ import annotations

import pytest
import torch

import glo_dsl as glo
from glo_dsl.evolve.task import digits, task_named


def test_the_parts_of_digits_share_no_sample_and_keep_the_proportions() -> None:
    task = digits()
    parts = (task.train, task.validation, task.test)
    assert sum(len(x) for x, _ in parts) == 1797
    rows = {tuple(row) for x, _ in parts for row in x.tolist()}
    assert len(rows) == 1797  # no two digits are equal, so a shared sample would show
    for _, labels in parts:
        shares = torch.bincount(labels, minlength=10) / len(labels)
        assert shares.min() > 0.08 and shares.max() < 0.12
    assert torch.equal(digits().test[0], task.test[0])


def test_an_unknown_task_is_answered_with_a_suggestion() -> None:
    with pytest.raises(glo.GloError) as error:
        task_named("digit")
    assert error.value.hint == "did you mean digits?"

"""Every loss of the library, and random ones, told again."""

from __future__ import annotations

import pytest

import glo_dsl as glo
from glo_dsl.lang.definitions import losses_of
from glo_dsl.lang.restate import restated


@pytest.mark.parametrize("name", list(glo.zoo))
def test_reading_it_back_gives_the_same_loss(name: str) -> None:
    loss = glo.zoo[name]
    again = losses_of(restated(loss))[name]
    assert again.expr is loss.expr and again.per is loss.per
    assert again.inputs == loss.inputs and again.params == loss.params

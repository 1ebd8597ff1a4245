"""What is drawn is well-typed, varied, mostly finite, and within its domains."""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from glo_dsl.ir.expr import Apply, Expr, var, walk
from glo_dsl.ir.table import OPS
from glo_dsl.ir.types import BOOL, BOOL_ROW, CLASS_INDEX, REAL, REAL_ROW, Type
from glo_dsl.lang.loss import Loss
from glo_dsl.verify.oracle import reference
from glo_dsl.verify.strategies import CORNERS, Arrays, arrays_for, expressions, losses, parameters_for

LEAVES = [var("z", REAL_ROW), var("x", REAL), var("t", CLASS_INDEX)]


@pytest.mark.parametrize("type", [REAL, REAL_ROW, BOOL, BOOL_ROW], ids=str)
@settings(max_examples=settings().max_examples // 5)
@given(st.data())
def test_expressions_have_the_type_asked_for(type: Type, data: st.DataObject) -> None:
    expr = data.draw(expressions(LEAVES, type, max_depth=3))
    assert expr.type.kind == type.kind and expr.type.per_class == type.per_class
    assert {node for node in walk([expr]) if not node.args and not hasattr(node, "value")} <= set(LEAVES)


@given(expressions([var("t", CLASS_INDEX)], REAL_ROW, max_depth=3))
def test_a_class_index_alone_gives_rows(expr: Expr) -> None:
    assert expr.type.per_class


@cache
def drawn() -> list[tuple[Loss, Arrays, dict[str, float]]]:
    found: list[tuple[Loss, Arrays, dict[str, float]]] = []

    @settings(max_examples=250, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(st.data())
    def collect(data: st.DataObject) -> None:
        loss = data.draw(losses(max_depth=4))
        found.append((loss, data.draw(arrays_for(loss)), data.draw(parameters_for(loss))))

    collect()
    return found


def test_every_operator_is_drawn() -> None:
    missing = set(OPS)

    def complete(loss: Loss) -> bool:
        missing.difference_update(node.op.name for node in walk([loss.expr]) if isinstance(node, Apply))
        return not missing

    enough = settings(max_examples=3000, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    find(losses(max_depth=4), complete, settings=enough)  # raises if some operator never comes


def test_most_losses_are_finite_on_most_inputs() -> None:
    finite = [bool(np.isfinite(reference(loss, arrays, params)).all()) for loss, arrays, params in drawn()]
    assert sum(finite) > 0.8 * len(finite)


def test_parts_are_shared_and_losses_differ() -> None:
    shared = sum(any(n > 1 for n in _uses(loss.expr).values()) for loss, _, _ in drawn())
    assert shared > 20
    assert len({loss.expr for loss, _, _ in drawn()}) > 150


def _uses(expr: Expr) -> Counter[Expr]:
    return Counter(arg for node in walk([expr]) for arg in node.args if arg.args)


def test_inputs_lie_in_their_domains() -> None:
    for loss, arrays, params in drawn():
        for v in loss.inputs:
            array = arrays[v.name]
            assert array.ndim == v.type.per_sample + v.type.per_class
            if v.type.kind == "real":
                assert np.all((array >= v.domain.lo) & (array <= v.domain.hi))
            if v.name == "q":
                np.testing.assert_allclose(array.sum(-1), 1.0)
        assert all(p.var.domain.contains(params[p.name]) for p in loss.params)


@pytest.mark.parametrize(
    ("corner", "shows"),
    [
        ("ties", lambda z: len(np.unique(z)) < z.size), ("large", lambda z: np.abs(z).max() > 100),
        ("equal", lambda z: len(np.unique(z)) == 1), ("zero", lambda z: not z.any()),
        ("plain", lambda z: np.abs(z).max() <= 3 and len(np.unique(z)) == z.size),
    ],
)  # fmt: skip
def test_corners_are_what_they_say(corner: str, shows: Any) -> None:
    from hypothesis import find

    from glo_dsl.lang.definitions import losses_of

    assert corner in CORNERS
    (loss,) = losses_of("loss f(z: real[C], q: prob[C]) = sum(z * q)").values()
    found = find(arrays_for(loss, 4, 5, np.float32, [corner]), lambda arrays: bool(shows(arrays["z"])))
    assert found["z"].dtype == np.float32 and found["q"].shape == (4, 5)

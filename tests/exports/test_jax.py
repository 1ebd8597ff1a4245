"""Exports to JAX: differentiated, compiled and mapped by it, and right where others are not."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings

import glo_dsl as glo
from glo_codegen.dialects import JAX
from glo_codegen.terms import fill
from glo_dsl.errors import GloError
from glo_dsl.exports.export import export
from glo_dsl.exports.running import check_text
from glo_dsl.exports.texts import array_text
from glo_dsl.ir.evaluate import evaluate
from glo_dsl.ir.expr import apply, var
from glo_dsl.ir.ops import UNKNOWN, Op
from glo_dsl.ir.table import OPS
from glo_dsl.ir.types import REAL
from glo_dsl.lang.loss import Loss
from glo_dsl.passes.diff import gradients
from glo_dsl.runtime.load_module import load_module
from glo_dsl.verify.strategies import losses
from tests.exports.programs import HOSTILE, SAMPLE
from tests.ir.test_operators import CORNERS

jax = pytest.importorskip("jax", reason="no jax here; make jax")
jnp = jax.numpy

FEW: dict[str, Any] = {"phases": [Phase.generate], "suppress_health_check": list(HealthCheck)}


@pytest.fixture(autouse=True)
def double() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


def function(loss: Loss) -> Callable[..., Any]:
    found: Callable[..., Any] = getattr(load_module(array_text(loss, "jax")), loss.name)
    return found


@pytest.mark.parametrize("name", SAMPLE)
def test_losses_of_the_library(name: str) -> None:
    assert f"with jax {jax.__version__}: value and derivatives" in export(glo.zoo[name], "jax")


@settings(max_examples=settings().max_examples // 25, **FEW)
@given(losses(max_depth=4))
def test_random_programs(loss: Loss) -> None:
    with jax.disable_jit():  # nothing is compiled twice: the shapes are always the same
        try:
            check_text(loss, array_text(loss, "jax"), "jax")
        except GloError as error:
            assume("no number to compare" not in error.message)
            raise


def test_hostile_names() -> None:
    assert "Checked" in export(next(iter(glo.loads(HOSTILE).values())), "jax")


def test_a_wrong_text_is_found() -> None:
    text = "import jax\n" + array_text(glo.zoo["l1"], "jax").replace("p - y", "jax.lax.stop_gradient(p) - y")
    with pytest.raises(GloError, match="another number for the derivative by p"):
        check_text(glo.zoo["l1"], text, "jax")


SLOPED = [op for op in OPS.values() if op.arrays and op.elementwise and any(op.vjp) and UNKNOWN not in op.vjp]


@pytest.mark.parametrize("op", SLOPED, ids=lambda op: op.name)
def test_derivatives_of_operators_at_plain_points_and_at_kinks(op: Op) -> None:
    kinds = op.kinds[:-1]
    if "bool" in kinds or op.name == "stop":
        return
    args = [var(letter, REAL) for letter in "abc"[: op.arity]]
    grid = [np.linspace(low, high, 7) for low, high in op.draws()]  # -3 to 3: round numbers, ties
    points = [*zip(*(axis.ravel() for axis in np.meshgrid(*grid))), *CORNERS.get(op.name, [])]
    columns = np.array(points, dtype=np.float64).T
    found = gradients(apply(op, *args), args)
    mine = evaluate([found[v] for v in args], {v: column[:, None] for v, column in zip(args, columns)}, 1)
    theirs = jax.vmap(jax.grad(lambda row: spelled(op, *row)))(jnp.asarray(columns.T))
    for place, own in enumerate(mine):
        own = np.broadcast_to(own, (len(points), 1))[:, 0]
        known = np.isfinite(own)
        np.testing.assert_allclose(np.asarray(theirs)[known, place], own[known], 1e-9, 1e-12, err_msg="abc"[place])


def spelled(op: Op, *numbers: Any) -> Any:
    """The operator as the column of the table says."""
    letters = ("in_a", "in_b", "in_c")
    names = {"jnp": jnp, "jax": jax, "special": jax.scipy.special, **dict(zip(letters, numbers))}
    return eval(fill(op.arrays, letters, JAX.words), names)


@pytest.mark.parametrize("name", ["focal", "baikal", "taylor3", "smoothed_cross_entropy", "poly1"])
def test_masked_classes_and_large_logits(name: str) -> None:
    loss, f = glo.zoo[name], function(glo.zoo[name])
    z, t = np.random.default_rng(0).standard_normal((4, 5)), np.array([0, 1, 2, 3])
    z[0, 4] = -math.inf
    z[1] *= 300
    import torch

    mine, slopes = glo.compile(loss, "torch").value_and_grad(torch.tensor(z), torch.tensor(t), reduction="none")
    value, slope = f(z, t, reduction="none"), jax.grad(lambda z: f(z, t, reduction="sum"))(jnp.asarray(z))
    finite, known = mine.isfinite().numpy(), slopes["z"].isfinite().numpy()
    assert finite[2:].all() and known[2:].all()
    np.testing.assert_allclose(np.asarray(value)[finite], mine.numpy()[finite], 1e-9)
    np.testing.assert_allclose(np.asarray(slope)[known], slopes["z"].numpy()[known], 1e-9, 1e-15)


def test_what_a_branch_does_not_take_has_no_gradient() -> None:
    f = function(glo.loads("loss f(x: real) = if x > 0 then x * log(x) else stop(x) * x")["f"])
    assert jax.grad(lambda x: f(x, reduction="sum"))(jnp.array([0.0, 1.0, -2.0])).tolist() == [0.0, 1.0, -2.0]


def test_reductions_ignored_rows_and_indices_out_of_range() -> None:
    f = function(glo.zoo["weighted_cross_entropy"])
    z, w = jnp.asarray(np.random.default_rng(0).standard_normal((4, 3))), jnp.array([1.0, 2.0, 3.0])
    z, t = z.at[1].set(jnp.nan), jnp.array([0, -100, 2, 1])
    each = f(z, t, w, reduction="none")
    assert each[1] == 0
    np.testing.assert_allclose(f(z, t, w), each.sum() / 6)
    slope = jax.jit(jax.grad(f))(z, t, w)
    assert not slope[1].any() and jnp.isfinite(slope).all()
    assert jnp.isnan(f(z, jnp.array([-1, -100, 3, 1]), w, reduction="none")).tolist() == [True, False, True, False]
    with pytest.raises(ValueError, match='"mean", "sum" or "none"'):
        f(z, t, w, reduction="avg")


def test_second_derivatives_and_low_precision() -> None:
    f = function(glo.zoo["cross_entropy"])
    z, t = jnp.array([0.5, -1.0, 2.0]), jnp.array(1)
    p = jax.nn.softmax(z)
    np.testing.assert_allclose(jax.hessian(f)(z, t), jnp.diag(p) - jnp.outer(p, p), atol=1e-12)
    assert f(z.astype(jnp.bfloat16), t).dtype == jnp.float32

"""Known losses as fillings of a hole; the judge is the gradient, computed anew."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import glo_dsl as glo
from glo_dsl.evolve.filling import filling
from glo_dsl.evolve.funnel import Funnel
from glo_dsl.evolve.space import Space, space_of
from glo_dsl.evolve.variation import Vocabulary, random_tree
from glo_dsl.ir.expr import Var, substitute, var, walk
from glo_dsl.lang.show import show
from glo_dsl.passes.simplify import simplify

HEAD = "loss s(z: real[C], t: class[C]; k = 2) ="
SPACES = {
    "sum": f"{HEAD} let y = softmax(z), x = onehot(t) in -mean(?f(x, y))",
    "entry": f"{HEAD} let p = softmax(z)[t] in k * ?f(p)",
    "gathered": f"{HEAD} 3 - log(sum(onehot(t) * exp(?f(log_softmax(z)) / k)))",
    "factor": f"{HEAD} let p = softmax(z)[t] in -(1 + ?f(p)) * log(p)",  # where no summand may be left out
    "beside": f"{HEAD} let p = softmax(z)[t] in -k * log(p) - 4 / ?f(1 - p)",
}


def space(name: str) -> Space:
    return space_of(glo.loads(SPACES[name])["s"])


def same_gradient(one: glo.Loss, other: glo.Loss) -> bool:
    """Up to a factor above 0, on probes of this test."""
    funnel = Funnel(7)
    (_, a), (_, b) = funnel.value_and_gradient(one), funnel.value_and_gradient(other)
    return bool(np.allclose(a / np.abs(a).max(), b / np.abs(b).max(), atol=1e-6))


def test_what_the_library_has_is_found() -> None:
    found = {name: filling(space("sum"), glo.zoo[name], Funnel(7)) for name in glo.zoo}
    written = {name: show(e) for name, e in found.items() if e is not None}
    assert written["cross_entropy"] == "x * log(y)"
    assert written["brier"] == "-square(y - x)"
    assert {"focal", "gce", "baikal", "poly1", "smoothed_cross_entropy", "phuber_cross_entropy"} <= written.keys()
    assert len(written) >= 20
    for name, e in found.items():
        assert e is None or same_gradient(space("sum").fill(e), glo.zoo[name])


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("loss", ["cross_entropy", "focal", "gce", "taylor_cross_entropy"])
def test_other_holes_are_filled_too(name: str, loss: str) -> None:
    found = filling(space(name), glo.zoo[loss], Funnel(7))
    assert found is not None and same_gradient(space(name).fill(found), glo.zoo[loss])
    assert {node for node in walk((found,)) if isinstance(node, Var)} <= set(space(name).terms)


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=15)
def test_a_filling_is_found_again(seed: int) -> None:
    """From the simplified loss that it made, over inputs of other names."""
    here, funnel = space("sum"), Funnel(7)
    planted = random_tree(Vocabulary(here.terms), np.random.default_rng(seed), 2)
    assume(planted.type.axes == here.hole.type.axes)
    made = here.fill(planted)
    assume(funnel.peek(made).reason is None)
    renamed = {v: var(f"{v.name}_", v.type) for v in made.inputs}
    (expr,) = substitute(simplify((made.expr,)), renamed)
    found = filling(here, replace(made, expr=expr, inputs=tuple(renamed.values())), funnel)
    assert found is not None and same_gradient(here.fill(found), made)


def test_regression() -> None:
    here = space_of(glo.loads("loss s(p: real, y: real) = ?f(p - y)")["s"])
    found = {name: filling(here, glo.zoo[name], Funnel(0)) for name in ("l1", "mse", "huber")}
    written = {name: show(e) for name, e in found.items() if e is not None}
    assert (written["l1"], written["mse"]) == ("abs(term_0)", "square(term_0)") and written["huber"].startswith("if ")


@pytest.mark.parametrize(
    ("text", "loss"),
    [
        (SPACES["sum"], "logit_norm"),  # the length of the logits is in no term
        (SPACES["sum"], "mse"),  # other inputs
        (SPACES["sum"], "sphereface"),  # pushes the wrong way: nothing to begin with
        (f"{HEAD} let y = softmax(z) in sum(?f(y)) * max(?f(y))", "cross_entropy"),  # the hole is there twice
        (f"{HEAD} let y = softmax(z) in sum(?f(y))", "cross_entropy"),  # no term knows the label
        (f"{HEAD} max(?f(onehot(t), softmax(z)))", "cross_entropy"),  # a maximum cannot be undone
    ],
)
def test_what_cannot_be_said_is_not_found(text: str, loss: str) -> None:
    assert filling(space_of(glo.loads(text)["s"]), glo.zoo[loss], Funnel(7)) is None

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import glo_dsl as glo
from glo_dsl.evolve.funnel import Funnel
from glo_dsl.evolve.space import space_of
from glo_dsl.evolve.strategies import filled
from glo_dsl.evolve.strategies.foresight import Foresight, Slopes
from glo_dsl.evolve.variation import Vocabulary, random_tree

HEAD = "loss f(z: real[C], t: class[C]) = let y = softmax(z), x = onehot(t) in"


def slopes(body: str) -> Slopes | None:
    return Foresight(10).slopes(glo.loads(f"{HEAD} {body}")["f"])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("-mean(x * log(y))", "-3 * sum(x * log(y)) + 7"),
        ("-mean(x * log(y))", "logsumexp(z) - z[t]"),
        ("sum(square(y - x))", "sum(square(y)) - 2 * y[t]"),
    ],
)
def test_losses_that_train_alike_have_the_same_slopes(one: str, other: str) -> None:
    a, b = slopes(one), slopes(other)
    assert a is not None and b is not None
    np.testing.assert_allclose(a, b, atol=1e-7)


def test_losses_that_train_differently_have_other_slopes() -> None:
    found = [slopes(f"-mean(x * y ^ {q})") for q in (0.1, 0.3, 0.5, 0.7)]
    assert all(a is not None and b is not None and np.abs(a - b).max() > 1e-2 for a, b in pairwise(found))


def test_slopes_are_those_of_the_gradient() -> None:
    """Of the second direction, away from the label, by the gradient that the funnel computes."""
    loss, near, funnel = glo.zoo["focal"], Foresight(10), Funnel(10)
    found = near.slopes(loss)
    assert found is not None
    funnel._logits, funnel._target = near._points[: len(found) // 3], near._targets[: len(found) // 3]
    _, gradient = funnel.value_and_gradient(loss)
    along = np.take_along_axis(gradient, funnel._target, 1).ravel()
    np.testing.assert_allclose(found[: len(along)] / np.linalg.norm(found[: len(along)]), along / np.linalg.norm(along),
                               atol=1e-3)  # fmt: skip


@pytest.mark.parametrize("body", ["0 * sum(y)", "log(z[t])", "-sum(log(y) / x)", "mean(x * log(y))"])
def test_what_cannot_be_trained_has_none(body: str) -> None:
    assert slopes(body) is None


def test_regression() -> None:
    near = Foresight(0)
    right, wrong = (near.slopes(glo.loads(f"loss f(p: real, y: real) = {body}")["f"]) for body in ("(p-y)^2", "p*p*y"))
    assert right is not None and wrong is None


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.integers(0, 2**32 - 1))
def test_what_was_trained_is_expected_again_and_the_rest_in_between(fitness: list[float], seed: int) -> None:
    vectors = np.random.default_rng(seed).standard_normal((len(fitness) + 1, 6))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    near = Foresight(10)
    assert near.expected(list(vectors)) == [0.0] * len(vectors)
    for vector, value in zip(vectors, fitness):
        near.learn(vector, value)
    *again, new = near.expected(list(vectors))
    np.testing.assert_allclose(again, fitness, atol=1e-4)
    assert min(fitness) - 1e-9 <= new <= max(fitness) + 1e-9


SPACES = ["loss s(z: real[C], t: class[C]) = -mean(?f(onehot(t), softmax(z)))",
          "loss s(z: real[C], t: class[C]; k = 2) = k * logsumexp(z) - z[t] + sum(?f(onehot(t), z) * softmax(z)) / k",
          "loss s(z: real[C], t: class[C]) = ?f(z[t], logsumexp(z))"]  # fmt: skip
"""With parts of the body beside the hole, and one whose hole does not vary over classes."""


@pytest.mark.parametrize("text", SPACES)
def test_slopes_in_a_space_are_those_of_the_loss_bit_for_bit(text: str) -> None:
    space = space_of(glo.loads(text)["s"])
    words, generator = Vocabulary(space.terms), np.random.default_rng(1)
    near, usable = Foresight(10), 0
    for _ in range(300):
        genotype = random_tree(words, generator, 3)
        found, want = near.slopes_in(space, genotype), Foresight(10).slopes(space.fill(genotype))
        assert (found is None) == (want is None) and (found is None or found.tobytes() == want.tobytes())
        usable += found is not None
    assert usable > 10


def test_what_is_kept_of_a_space_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filled, "ROOM", 8 * 10 * 192 * 20)
    space = space_of(glo.loads(SPACES[0])["s"])
    words, generator, near = Vocabulary(space.terms), np.random.default_rng(1), Foresight(10)
    for _ in range(100):
        near.slopes_in(space, random_tree(words, generator, 2))
    assert near._filled is not None and len(near._filled._known) < 20 + 16

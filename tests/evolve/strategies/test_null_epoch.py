from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import glo_dsl as glo
from glo_dsl.evolve.funnel import Funnel
from glo_dsl.evolve.strategies.null_epoch import LearningRule, trainable
from glo_dsl.evolve.strategies.taylor import polynomial
from glo_dsl.ir.evaluate import evaluate
from glo_dsl.lang.loss import Loss
from glo_dsl.passes.pipeline import derive

HEAD = "loss f(z: real[C], t: class[C]) = let x = onehot(t), y = softmax(z) in "
CROSS_ENTROPY, MSE, BAIKAL = (
    HEAD + body for body in ("-mean(x * log(y))", "mean(square(x - y))", "-mean(log(y) - x / y)")
)
thetas = st.lists(st.floats(-20, 20), min_size=8, max_size=8)


def loaded(text: str) -> Loss:
    (loss,) = glo.loads(text).values()
    return loss


THIRD = polynomial(3)


def at(loss: Loss, theta: list[float]) -> Loss:
    return replace(loss, params=tuple(replace(p, default=v) for p, v in zip(loss.params, theta, strict=True)))


def pulls(loss: Loss, classes: int) -> tuple[float, float]:
    target, other = LearningRule(loss).at_null_epoch([loss], classes)
    return float(target[0]), float(other[0])


def as_coded(th: list[float], n: int) -> tuple[float, float]:
    """The two sides of the inequality in the authors' code, for third order: a loss is kept iff left >= right."""
    c1 = th[2] - 2 * th[1] * th[3] + 3 * th[1] ** 2 * th[4] - th[0] * th[5] + 2 * th[0] * th[1] * th[6]
    c1 += th[0] ** 2 * th[7]
    ch, chh, chy = 2 * th[3] - 6 * th[1] * th[4] - 2 * th[0] * th[6], 3 * th[4], 2 * th[6]
    cy, cyy = th[5] - 2 * th[1] * th[6] - 2 * th[0] * th[7], th[7]
    return cy + cyy + chy / n, (n - 2) * (c1 + ch / n + chh / n**2)


@pytest.mark.parametrize("n", [2, 3, 10, 100])
def test_the_pulls_of_known_losses(n: int) -> None:
    assert pulls(loaded(MSE), n) == pytest.approx((2 - 2 / n, -2 / n))
    assert pulls(loaded(CROSS_ENTROPY), n) == pytest.approx((n, 0))
    assert pulls(loaded(BAIKAL), n) == pytest.approx((n + n**2, n))
    other_way = "loss f(z: real[C], t: class[C]) = -log_softmax(z)[t]"
    assert pulls(loaded(other_way), n) == pytest.approx((n * n, 0))  # a sum, not a mean


@given(thetas, st.integers(2, 20))
@settings(max_examples=40)
def test_at_third_order_it_is_the_formula_of_the_authors(theta: list[float], n: int) -> None:
    loss = at(THIRD, theta)
    left, right = as_coded(theta, n)
    target, other = pulls(loss, n)
    size = 1 + max(abs(v) for v in theta) ** 3
    assert target - (n - 1) * other == pytest.approx(left - right, abs=1e-10 * size * n)


@pytest.mark.parametrize("n", [2, 3, 10])
def test_the_verdict_of_the_paper_is_that_of_the_authors(n: int) -> None:
    thetas = np.random.default_rng(n).normal(0, 1.2, (300, 8)).tolist()
    verdicts = trainable(LearningRule(THIRD), [at(THIRD, theta) for theta in thetas], n, "paper")
    sides = [as_coded(theta, n) for theta in thetas]
    assert verdicts == [left >= right for left, right in sides]
    assert 100 < sum(verdicts) < 200


@pytest.mark.parametrize("order", range(2, 10))
def test_exact_means_that_the_first_step_raises_the_logit_of_the_target(order: int) -> None:
    loss, generator = polynomial(order), np.random.default_rng(order)
    rule, gradient = LearningRule(loss), derive(loss, ["z"]).gradients[loss.inputs[0]]
    verdicts = set()
    for n in (2, 3, 7) * 4:
        theta = generator.normal(0, 1.2, len(loss.params))
        params = tuple(replace(p, default=float(v)) for p, v in zip(loss.params, theta))
        inputs = dict(zip(loss.inputs, (np.zeros((1, n)), np.zeros((1, 1), dtype=int))))
        constants = {p.var: np.full((1, 1), p.default) for p in params}
        (found,) = evaluate([gradient], {**inputs, **constants}, n)
        assert abs(found[0, 0]) > 1e-9
        verdict = trainable(rule, [replace(loss, params=params)], n, "exact")
        assert verdict == [bool(found[0, 0] < 0)]
        verdicts.add(verdict[0])
    assert verdicts == {True, False}


SHIPPED = {
    "from MNIST": ([-10.9408, 7.5216, 8.2896, 0.2415, 7.8726, 8.9666, 2.0184, 7.0513], -15219),
    "old": ([0.8439, 1.4872, 1.5742, -1.4446, 2.3616, -0.6632, -2.8569, -1.1313], -90),
}


@pytest.mark.parametrize("name", SHIPPED)
def test_the_constants_that_the_authors_ship_pass_the_exact_test_and_not_their_own(name: str) -> None:
    theta, slack = SHIPPED[name]
    loss = polynomial(3, theta)
    rule = LearningRule(loss)
    target, other = pulls(loss, 10)
    assert target - 9 * other == pytest.approx(slack, abs=0.5)
    assert trainable(rule, [loss], 10, "exact") == [True] and trainable(rule, [loss], 10, "paper") == [False]
    assert Funnel(10).peek(loss).reason is None


@pytest.mark.parametrize("text", [CROSS_ENTROPY, MSE, BAIKAL])
def test_losses_that_train_pass_and_turned_round_they_fail(text: str) -> None:
    loss = loaded(text)
    turned = loaded(text.replace(" in ", " in -(") + ")")
    for n in (2, 10):
        assert trainable(LearningRule(loss), [loss], n, "exact") == [True]
        assert trainable(LearningRule(turned), [turned], n, "exact") == [False]
    assert trainable(LearningRule(loss), [loss], 10, "paper") == [True]


def test_a_multiple_of_the_prediction_trains_nothing_and_moves_the_condition_of_the_paper() -> None:
    rule, theta = LearningRule(THIRD), SHIPPED["old"][0]
    added = [at(THIRD, [*theta[:2], theta[2] + more, *theta[3:]]) for more in (-100, 0, 100)]
    keys = [Funnel(10).peek(loss).key for loss in added]
    assert keys[0] == keys[1] == keys[2]
    assert trainable(rule, added, 10, "exact") == [True, True, True]
    assert trainable(rule, added, 10, "paper") == [True, False, False]


def test_a_loss_that_is_constant_trains_nothing() -> None:
    rule = LearningRule(THIRD)
    assert trainable(rule, [THIRD], 10, "exact") == [False] and trainable(rule, [THIRD], 10, "paper") == [True]


def test_what_is_not_a_number_is_not_trainable() -> None:
    loss = loaded("loss f(z: real[C], t: class[C]; k = 1) = mean(log(k) * softmax(z)) - softmax(z)[t]")
    lost = replace(loss, params=(replace(loss.params[0], default=-1.0),))
    assert trainable(LearningRule(loss), [loss, lost], 5, "exact") == [True, False]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("loss f(z: real[C], t: class[C]) = logsumexp(z) - z[t]", "other than through softmax"),
        ("loss f(p: real, y: real) = square(p - y)", "no loss of logits and a class"),
    ],
)
def test_what_has_no_learning_rule(text: str, message: str) -> None:
    with pytest.raises(glo.GloError, match=message):
        LearningRule(loaded(text))


def test_an_invariant_needs_two_classes_and_a_name() -> None:
    loss = loaded(MSE)
    with pytest.raises(ValueError, match="2 classes or more; got 'exact' of 1"):
        trainable(LearningRule(loss), [loss], 1, "exact")
    with pytest.raises(ValueError, match="got 'strict' of 3"):
        trainable(LearningRule(loss), [loss], 3, "strict")  # type: ignore[arg-type]

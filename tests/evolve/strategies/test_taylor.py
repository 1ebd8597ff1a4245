from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import glo_dsl as glo
from glo_dsl.evolve.strategies.null_epoch import LearningRule, trainable
from glo_dsl.evolve.strategies.taylor import ORDERS, Settings, Taylor, code_form, paper_form, polynomial, terms
from glo_dsl.evolve.work import Told
from glo_dsl.ir.evaluate import evaluate
from glo_dsl.lang.definitions import losses_of
from glo_dsl.lang.loss import Loss
from glo_dsl.passes.pipeline import compile_program
from tests.evolve.strategies.judges import Judge, run

ROOT = Path(__file__).parents[3]
seeds = st.integers(0, 2**32 - 1)


def value(loss: Loss, logits: np.ndarray, label: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    params = {p.var: np.full((1, 1), p.default) for p in loss.params}
    inputs = dict(zip(loss.inputs, (logits, label)))
    return evaluate([loss.expr], {**inputs, **params}, logits.shape[1])[0]


def at(loss: Loss, theta: Sequence[float]) -> Loss:
    return replace(loss, params=tuple(replace(p, default=float(v)) for p, v in zip(loss.params, theta, strict=True)))


def test_how_many_constants_each_order_has() -> None:
    assert [len(polynomial(order).params) for order in ORDERS] == [5, 8, 12, 17, 23, 30, 38, 47]
    assert list(ORDERS) == [2, 3, 4, 5, 6, 7, 8, 9]


@pytest.mark.parametrize("order", ORDERS)
def test_terms_are_those_with_a_derivative_by_the_prediction(order: int) -> None:
    every = [(x, y) for x in range(order + 1) for y in range(order + 1) if x + y <= order]
    assert terms(order) == [(x, y) for x, y in sorted(every) if y > 0]


@given(seeds, st.sampled_from(ORDERS))
@settings(max_examples=25)
def test_the_text_is_the_polynomial(seed: int, order: int) -> None:
    generator = np.random.default_rng(seed)
    theta = generator.normal(0, 3, len(terms(order)) + 2).tolist()
    loss = polynomial(order, theta)
    logits, label = generator.normal(0, 2, (5, 4)), generator.integers(0, 4, (5, 1))
    y = np.exp(logits) / np.exp(logits).sum(1, keepdims=True) - theta[1]
    x = np.eye(4)[label[:, 0]] - theta[0]
    f = sum(c * x**i * y**j for c, (i, j) in zip(theta[2:], terms(order)))
    np.testing.assert_allclose(value(loss, logits, label), -np.mean(f, 1, keepdims=True), rtol=1e-9)
    assert list(loss.defaults.values()) == theta
    assert losses_of(str(loss))[loss.name].expr is loss.expr


def test_third_order_is_the_example_and_the_library_loss() -> None:
    example = glo.load(ROOT / "examples" / "taylor3.glo")["taylor3"]
    assert polynomial(3).expr is example.expr
    loss = polynomial(3, list(example.defaults.values()))
    logits, label = np.array([[2.0, 0.0, -1.0]]), np.array([[0]])
    assert value(loss, logits, label)[0, 0] == pytest.approx(8970.7579, abs=1e-4)


@pytest.mark.parametrize("order", [2, 4])
def test_other_orders_are_the_library_losses(order: int) -> None:
    library = glo.zoo[f"taylor{order}"]
    theta = np.random.default_rng(1).normal(0, 1, len(terms(order)) + 2).tolist()
    generator = np.random.default_rng(0)
    logits, label = generator.normal(0, 2, (6, 5)), generator.integers(0, 5, (6, 1))
    params = {p.var: np.full((1, 1), v) for p, v in zip(library.params, theta)}
    inputs = dict(zip(library.inputs, (logits, label)))
    (expected,) = evaluate([library.expr], {**inputs, **params}, 5)
    np.testing.assert_allclose(value(polynomial(order, theta), logits, label), expected, rtol=1e-9)


@given(st.lists(st.floats(-5, 5), min_size=5, max_size=47))
def test_the_two_forms_of_the_constants(vector: list[float]) -> None:
    theta = paper_form(vector)
    assert code_form(theta) == vector and theta[:2] == vector[-2:]


def expanded(name: str, order: int, a: float, b: float) -> list[float]:
    """The Taylor coefficients of f(x, y) around (a, b), centres first, from the derivatives by y of its two parts in
    f = u(y) + x v(y) + w(x)."""
    k = range(1, order + 1)
    logs, inverses = [(-1) ** (j + 1) / (j * b**j) for j in k], [(-1) ** j / b ** (j + 1) for j in k]
    line, square = [1.0 * (j == 1) for j in k], [2 * b * (j == 1) + 1.0 * (j == 2) for j in k]
    zero = [0.0] * order
    u, v = {
        "cross-entropy": (zero, logs),
        "baikal": (logs, [-c for c in inverses]),
        "mse": ([-c for c in square], [2 * c for c in line]),
    }[name]
    constant = [p + a * q for p, q in zip(u, v)]
    return [a, b, *({0: constant, 1: v}.get(x, zero)[y - 1] for x, y in terms(order))]


@pytest.mark.parametrize("name", ["cross-entropy", "baikal", "mse"])
@pytest.mark.parametrize("order", ORDERS)
def test_expansions_of_losses_that_train_pass_the_exact_invariant(name: str, order: int) -> None:
    loss = polynomial(order, expanded(name, order, 0.5, 0.5))
    assert trainable(LearningRule(loss), [loss], 10, "exact") == [True]


def test_the_expansions_are_right() -> None:
    """Of high order they come near the losses, up to what the label alone decides."""
    logits, label = np.random.default_rng(0).normal(0, 0.2, (8, 2)), np.zeros((8, 1), dtype=int)
    for name, body in {
        "cross-entropy": "-mean(x * log(y))", "baikal": "-mean(log(y) - x / y)", "mse": "mean(square(x - y))"
    }.items():  # fmt: skip
        (loss,) = glo.loads(f"loss f(z: real[C], t: class[C]) = let x = onehot(t), y = softmax(z) in {body}").values()
        difference = value(loss, logits, label) - value(polynomial(9, expanded(name, 9, 0.5, 0.5)), logits, label)
        assert np.ptp(difference) < 1e-6


@pytest.mark.parametrize("invariant", ["paper", "exact"])
def test_violators_are_not_asked_about_and_rank_last(invariant: str) -> None:
    search = Taylor(Settings(population=20, invariant=invariant), seed=3, classes=10)  # type: ignore[arg-type]
    told: list[list[float | None]] = []
    tell = search.constants.search.tell
    search.constants.search.tell = lambda fitness: (told.append(list(fitness)), tell(fitness))[1]  # type: ignore[func-returns-value, method-assign, assignment]
    for _ in range(5):
        asked = search.ask()
        rule = LearningRule(asked[0].loss)
        assert all(trainable(rule, [p.loss for p in asked], 10, invariant))  # type: ignore[arg-type]
        refused = asked[0].notes["refused"]
        assert refused == ({f"violates the {invariant} invariant": 20 - len(asked)} if len(asked) < 20 else {})
        search.tell([Told(0.5)] * len(asked))
        assert len(told[-1]) == 20 and told[-1].count(None) == 20 - len(asked)
    counts = search.constants.counts
    assert counts["asked"] + counts[f"violates the {invariant} invariant"] == 100
    assert 20 < counts["asked"] < 80


def test_the_first_generation_is_around_zero_with_the_step_size_of_the_authors() -> None:
    search = Taylor(Settings(population=400), seed=0, classes=10)
    values = np.array([list(p.loss.defaults.values()) for p in search.ask()])
    assert values.shape == (400, 8)
    np.testing.assert_allclose(values.mean(0), 0, atol=5 * 1.2 / 20)
    np.testing.assert_allclose(values.std(0), 1.2, rtol=0.2)


def test_vectors_are_in_the_order_of_the_authors_and_learn_from_the_better_half_only() -> None:
    search = Taylor(Settings(order=4), seed=0, classes=10)
    proposals = search.ask()
    vectors = search.constants.search.ask()
    assert [paper_form(v) for v in vectors] == [list(p.loss.defaults.values()) for p in proposals]
    assert search.constants.search.sampling.active is False


@pytest.mark.parametrize("order", [2, 9])
def test_proposals_compile(order: int) -> None:
    for proposal in Taylor(Settings(order, population=2), seed=1, classes=10).ask():
        assert compile_program(proposal.loss, ["z"]).params


def test_it_ends_after_its_generations() -> None:
    assert len(run(Taylor(Settings(population=4, generations=3), 0, 4), Judge())) == 3


def test_the_answer_is_the_mean_or_the_best() -> None:
    judge = Judge()
    for answer in ("mean", "best"):
        search = Taylor(Settings(population=6, answer=answer), 5, 4)  # type: ignore[arg-type]
        log = run(search, judge, 6)
        every = [(told.fitness or 0, p.loss) for asked, outcomes in log for p, told in zip(asked, outcomes)]
        best = max(every, key=lambda pair: pair[0])[1]
        assert search.answer is not None
        assert (search.answer.params == best.params) == (answer == "best")
        assert glo.loads(str(search.answer))["taylor3"].defaults == search.answer.defaults


@pytest.mark.parametrize("seed", range(3))
def test_it_comes_nearer_than_random_constants(seed: int) -> None:
    judge, loss = Judge(), polynomial(3)
    generations = [
        [t.fitness or 0 for t in told] for _, told in run(Taylor(Settings(population=10), seed, 4), judge, 60)
    ]
    drawn = [judge(at(loss, v)).fitness or 0 for v in np.random.default_rng(seed).normal(0, 1.2, (600, 8))]
    assert max(map(max, generations)) > max(drawn)
    assert np.mean(generations[-10:]) > np.mean(drawn) + 0.05


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: polynomial(1), "order 2 to 9, got 1"),
        (lambda: polynomial(3, [0.0] * 7), "has 8 constants, got 7"),
        (lambda: Taylor(Settings(10), 0, 10), "order 2 to 9, got 10"),
        (lambda: Taylor(Settings(invariant="both"), 0, 10), "invariant is"),  # type: ignore[arg-type]
        (lambda: Taylor(Settings(), 0, 10).tell([Told(0.0)]), "0 proposals wait for an outcome, got 1"),
    ],
)
def test_what_cannot_be(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()  # type: ignore[operator]

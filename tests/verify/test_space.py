"""Where values are drawn from, and that what is found there becomes simple."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings

import glo_dsl as glo
from glo_dsl.ir.types import INF, Interval
from glo_dsl.lang.loss import Loss
from glo_dsl.verify.batch import Batch, Sample, by_classes, literal
from glo_dsl.verify.falsify import Effort, Outcome, falsify
from glo_dsl.verify.shrink import shrunk, weight
from glo_dsl.verify.space import batches, random_batch, space_of, varied
from glo_dsl.verify.strategies import arrays_for, parameters_for
from glo_dsl.verify.values import inside, literals_of, worth_trying

DOMAINS = [
    Interval(-INF, INF), Interval(0, 1), Interval(0, 1, True, True), Interval(0, INF, True), Interval(100, 200),
    Interval(-INF, -50, open_hi=True), Interval(1e-3, 1e3), Interval(5, 5), Interval(-1, 1, open_hi=True),
    Interval(1e9, INF), Interval(1e-6, 2e-6, True, True), Interval(2, 3, True, True),
]  # fmt: skip
EVERY_DOMAIN = pytest.mark.parametrize("domain", DOMAINS, ids=str)


def only(text: str) -> Loss:
    (loss,) = glo.loads(text).values()
    return loss


def declared(domain: Interval) -> Loss:
    default = float(inside(domain, (max(domain.lo, -1e9) + min(domain.hi, 1e9)) / 2))
    return only(f"loss f(x: real in {domain}, z: real[C] in {domain}; a = {default!r} in {domain}) = x + sum(z) + a")


@EVERY_DOMAIN
def test_numbers_worth_trying_lie_in_the_domain_and_reach_its_ends(domain: Interval) -> None:
    found = worth_trying(domain, (0.25, 7.0))
    assert found and all(domain.contains(number) for number in found)
    for end, is_open in ((domain.lo, domain.open_lo), (domain.hi, domain.open_hi)):
        if math.isfinite(end):
            assert min(abs(number - end) for number in found) <= 1e-9 * max(1.0, abs(end))
            assert (end in found) != is_open


@EVERY_DOMAIN
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_random_numbers_lie_in_the_domain_in_every_precision(domain: Interval, dtype: Any) -> None:
    space = space_of(declared(domain))
    batch = random_batch(space, np.random.default_rng(1), 300, 3)
    batch = Batch.joined([batch, varied(space, batch, np.random.default_rng(2))])
    for column in batch.columns.values():
        numbers = inside(domain, column, dtype)
        assert all(domain.contains(float(number)) for number in numbers.reshape(-1))
        assert (numbers == numbers.astype(dtype)).all()
    if domain.lo < domain.hi:
        assert len(np.unique(batch.columns["x"])) > 20


@EVERY_DOMAIN
def test_drawn_numbers_lie_in_the_domain(domain: Interval) -> None:
    loss = declared(domain)

    @settings(max_examples=20, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(batches(space_of(loss), 3), arrays_for(loss), parameters_for(loss))
    def check(batch: Batch, arrays: dict[str, Any], params: dict[str, float]) -> None:
        for column in (*batch.columns.values(), *arrays.values(), np.array(params["a"])):
            assert all(domain.contains(float(number)) for number in column.reshape(-1))

    check()


TEXT = (
    "loss f(z: real[C], q: prob[C], m: bool, t: class[C], w: shared real[C]; a = 3) = if m then a else sum(q * w * z)"
)


def test_random_batches_have_corners_and_what_a_kernel_takes_once() -> None:
    space = space_of(only(TEXT))
    batch = random_batch(space, np.random.default_rng(0), 200, 4, groups=10)
    z, q = batch.columns["z"], batch.columns["q"]
    np.testing.assert_allclose(q.sum(axis=1), 1.0)
    assert (q == 1).any() and (np.abs(z) > 1000).any() and (z == 0).any()
    assert any(len(set(row)) < 4 for row in z.tolist()) and any(len(set(row)) == 1 for row in z.tolist())
    assert set(batch.columns["t"]) == {0, 1, 2, 3} and set(batch.columns["m"]) == {False, True}
    together = {(a, *w) for a, w in zip(batch.columns["a"].tolist(), batch.columns["w"].tolist())}
    assert 5 < len(together) <= 10
    assert len(np.unique(random_batch(space, np.random.default_rng(0), 200, 4).columns["w"], axis=0)) > 100


def test_literals_of_a_loss_are_tried() -> None:
    loss = only("loss f(x: real; a = 0.123) = if x == 4.56 then a else 1e-30 + 1")
    assert literals_of([loss.expr]) == (4.56,)
    space = space_of(loss)
    assert {4.56, 0.123} <= set(space.special(loss.inputs[0]))


def test_hypothesis_shrinks_what_it_draws() -> None:
    space = space_of(only(TEXT))
    quick = settings(max_examples=50, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    found = find(batches(space, 3), lambda b: bool((b.columns["z"].max(axis=1) > 1).any()), settings=quick)
    assert (len(found), found.classes) == (1, 1) and found.columns["w"].tolist() == [[0.0]]


SHRUNK = {
    "one large entry": (lambda b: b.columns["z"].max(axis=1) > 2.2, "z = [3]"),
    "a tie": (lambda b: (b.classes > 1) & (b.columns["z"][:, 0] == b.columns["z"][:, -1]), "z = [0, 0]"),
    "no probability": (lambda b: b.columns["q"].min(axis=1) == 0, "q = [1, 0]"),
    "an even row": (lambda b: (b.classes == 5) & (np.ptp(b.columns["q"], axis=1) < 0.3), "q = [0.2, 0.2, 0.2, 0.2,"),
    "true": (lambda b: b.columns["m"], "m = true"),
    "the last class": (lambda b: b.columns["t"] == b.classes - 1, "t = 0"),
    "a small parameter": (lambda b: np.abs(b.columns["a"]) < 1e-3, "a = 0"),
    "a small one but not 0": (lambda b: (np.abs(b.columns["a"]) < 1e-3) & (b.columns["a"] != 0), "a = 1e-06"),
    "between": (lambda b: (b.columns["a"] > 0.3) & (b.columns["a"] < 0.31), "a = 0.303"),
}  # fmt: skip


@pytest.mark.parametrize("case", SHRUNK)
def test_a_counterexample_becomes_simple(case: str) -> None:
    fails, expected = SHRUNK[case]
    space = space_of(only(TEXT))
    start = Sample(
        space.variables,
        {"z": (3.7, -1.25, 0.5, 9.125, 3.7), "q": (0.21, 0.25, 0.0, 0.3, 0.24), "m": 1.0, "t": 4.0,
         "w": (0.1, -8.0, 3.3, 2.0, 7.0), "a": 0.3030303},
        5,
    )  # fmt: skip
    values: dict[str, Any] = dict(start.values)
    if case == "no probability" or case == "an even row":
        values["q"] = (0.21, 0.25, 0.0, 0.3, 0.24) if case == "no probability" else (0.15, 0.25, 0.12, 0.26, 0.22)
    if "small" in case:
        values["a"] = 0.00031
    start = Sample(start.variables, values, 5)
    assert np.asarray(fails(Batch.of([start]))).all()
    found = shrunk(space, start, lambda batch: np.broadcast_to(np.asarray(fails(batch)), (len(batch),)))
    assert expected in str(found)
    assert weight(found) < 0.6 * weight(start)
    untouched = [name for name in ("z", "w", "a") if name not in expected]
    assert all(set(np.ravel(found.values[name])) == {0.0} for name in untouched)


def test_samples_and_batches_are_the_same_thing() -> None:
    space = space_of(only(TEXT))
    batch = random_batch(space, np.random.default_rng(0), 5, 3)
    again = Batch.of(list(batch))
    assert all((again.columns[name] == batch.columns[name]).all() for name in batch.columns)
    mixed = [*batch, *random_batch(space, np.random.default_rng(0), 2, 2)]
    assert [(b.classes, len(b)) for b in by_classes(mixed)] == [(3, 5), (2, 2)]
    m, z = (next(v for v in space.variables if v.name == name) for name in "mz")
    assert (literal(m, 0.0), literal(z, (1.0, -INF, 0.1))) == ("false", "[1, -inf, 0.1]")


# The search.


def hit(batch: Batch, centre: float, radius: float) -> Outcome:
    off = np.abs(batch.columns["p"] - centre)
    return Outcome(off < radius, np.ones(len(batch), dtype=bool), -off)


SPACE = space_of(only("loss f(p: real, y: real) = p + y"))


def test_a_small_region_is_found_by_climbing() -> None:
    search = falsify(SPACE, lambda batch: hit(batch, -3.14159, 1e-4), Effort())
    assert search.found is not None and search.tried > 100


def test_what_is_nowhere_is_not_found_and_the_rows_are_counted() -> None:
    search = falsify(SPACE, lambda batch: hit(batch, 0, -1), Effort(10))
    assert search.found is None and search.judged == search.tried > 100


@pytest.mark.parametrize("seed", [None, 0, 7])
def test_the_draws_are_the_same_in_every_run_and_follow_from_the_seed(seed: int | None) -> None:
    def drawn(effort: Effort) -> list[float]:
        seen: list[float] = []

        def judge(batch: Batch) -> Outcome:
            seen.extend(batch.columns["p"].tolist())
            return hit(batch, 0, -1)

        falsify(SPACE, judge, effort)
        return seen

    first = drawn(Effort(5, seed))
    assert first == drawn(Effort(5, seed)) and first != drawn(Effort(5, 1234))

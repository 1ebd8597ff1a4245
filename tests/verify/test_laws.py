"""Three-valued logic, rounding, infinities and classes in the judgement of laws."""

from __future__ import annotations

import math

import pytest

import glo_dsl as glo
from glo_dsl.lang.loss import Law
from glo_dsl.verify.batch import Batch, Sample, Value
from glo_dsl.verify.laws import comparisons, judge

HOLDS, FAILS, OPEN = "holds", "fails", "open"


def law_of(condition: str) -> Law:
    head = "loss f(x: real, y: real, z: real[C], m: bool[C], t: class[C], u: class[C]; a = 1) = a * x + y"
    (law,) = glo.loads(f"{head}\nlaw f.it: {condition}")["f"].laws
    return law


def judged(condition: str, **values: Value) -> str:
    law = law_of(condition)
    rows = [value for value in values.values() if isinstance(value, tuple)]
    named = {v.name: values[v.name] for v in law.variables}
    verdict = judge(law, Batch.of([Sample(law.variables, named, len(rows[0]) if rows else 1)]))
    return FAILS if verdict.violated[0] else HOLDS if verdict.decided[0] else OPEN


@pytest.mark.parametrize(
    ("condition", "x", "y", "outcome"),
    [
        # What is computed without rounding is compared exactly.
        ("x < y", 1, 2, HOLDS), ("x < y", 2, 1, FAILS), ("x < y", 1, 1, FAILS), ("x <= y", 1, 1, HOLDS),
        ("x == y", 0.1, 0.1, HOLDS), ("x == y", 0.1, math.nextafter(0.1, 1), FAILS), ("x != y", 2, 2, FAILS),
        ("(x - y) ^ 2 > 0", 3, 3, FAILS), ("max(x, y) > x", 2, 2, FAILS), ("exp(x) > 1", 0, 0, FAILS),
        ("x / 2 + y > 0", 1, -0.5, FAILS),
        # What is rounded is compared up to rounding.
        ("x + y == 0.3", 0.1, 0.2, HOLDS), ("0.5 - 0.4 == 0.1", 0, 0, HOLDS), ("exp(x) < exp(y)", 1, 1, HOLDS),
        ("exp(x) > exp(y)", 1, 1, HOLDS), ("exp(x) != exp(y)", 1, 1, HOLDS), ("exp(x) == exp(y)", 1, 1.001, FAILS),
        ("log(x) + 1e-7 <= log(y)", 3, 3, FAILS), ("log(x) + 1e-12 <= log(y)", 3, 3, HOLDS),
        ("(x + y) - x == y", 1e9, 0.3, HOLDS), ("(x + y) - x == y", 1e12, 0.3, OPEN),
        ("exp(-x) > 0", 1e4, 0, HOLDS), ("x * x >= 1e-400", 1e-200, 0, HOLDS),
        # Infinities: at a pole they are numbers, after an overflow they say nothing, unless the law speaks of inf.
        ("-log(x) == -log(y)", 0, 0, HOLDS), ("-log(x) <= -log(y)", 0, 0, HOLDS), ("-log(x) < -log(y)", 0, 0, OPEN),
        ("-log(x) <= 5", 0, 0, FAILS), ("-log(x) >= 5", 0, 0, HOLDS), ("1 / x == inf", 0, 0, HOLDS),
        ("exp(x) <= 5", 1000, 0, OPEN), ("exp(x) == exp(y)", 1000, 1000, OPEN), ("x * 1e300 <= y", 1e300, 0, OPEN),
        ("exp(x) < inf", 1000, 0, FAILS), ("exp(x) < inf", 100, 0, HOLDS), ("exp(x) == inf", 1000, 0, HOLDS),
        # Where the text overflows, the stable form that is compiled is asked.
        ("log(1 + exp(x)) <= x + y", 1000, 1, HOLDS), ("log(1 + exp(x)) <= x - y", 1000, 1, FAILS),
        ("log(1 + exp(x)) < inf", 1000, 0, HOLDS),
        # NaN decides nothing by itself.
        ("log(x) > 0", -1, 0, OPEN), ("log(x) == log(x)", -1, 0, OPEN), ("not (log(x) > 0)", -1, 0, OPEN),
        ("log(x) > 0 or y > 0", -1, 1, HOLDS), ("log(x) > 0 or y > 0", -1, -1, OPEN),
        ("log(x) > 0 and y > 0", -1, -1, FAILS), ("log(x) > 0 and y > 0", -1, 1, OPEN),
        # Logic.
        ("not (x < y)", 1, 2, FAILS), ("not (x < y) or y > 5", 1, 7, HOLDS), ("not (exp(x) <= exp(y))", 1, 1, HOLDS),
        ("(x > 0) == (y > 0)", 1, -1, FAILS), ("(x > 0) != (y > 0)", 1, -1, HOLDS), ("false or x > y", 1, 2, FAILS),
        ("(if x > 0 then log(x) else 1) >= 0", -3, 0, HOLDS),
        ("tanh(x) <= 1", 40, 0, HOLDS), ("tanh(x) < 1", 40, 0, HOLDS),
    ],
)  # fmt: skip
def test_conditions_on_numbers(condition: str, x: float, y: float, outcome: str) -> None:
    assert judged(condition, x=x, y=y) == outcome


@pytest.mark.parametrize(
    ("condition", "outcome"),
    [
        ("z <= 3", HOLDS), ("z < 3", FAILS), ("z[t] <= z", FAILS), ("z[u] <= z", HOLDS), ("t == u", FAILS),
        ("t != u", HOLDS), ("m[t]", FAILS), ("m[u]", HOLDS), ("m or z > 0", HOLDS), ("(z > 2)[t]", HOLDS),
        ("sum(softmax(z)) == 1", HOLDS), ("softmax(z) > 0", HOLDS), ("C == 3 and sum(z) == 4", HOLDS),
        ("max(z) > z or onehot(t) == 1", HOLDS), ("m == (z < 1)", FAILS),
    ],
)  # fmt: skip
def test_conditions_on_classes_hold_for_every_class(condition: str, outcome: str) -> None:
    assert judged(condition, z=(1.0, 0.0, 3.0), m=(1.0, 1.0, 0.0), t=2.0, u=1.0) == outcome


def test_of_equal_logits_all_classes_are_equally_likely_and_that_is_exact() -> None:
    assert judged("softmax(z)[t] > 0.5", z=(7.0, 7.0), t=0.0) == FAILS
    assert judged("-log_softmax(z)[t] > 0", z=(0.3,), t=0.0) == FAILS


def test_both_sides_of_comparisons_are_shown_for_the_class_that_is_furthest_off() -> None:
    law = law_of("x > 1 or softmax(z) <= 0.25")
    first, second = comparisons(law, {"x": 0.5, "z": (0.0, 0.0)})
    assert (first.left, first.sign, first.right) == (0.5, ">", 1.0)
    assert (second.left, second.sign, second.right) == (0.5, "<=", 0.25)


def test_a_batch_is_judged_row_by_row() -> None:
    law = law_of("x >= log(y)")
    rows = [{"x": x, "y": y} for x, y in ((0.0, 1.0), (-1.0, 1.0), (0.0, -1.0), (5.0, 2.0))]
    verdict = judge(law, Batch.of([Sample(law.variables, row) for row in rows]))
    assert verdict.violated.tolist() == [False, True, False, False]
    assert verdict.decided.tolist() == [True, True, False, True]
    assert verdict.worst[1] > 0 > verdict.worst[3]

from __future__ import annotations

from typing import Any

import pytest

import glo_dsl as glo
from glo_dsl.errors import GloError
from glo_dsl.evolve.space import space_of
from glo_dsl.evolve.strategies.fronts import dominates
from glo_dsl.evolve.strategies.named import strategy_named
from glo_dsl.evolve.strategies.nsga2 import Nsga2, Settings, cost
from glo_dsl.evolve.work import Judged, Told
from glo_dsl.ir.expr import size
from tests.evolve.conftest import GLO
from tests.evolve.strategies.judges import Judge, run

SPACE = space_of(glo.loads(GLO)["glo"])
OBJECTIVES = ("fitness", "complexity", "cost")


def made(objectives: tuple[str, ...] = OBJECTIVES, **more: Any) -> Nsga2:
    settings = Settings(**{"population": 12, "offspring": 14, "generations": 8, "objectives": objectives, **more})
    return Nsga2(SPACE, settings, 2, 4)


def test_its_front_is_that_of_all_that_were_told() -> None:
    """Where the population has room for it."""
    strategy = made(population=200)
    told = [
        (p.genotype, (t.fitness, -size(p.genotype), -cost(p.loss, 4)))
        for asked, outcomes in run(strategy, Judge())
        for p, t in zip(asked, outcomes)
        if t.fitness is not None and p.genotype is not None
    ]
    wanted = {point for _, point in told if not any(dominates(other, point) for _, other in told)}
    found = {point for genotype, point in told if genotype in strategy.front}
    assert found == wanted and len(strategy.front) == len(wanted) > 2


def test_nothing_good_is_forgotten() -> None:
    """The fittest and the smallest of all stay in a small population, for they are the ends of the front."""
    strategy = made()
    best, smallest = 0.0, 1000
    for asked, outcomes in run(strategy, Judge()):
        for p, t in zip(asked, outcomes):
            if t.fitness is not None and p.genotype is not None:
                best, smallest = max(best, t.fitness), min(smallest, size(p.genotype))
    sizes = [size(genotype) for genotype in strategy.front]
    assert Judge()(SPACE.fill(strategy.front[0])).fitness == best and min(sizes) == smallest


def test_the_same_gradient_in_fewer_nodes_counts() -> None:
    strategy = made(("fitness", "complexity"))
    count = len(strategy.ask())
    strategy.tell([Told(0.5, "gradient known")] * count)
    (only,) = strategy.front
    assert size(only) == min(size(p.genotype) for p in made().ask() if p.genotype is not None)


def test_leaders_are_put_in_the_order_of_their_fronts() -> None:
    names = ["focal", "cross_entropy", "brier", "baikal"]
    judged = [Judged(glo.zoo[n], size, fitness) for n, size, fitness in zip(names, (9, 4, 4, 9), (0.9, 0.8, 0.7, 0.6))]
    order = made(("fitness", "complexity")).order(judged)
    assert order[:2] == [0, 1] and set(order[2:]) == {2, 3} and order[2] == 2


def test_robustness_is_worth_as_much_as_fitness() -> None:
    """Of losses of equal fitness and size the robust one stays; a strategy that wants no attack says so."""
    strategy = made(("fitness", "robustness"), population=2)
    assert strategy.attacks and not made().attacks
    asked = strategy.ask()
    strategy.tell([Told(0.5, robustness=n / 100) for n in range(len(asked))])
    assert strategy.front == [asked[-1].genotype]
    losses = [Judged(glo.zoo["focal"], 5, 0.5, robustness) for robustness in (0.1, 0.3, 0.2)]
    assert strategy.order(losses) == [1, 2, 0]


def test_cost_is_of_the_kernel_and_not_of_the_text() -> None:
    head = "loss f(z: real[C], t: class[C]) ="
    one, long, dear = (
        glo.loads(f"{head} {body}")["f"]
        for body in ("-log_softmax(z)[t]", "0 - (1 * log(softmax(z)[t]) + 0 + 0)", "sum(log(softmax(z)) ^ 2.5)")
    )
    assert cost(one, 10) == cost(long, 10) < cost(dear, 10)
    assert cost(glo.zoo["mse"], 1) < cost(glo.zoo["huber"], 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"objectives": ["fitness", "beauty"]},
            "two or more of fitness, complexity, cost, robustness, got fitness, beauty",
        ),
        ({"objectives": ["fitness"]}, "objectives are two or more"),
        ({"objectives": []}, "got none"),
        ({"objectives": "fitness"}, "option objectives is 'fitness'"),
        ({"objectives": [1, 2]}, "objectives are two or more of fitness, complexity, cost, robustness, got 1, 2"),
        ({"population": 1}, "population and offspring are 2 at least"),
        ({"start": "some"}, "start is one of none, zoo, taylor, both, got 'some'"),
    ],
)  # fmt: skip
def test_mistakes(options: dict[str, Any], message: str) -> None:
    with pytest.raises(GloError, match=message):
        strategy_named("nsga2", {"start": "none", **options}, glo.loads(GLO)["glo"], 0, 4)

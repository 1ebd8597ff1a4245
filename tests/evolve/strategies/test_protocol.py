"""What every strategy must do; a new one is a new line in STRATEGIES."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import glo_dsl as glo
from glo_dsl.evolve.checkpoint import USELESS
from glo_dsl.evolve.space import space_of
from glo_dsl.evolve.store.plain_json import decode, encode
from glo_dsl.evolve.strategies import islands, nsga2, taylor
from glo_dsl.evolve.strategies.cmaes import Sampling
from glo_dsl.evolve.strategies.constants import Constants, Coordinate
from glo_dsl.evolve.strategies.glo import Glo, Settings
from glo_dsl.evolve.strategies.starts import Start
from glo_dsl.evolve.variation import Vocabulary
from glo_dsl.evolve.work import Strategy, Told
from glo_dsl.ir.expr import apply
from tests.evolve.strategies.judges import hashed, run, same

PAPER = space_of(glo.load(Path(__file__).parents[3] / "examples" / "glo.glo")["glo"])
MARGIN = space_of(
    glo.loads("loss m(z: real[C], t: class[C]; k = 2 in [0, 3]) = -k * log(softmax(z)[t]) + ?g(max(z), z[t])")["m"]
)
FOCAL = glo.zoo["focal"]
ISLANDS = islands.Settings(population=6, breadth=5, generations=5, migration=2)
KNOWN = [
    Start("zoo: mae", apply("mul", *PAPER.terms)),
    Start("zoo: ce", apply("mul", PAPER.terms[0], apply("log", PAPER.terms[1]))),
]
NSGA = nsga2.Settings(population=6, offspring=6, generations=4)
TREES = Settings(population=30, elites=3, depth=3, generations=3, samples=4, sample_generations=2)


def focal(seed: int) -> Constants:
    sampling = Sampling(1.0, 4, "bipop")
    return Constants(FOCAL, [Coordinate("gamma", 2.0)], np.random.default_rng(seed), sampling, 6)


STRATEGIES: dict[str, Callable[[int], Strategy]] = {
    "glo": lambda seed: Glo(PAPER, TREES, seed),
    "glo with another hole": lambda seed: Glo(MARGIN, TREES, seed, Vocabulary(MARGIN.terms)),
    "taylor": lambda seed: taylor.Taylor(taylor.Settings(population=6, generations=4), seed, 4),
    "taylor, paper": lambda seed: taylor.Taylor(taylor.Settings(2, 6, invariant="paper", generations=4), seed, 4),
    "taylor, exact": lambda seed: taylor.Taylor(taylor.Settings(4, 6, invariant="exact", generations=4), seed, 4),
    "constants": focal,
    "islands": lambda seed: islands.Islands(PAPER, ISLANDS, seed, 4, KNOWN),
    "islands with another hole": lambda seed: islands.Islands(MARGIN, ISLANDS, seed, 4),
    "nsga2": lambda seed: nsga2.Nsga2(PAPER, NSGA, seed, 4, KNOWN),
    "nsga2 by three": lambda seed: nsga2.Nsga2(MARGIN, replace(NSGA, objectives=tuple(nsga2.OBJECTIVES)), seed, 4),
}


@pytest.mark.parametrize("name", STRATEGIES)
@given(seed=st.integers(0, 2**32 - 1), told=st.integers(0, 6))
@settings(max_examples=8)
def test_replayed_it_asks_the_same(name: str, seed: int, told: int) -> None:
    live, replayed = STRATEGIES[name](seed), STRATEGIES[name](seed)
    for asked, outcomes in run(live, hashed, told):
        assert same(replayed.ask(), asked)
        replayed.tell(outcomes)
    assert same(live.ask(), live.ask()) and same(live.ask(), replayed.ask())
    assert repr(getattr(live, "answer", None)) == repr(getattr(replayed, "answer", None))


@pytest.mark.parametrize("name", STRATEGIES)
@given(seed=st.integers(0, 2**32 - 1), told=st.integers(1, 6))
@settings(max_examples=8)
def test_restored_it_asks_the_same_to_its_end(name: str, seed: int, told: int) -> None:
    """By a state that went through the text of a study, and was taken while nothing waited for an answer."""
    live, restored = STRATEGIES[name](seed), STRATEGIES[name](seed)
    run(live, hashed, told)
    state = live.state()
    assert state is not None
    restored.restore(decode(encode(state)))
    assert encode(restored.state()) == encode(state)
    while asked := live.ask():
        assert same(restored.ask(), asked)
        for strategy in (live, restored):
            strategy.tell([hashed(proposal.loss) for proposal in asked])
    assert restored.ask() == () and repr(live.answer) == repr(restored.answer)
    assert live.dropped == restored.dropped and list(live.front) == list(restored.front)


@pytest.mark.parametrize("name", STRATEGIES)
def test_what_is_no_state_is_refused(name: str) -> None:
    strategy = STRATEGIES[name](3)
    run(strategy, hashed, 1)
    state: Any = strategy.state()
    for key, value in state.items():
        for other in ({k: v for k, v in state.items() if k != key}, {**state, key: not isinstance(value, int) or "x"}):
            with pytest.raises(USELESS):
                STRATEGIES[name](3).restore(other)


@pytest.mark.parametrize("name", STRATEGIES)
def test_seeds_differ(name: str) -> None:
    assert not same(STRATEGIES[name](1).ask(), STRATEGIES[name](2).ask())


@pytest.mark.parametrize("name", STRATEGIES)
def test_it_ends_and_leaves_no_trace(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def states() -> tuple[object, ...]:
        parts = [part.tolist() if isinstance(part, np.ndarray) else part for part in np.random.get_state()]
        return parts, random.getstate(), torch.get_rng_state().tolist(), np.geterr()

    monkeypatch.chdir(tmp_path)
    before = states()
    strategy = STRATEGIES[name](4)
    assert 2 <= len(run(strategy, hashed, 50)) < 50
    assert strategy.ask() == ()
    assert states() == before and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", STRATEGIES)
def test_notes_are_json_and_parents_come_earlier(name: str) -> None:
    count = 0
    for asked, _ in run(STRATEGIES[name](5), hashed):
        for p in asked:
            assert json.loads(json.dumps(dict(p.notes), allow_nan=False)) == dict(p.notes)
            assert all(0 <= parent < count for parent in p.parents) and p.origin
        count += len(asked)
    assert count > 10


@pytest.mark.parametrize("name", STRATEGIES)
def test_an_outcome_for_each_proposal(name: str) -> None:
    strategy = STRATEGIES[name](6)
    count = len(strategy.ask())
    with pytest.raises(ValueError, match=f"{count} proposals wait for an outcome, got {count + 1}"):
        strategy.tell([Told(0.5)] * (count + 1))
    strategy.tell([Told(0.5)] * count)
    with pytest.raises(ValueError, match="0 proposals wait"):
        strategy.tell([])

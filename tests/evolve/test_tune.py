from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from glo_dsl.evolve.tune import tune


def negative_sphere(vectors: Sequence[Sequence[float]]) -> list[float]:
    return [-sum((v - 1.0) ** 2 for v in vector) for vector in vectors]


def test_it_finds_the_top_of_a_hill_and_leaves_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cma_signals.in").write_text("{'timeout': 0}")  # pycma would read it and stop at once
    np.random.seed(5)
    before = np.random.get_state()[1].copy()
    found = tune([0.0] * 4, negative_sphere, np.random.default_rng(0), 0.5, 60)
    assert max(abs(v - 1.0) for v in found) < 1e-3
    assert np.array_equal(np.random.get_state()[1], before)
    assert [p.name for p in tmp_path.iterdir()] == ["cma_signals.in"]


def test_the_same_seed_gives_the_same_path() -> None:
    runs = [tune([0.0] * 3, negative_sphere, np.random.default_rng(9), 0.5, 5) for _ in range(2)]
    assert runs[0] == runs[1]


def test_vectors_that_could_not_be_judged_do_not_stop_it() -> None:
    def partial(vectors: Sequence[Sequence[float]]) -> list[float]:
        return [math.nan if vector[0] < 0 else value for vector, value in zip(vectors, negative_sphere(vectors))]

    found = tune([0.5, 0.0], partial, np.random.default_rng(0), 0.5, 60)
    assert max(abs(v - 1.0) for v in found) < 1e-2

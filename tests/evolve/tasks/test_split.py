from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import glo_dsl as glo
from glo_dsl.evolve.tasks import Part, Recipe, Task
from glo_dsl.evolve.tasks.networks import perceptron
from glo_dsl.evolve.tasks.split import (
    Strata,
    at_most,
    flipped,
    fraction_of,
    held_out,
    split,
    subset,
    with_fraction,
    with_noise,
)

SEEDS = st.integers(0, 2**32)


@st.composite
def strata(draw: st.DrawFn) -> Strata:
    """Up to six classes of up to forty samples, shuffled; numbers of classes need not follow each other."""
    sizes = draw(st.dictionaries(st.integers(0, 99), st.integers(1, 40), min_size=1, max_size=6))
    labels = np.repeat(list(sizes), list(sizes.values()))
    return np.random.default_rng(draw(SEEDS)).permutation(labels)


def numbered(samples: int, classes: int) -> Task:
    """A task whose inputs are the numbers of the samples; validation and test are their own."""

    def part(first: int) -> Part:
        numbers = torch.arange(first, first + samples)
        return numbers[:, None].float(), numbers % classes

    parts = [part(first * samples) for first in range(3)]
    model = partial(perceptron, 1, 2, classes)
    return Task("numbered", parts[0], parts[1], parts[2], classes, model, Recipe(rate=0.1, batch=16, steps=5))


@given(strata(), SEEDS, st.floats(0.1, 0.8))
def test_parts_are_disjoint_whole_and_stratified(labels: Strata, seed: int, share: float) -> None:
    shares = (share, (1 - share) / 2)
    parts = split(labels, seed, shares)
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(len(labels)))
    assert all(np.array_equal(part, np.sort(part)) for part in parts)
    for label in np.unique(labels):
        members = int((labels == label).sum())
        for part, wanted in zip(parts, (*shares, 1 - sum(shares))):
            assert abs((labels[part] == label).sum() - wanted * members) <= 1


@given(strata(), SEEDS)
def test_a_split_depends_on_its_seed_alone(labels: Strata, seed: int) -> None:
    np.random.seed(seed % 1000)
    first = split(labels, seed)
    np.random.seed(1)
    assert all(np.array_equal(a, b) for a, b in zip(first, split(labels, seed)))


def test_other_seeds_are_other_splits_subsets_and_validations() -> None:
    labels = np.arange(200) % 4
    for drawn in (
        lambda seed: split(labels, seed)[0], lambda seed: subset(labels, 0.5, seed),
        lambda seed: held_out(200, 20, seed)[1],
    ):  # fmt: skip
        assert len({tuple(drawn(seed).tolist()) for seed in range(5)}) == 5


@given(st.integers(1, 3000), st.data(), SEEDS)
def test_what_is_held_out_is_not_kept(samples: int, data: st.DataObject, seed: int) -> None:
    count = data.draw(st.integers(0, samples))
    kept, held = held_out(samples, count, seed)
    assert len(held) == count
    assert np.array_equal(np.sort(np.concatenate([kept, held])), np.arange(samples))


@pytest.mark.parametrize(("samples", "share", "sizes"), [(60_000, 12, (55_000, 5_000)), (50_000, 10, (45_000, 5_000))])
def test_the_papers_validation_sets(samples: int, share: int, sizes: tuple[int, int]) -> None:
    assert tuple(map(len, held_out(samples, samples // share, 0))) == sizes


@given(strata(), SEEDS, st.floats(0.01, 1), st.floats(0.01, 1))
def test_a_fraction_is_stratified_and_a_smaller_one_is_part_of_it(
    labels: Strata, seed: int, one: float, other: float
) -> None:
    low, high = sorted((one, other))
    small, large = subset(labels, low, seed), subset(labels, high, seed)
    assert len(set(small.tolist())) == len(small) and set(small.tolist()) <= set(large.tolist())
    for label in np.unique(labels):
        members = int((labels == label).sum())
        assert (labels[small] == label).sum() == max(1, round(low * members))


@given(st.floats(0.01, 1), SEEDS)
def test_a_fraction_of_a_task_leaves_validation_and_test_whole(fraction: float, seed: int) -> None:
    task = numbered(120, 3)
    found = with_fraction(task, fraction, seed)
    numbers = found.train[0][:, 0].long()
    assert torch.equal(found.train[1], numbers % 3) and len(numbers.unique()) == len(numbers) <= 120
    assert torch.bincount(found.train[1]).tolist() == [max(1, round(fraction * 40))] * 3
    assert found.validation is task.validation and found.test is task.test
    assert found.recipe == replace(task.recipe, batch=min(16, len(numbers)))


def test_a_fraction_of_a_regression_is_drawn_from_all_values() -> None:
    part = (torch.arange(90.0)[:, None], torch.arange(90.0))
    inputs, targets = fraction_of(part, 0.2, seed=3, classes=False)
    assert len(targets) == 18 and torch.equal(inputs[:, 0], targets)


def test_batches_are_no_larger_than_the_data() -> None:
    recipe = Recipe(rate=0.1, batch=32, steps=9)
    assert [at_most(recipe, samples).batch for samples in (31, 32, 1000)] == [31, 32, 32]


@given(st.integers(2, 10), st.floats(0, 0.95), SEEDS)
def test_the_share_of_wrong_labels_is_binomial_and_the_test_is_clean(classes: int, share: float, seed: int) -> None:
    task = numbered(2000, classes)
    found = with_noise(task, share, seed)
    assert found.test is task.test
    for clean, part in ((task.train, found.train), (task.validation, found.validation)):
        assert part[0] is clean[0]
        assert part[1].dtype == torch.int64 and part[1].min() >= 0 and part[1].max() < classes
        wrong = int((part[1] != clean[1]).sum())
        assert abs(wrong - share * 2000) <= 6 * math.sqrt(share * (1 - share) * 2000) + 1e-9


def test_every_other_class_is_as_likely() -> None:
    labels = torch.full((30_000,), 2)
    found = torch.bincount(flipped(labels, 4, 0.6, np.random.default_rng(5)), minlength=4)
    for count, wanted in zip(found.tolist(), (6000, 6000, 12000, 6000)):
        assert abs(count - wanted) < 6 * math.sqrt(wanted)


def test_noise_has_a_seed_of_its_own_and_differs_between_parts() -> None:
    task = numbered(500, 10)
    first, again, other = (with_noise(task, 0.4, seed) for seed in (1, 1, 2))
    assert torch.equal(first.train[1], again.train[1]) and not torch.equal(first.train[1], other.train[1])
    wrong = [(part[1] != clean[1]) for part, clean in ((first.train, task.train), (first.validation, task.validation))]
    assert not torch.equal(wrong[0], wrong[1])


def test_no_noise_changes_nothing() -> None:
    task = numbered(500, 10)
    assert torch.equal(with_noise(task, 0.0, 1).train[1], task.train[1])


@pytest.mark.parametrize("share", [-0.1, 1.0, math.nan])
def test_a_share_of_noise_is_a_probability(share: float) -> None:
    with pytest.raises(glo.GloError, match="noise is"):
        with_noise(numbered(20, 2), share, 0)


def test_values_cannot_be_noisy_labels() -> None:
    with pytest.raises(glo.GloError, match="no labels to make noisy"):
        with_noise(replace(numbered(20, 2), metric="r2"), 0.1, 0)

"""Losses of the literature in the zoo: value and gradients are those of an independent function of PyTorch."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, seed, settings
from numpy.typing import NDArray
from torch import Tensor

import glo_dsl as glo
from glo_dsl.passes.pipeline import differentiable
from glo_dsl.runtime.contract import CompiledLoss
from glo_dsl.verify.oracle import wrong
from glo_dsl.verify.strategies import arrays_for, parameters_for

Array = NDArray[Any]
Result = tuple[Array, dict[str, Array]]

FAMILIES = sorted(file.stem for file in (Path(__file__).parent / "references").glob("*.py"))
LOSSES = {name: glo.zoo[name] for name in glo.zoo if glo.zoo.family(name) in FAMILIES}
TARGETS = ("c", "torch")

WITHOUT_GRADIENT = {
    "bi_tempered": {"t1", "t2"}, "barron": {"alpha"}, "taylor_cross_entropy": {"order"},
    "class_balanced": {"beta"}, "class_balanced_focal": {"beta"},
}  # fmt: skip
"""Parameters that a reference reads as numbers, or that have no slope to agree on at an end of their domain."""

NUDGE = 1e-13
"""By how much inputs are moved to see what rounding does to a result."""

NUDGES = 4

NOTHING = 1e-9
"""A difference that does not count: large logits that cancel leave it where the truth is exactly 0."""


def off_open_ends(loss: glo.Loss, values: dict[str, Array]) -> dict[str, Array]:
    """Numbers that were pushed against an end that does not belong to their domain are spread over what is near it."""
    found = dict(values)
    for v in (*loss.inputs, *(p.var for p in loss.params)):
        array = found[v.name]
        spread = 10.0 ** np.random.default_rng(array.size).uniform(-2, 2, array.shape)
        for end, is_open, inward in ((v.domain.lo, v.domain.open_lo, 1), (v.domain.hi, v.domain.open_hi, -1)):
            if is_open and np.isfinite(end):
                near = end + inward * (spread if not v.domain.bounded else 1e-3)
                array = np.where(np.abs(array - end) < 1e-6, near, array)
        found[v.name] = array
    return found


def reference_of(loss: glo.Loss) -> Callable[..., Tensor]:
    module = import_module(f"tests.zoo.references.{glo.zoo.family(loss.name)}")
    function: Callable[..., Tensor] = getattr(module, loss.name)
    return function


@cache
def compiled(name: str, target: str) -> CompiledLoss:
    return glo.compile(LOSSES[name], target)


def differs(mine: Array, truth: Array, nearby: Callable[[], list[Array]]) -> bool:
    """What is nearby only excuses a difference: it is looked at where there is one."""

    def off(near: list[Array]) -> bool:
        with np.errstate(all="ignore"):
            return bool((wrong(mine, truth, near) & ~(np.abs(mine - truth) <= NOTHING)).any())

    return off([]) and off(nearby())


def slopes_of(loss: glo.Loss) -> list[str]:
    return [v.name for v in differentiable(loss) if v.name not in WITHOUT_GRADIENT.get(loss.name, ())]


def by_reference(loss: glo.Loss, values: Mapping[str, Array]) -> Result:
    """The loss of each row, and the gradients of their sum, by autograd."""
    tensors = {name: torch.from_numpy(np.array(array)) for name, array in values.items()}
    leaves = [tensors[name].requires_grad_() for name in slopes_of(loss)]
    found = reference_of(loss)(**tensors)
    if not found.requires_grad:
        return found.numpy(), {name: np.zeros_like(values[name]) for name in slopes_of(loss)}
    slopes = torch.autograd.grad(found.sum(), leaves, allow_unused=True, materialize_grads=True)
    return found.detach().numpy(), {n: s.numpy() for n, s in zip(slopes_of(loss), slopes)}


def by_kernel(loss: glo.Loss, values: Mapping[str, Array], target: str) -> Result:
    tensors = {name: torch.from_numpy(np.array(array)) for name, array in values.items()}
    inputs = [tensors.pop(v.name) for v in loss.inputs]
    found, slopes = compiled(loss.name, target).value_and_grad(
        *inputs, wrt=slopes_of(loss), reduction="none", **tensors
    )
    return found.numpy(), {name: slope.numpy() for name, slope in slopes.items()}


def nudged(loss: glo.Loss, values: Mapping[str, Array], by: int) -> dict[str, Array]:
    """All numbers moved a little within their domains: each at random, or each the other way: ties come apart."""
    rng = np.random.default_rng(by // 2)
    found = dict(values)
    for v in (*loss.inputs, *(p.var for p in loss.params)):
        array = values[v.name]
        if array.dtype == np.float64:
            step = NUDGE * (1 - 2 * (by % 2)) * rng.uniform(-1, 1, array.shape)
            found[v.name] = np.clip(array * (1 + step) + step, v.domain.lo, v.domain.hi)
    return off_open_ends(loss, found)


@pytest.mark.parametrize("name", LOSSES)
def test_value_and_gradients(name: str) -> None:
    loss = LOSSES[name]

    @seed(zlib.crc32(name.encode()))
    @settings(max_examples=max(settings().max_examples // 8, 1))
    @given(arrays_for(loss), parameters_for(loss))
    def compare(arrays: dict[str, Array], params: dict[str, float]) -> None:
        values = off_open_ends(loss, {**arrays, **{n: np.float64(value) for n, value in params.items()}})
        with np.errstate(all="ignore"):
            truth = by_reference(loss, values)

        @cache
        def nearby() -> list[Result]:
            with np.errstate(all="ignore"):
                return [by_reference(loss, nudged(loss, values, by)) for by in range(NUDGES)]

        for target in TARGETS:
            mine = by_kernel(loss, values, target)
            assert not differs(mine[0], truth[0], lambda: [n[0] for n in nearby()]), (target, mine[0], truth[0])
            for slope, right in truth[1].items():
                off = differs(mine[1][slope], right, lambda name=slope: [n[1][name] for n in nearby()])
                assert not off, (target, slope, mine[1][slope], right)

    compare()


def test_every_loss_of_these_families_has_a_reference() -> None:
    for loss in LOSSES.values():
        assert callable(reference_of(loss))


@pytest.mark.parametrize("name", LOSSES)
def test_examples_are_those_of_the_reference(name: str) -> None:
    loss = LOSSES[name]
    for example in loss.examples:
        values = {p.name: np.float64(example.params.get(p.name, p.default)) for p in loss.params}
        for v in loss.inputs:
            kind = {"class": np.int64, "bool": np.bool_}.get(v.type.kind, np.float64)
            array = np.array(example.inputs[v.name], dtype=kind)
            values[v.name] = array[None] if v.type.per_sample else array
        found, _ = by_reference(loss, values)
        assert abs(found[0] - example.expected) <= example.tolerance, example.text

"""The losses that the calling contract is tried with: each in `.glo`, and as a float64 function of PyTorch's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import glo_dsl as glo
from glo_dsl.runtime import build_c
from glo_dsl.runtime.compile import _warn_once
from glo_dsl.runtime.contract import CompiledLoss

Rows = Callable[..., Tensor]


def picked(row: Tensor, t: Tensor) -> Tensor:
    """The entry of class `t`; the class axis is the last."""
    return row.gather(-1, t.long()[..., None])[..., 0]


def huber(p: Tensor, y: Tensor, delta: Tensor) -> Tensor:
    r = (p - y).abs()
    return torch.where(r <= delta, r * r / 2, delta * (r - delta / 2))


@dataclass(frozen=True)
class Case:
    """A loss in `.glo`, and the same per sample in PyTorch: inputs, class axis last, then parameters by name."""

    text: str
    rows: Rows
    defaults: tuple[tuple[str, float], ...] = ()
    per: Rows | None = None

    def truth(
        self, *inputs: Tensor, reduction: str = "mean", ignore_index: int = -100, dim: int = 1, **params: Any
    ) -> Tensor:
        """The loss by PyTorch, reduced over the rows that are not ignored."""
        kinds = [v.type for v in glo.loads(self.text)[self.name].inputs]
        moved, counts = [], torch.tensor(True)
        for kind, tensor in zip(kinds, inputs, strict=True):
            if kind.kind == "class":
                counts = counts & (tensor != ignore_index)
                tensor = torch.where(tensor != ignore_index, tensor, 0)
            axis = 0 if tensor.dim() == 1 else dim
            moved.append(tensor.movedim(axis, -1) if kind.per_class and kind.per_sample else tensor)
        given = {**dict(self.defaults), **params}
        loss = torch.where(counts, self.rows(*moved, **given), 0.0)
        if reduction == "none":
            return loss
        each = counts if self.per is None else torch.where(counts, self.per(*moved, **given), 0.0)
        return loss.sum() / each.expand(loss.shape).sum() if reduction == "mean" else loss.sum()

    @property
    def name(self) -> str:
        return self.text.split()[1].partition("(")[0]


CASES = {
    "cross_entropy": Case(
        "loss cross_entropy(z: real[C], t: class[C]) = -sum(onehot(t) * log(softmax(z)))",
        lambda z, t: -picked(z.log_softmax(-1), t),
    ),
    "focal": Case(
        "loss focal(z: real[C], t: class[C]; gamma = 2) = let p = softmax(z)[t] in -(1 - p) ^ gamma * log(p)",
        lambda z, t, gamma: -((1 - picked(z.softmax(-1), t)) ** gamma) * picked(z.log_softmax(-1), t),
        (("gamma", 2.0),),
    ),
    "weighted": Case(
        "loss weighted(z: real[C], t: class[C], w: shared real[C]) = -w[t] * log(softmax(z)[t])",
        lambda z, t, w: -w[t.long()] * picked(z.log_softmax(-1), t),
    ),
    "per_weight": Case(
        "loss per_weight(z: real[C], t: class[C], w: shared real[C]; k = 1) ="
        " -w[t] * log_softmax(z)[t] * k per square(w[t]) + exp(k)",
        lambda z, t, w, k: -w[t.long()] * picked(z.log_softmax(-1), t) * k,
        (("k", 1.0),),
        per=lambda z, t, w, k: w[t.long()] ** 2 + torch.as_tensor(k, dtype=z.dtype).exp(),
    ),
    "kl": Case(
        "loss kl(teacher: real[C], student: real[C]; tau = 2) = let p = softmax(teacher / tau) in"
        " tau ^ 2 * sum(p * (log(p) - log(softmax(student / tau))))",
        lambda a, b, tau: (
            tau**2 * ((a / tau).softmax(-1) * ((a / tau).log_softmax(-1) - (b / tau).log_softmax(-1))).sum(-1)
        ),
        (("tau", 2.0),),
    ),
    "masked": Case(
        "loss masked(z: real[C], m: bool[C], y: real, keep: bool) ="
        " if keep then sum(if m then (z - y) ^ 2 else 0) else y",
        lambda z, m, y, keep: torch.where(keep, torch.where(m, (z - y[..., None]) ** 2, 0.0).sum(-1), y),
    ),
    "huber": Case(
        "loss huber(p: real, y: real; delta = 1) ="
        " let r = abs(p - y) in if r <= delta then r * r / 2 else delta * (r - delta / 2)",
        huber,
        (("delta", 1.0),),
    ),
}  # fmt: skip


def example(
    fn: CompiledLoss, rows: int, classes: int, seed: int = 0, lead: dict[int, int] | None = None
) -> list[Tensor]:
    """Inputs of a loss; those in `lead`, by their place, with a first axis of that size before the others."""
    g, made = torch.Generator().manual_seed(seed), []
    for n, entry in enumerate(fn.spec.inputs):
        shape = ((lead[n],) if lead and n in lead else ()) + (rows,) * (not entry.shared) + (classes,) * entry.rows
        if entry.kind == "class":
            made.append(torch.randint(0, classes, shape, generator=g))
        else:
            made.append(torch.rand(shape, generator=g) + 0.1 if entry.shared else torch.randn(shape, generator=g))
    return made


@cache
def compiled(name: str, target: str) -> CompiledLoss:
    return glo.compile(glo.loads(CASES[name].text)[name], target)


@pytest.fixture(scope="session")
def make() -> Callable[[str, str], CompiledLoss]:
    """`make(loss, target)`: a loss of CASES compiled for a target, once for all tests."""
    return compiled


@pytest.fixture(scope="session")
def cases() -> dict[str, Case]:
    return CASES


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Triton's interpreter computes with numpy, which warns of what is meant: infinities, and junk in masked lanes."""
    with np.errstate(all="ignore"):
        yield


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is known of compilers or libraries, before and after."""
    memories = (build_c.compiler, build_c.load_c, _warn_once)
    for memory in memories:
        memory.cache_clear()
    yield
    monkeypatch.undo()
    for memory in memories:
        memory.cache_clear()

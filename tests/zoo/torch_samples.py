"""The inputs on which PyTorch tests its own losses, and ours for what it does not try."""

from __future__ import annotations

import random
import sys
import unittest
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.testing import make_tensor

FUNCTIONS: dict[str, type[torch.nn.Module] | None] = {
    "l1_loss": torch.nn.L1Loss, "mse_loss": torch.nn.MSELoss, "huber_loss": torch.nn.HuberLoss,
    "smooth_l1_loss": torch.nn.SmoothL1Loss, "binary_cross_entropy": torch.nn.BCELoss,
    "binary_cross_entropy_with_logits": torch.nn.BCEWithLogitsLoss, "soft_margin_loss": torch.nn.SoftMarginLoss,
    "multilabel_soft_margin_loss": torch.nn.MultiLabelSoftMarginLoss, "cross_entropy": torch.nn.CrossEntropyLoss,
    "linear_cross_entropy": None, "nll_loss": torch.nn.NLLLoss, "kl_div": torch.nn.KLDivLoss,
    "poisson_nll_loss": torch.nn.PoissonNLLLoss, "gaussian_nll_loss": torch.nn.GaussianNLLLoss,
    "hinge_embedding_loss": torch.nn.HingeEmbeddingLoss, "margin_ranking_loss": torch.nn.MarginRankingLoss,
    "multi_margin_loss": torch.nn.MultiMarginLoss, "cosine_embedding_loss": torch.nn.CosineEmbeddingLoss,
    "triplet_margin_loss": torch.nn.TripletMarginLoss,
    "triplet_margin_with_distance_loss": torch.nn.TripletMarginWithDistanceLoss,
}  # fmt: skip
"""Losses of torch.nn.functional, each with its module, whose samples count too."""


_real = partial(make_tensor, device="cpu", dtype=torch.float64, requires_grad=True)
_weight = partial(make_tensor, device="cpu", dtype=torch.float64, low=0.1, high=3.0)
CLASSES = torch.arange(6) % 4


@dataclass(frozen=True)
class Sample:
    """One call of a loss of torch.nn.functional: its tensors in order, and all else by name."""

    tensors: tuple[Tensor, ...]
    settings: Mapping[str, Any]

    def leaves(self) -> tuple[Tensor, ...]:
        """Copies of the tensors that collect gradients where those of the sample do."""
        return tuple(t.detach().clone().requires_grad_(t.requires_grad) for t in self.tensors)

    def to(self, dtype: torch.dtype) -> Sample:
        """The same with its real tensors in another type."""
        return Sample(
            tuple(_as(t, dtype) for t in self.tensors),
            {name: _as(value, dtype) for name, value in self.settings.items()},
        )


def _as(value: Any, dtype: torch.dtype) -> Any:
    if not isinstance(value, Tensor) or not value.is_floating_point():
        return value
    return value.detach().to(dtype).requires_grad_(value.requires_grad)


@cache
def samples(function: str) -> tuple[Sample, ...]:
    """All samples of a function, in float64, the same in every run."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        random.seed(0)
        return (*_of_module(function), *_of_operator(function), *(Sample(*s) for s in _ours(function)))


@cache
def _lists() -> tuple[list[Any], list[Any]]:
    """The modules and the operators that PyTorch tests. Imported late: it takes seconds."""
    unused = ModuleType("expecttest")  # imported there for a base class of tests that do not run here
    unused.TestCase = unittest.TestCase  # type: ignore[attr-defined]
    sys.modules.setdefault("expecttest", unused)
    from torch.testing._internal.common_methods_invocations import op_db
    from torch.testing._internal.common_modules import module_db

    return module_db, op_db


def _of_module(function: str) -> Iterator[Sample]:
    for info in _lists()[0]:
        if info.module_cls is FUNCTIONS[function]:
            for one in info.module_inputs_func(info, "cpu", torch.float64, requires_grad=True, training=True):
                assert not one.constructor_input.args and not one.forward_input.kwargs
                yield Sample(one.forward_input.args, one.constructor_input.kwargs)


def _of_operator(function: str) -> Iterator[Sample]:
    for info in _lists()[1]:
        if info.name == f"nn.functional.{function}":
            for one in info.sample_inputs("cpu", torch.float64, requires_grad=True):
                yield Sample((one.input, *one.args), one.kwargs)


def _ours(function: str) -> Iterator[tuple[tuple[Tensor, ...], dict[str, Any]]]:
    """What torch's own lists leave out: weights, kinks, large logits."""
    for reduction in ("mean", "sum", "none"):
        for tensors, settings in (*_weights(function), *_edges(function)):
            yield tensors, {**settings, "reduction": reduction}


def _weights(function: str) -> Iterator[tuple[tuple[Tensor, ...], dict[str, Any]]]:
    match function:
        case "l1_loss" | "mse_loss" | "huber_loss":
            yield (_real(5, 3), _real(5, 3)), {"weight": _weight(5, 3)}
        case "cross_entropy":
            settings = {"weight": _weight(4), "label_smoothing": 0.2}
            yield (_real(6, 4), CLASSES), {**settings, "ignore_index": 1}
            yield (_real(6, 4), _real(6, 4).softmax(1).detach()), settings
        case "multi_margin_loss":
            yield (_real(6, 4), CLASSES), {"weight": _weight(4), "margin": 0.5}
            yield (_real(6, 4), CLASSES), {"weight": _weight(4), "margin": 0.5, "p": 2}
        case "multilabel_soft_margin_loss":
            yield (_real(6, 4), _real(6, 4).gt(0).double()), {"weight": _weight(4)}


def _edges(function: str) -> Iterator[tuple[tuple[Tensor, ...], dict[str, Any]]]:
    match function:
        case "cross_entropy":
            yield (_real(6, 4, low=-1e4, high=1e4), CLASSES), {}
        case "binary_cross_entropy_with_logits":
            yield (_number([25.0, -25.0, 9.0, 800.0, -800.0]), torch.tensor([1.0, 0.0, 0.3, 1.0, 1.0]).double()), {}
        case "poisson_nll_loss":  # counts below and above 1
            yield (_real(6), CLASSES.double()), {"full": True}
            yield (_real(6, low=0), CLASSES.double()), {"full": True, "log_input": False}
        case "gaussian_nll_loss":  # variances below and above eps
            yield (_real(9), _real(9), _real(9, low=0, high=0.2)), {"eps": 0.1}
        case "multi_margin_loss":
            yield (_real(6, 4), CLASSES), {"p": 2}
            yield (_number([[0.5, -0.5, 0.0], [1.0, 0.0, 0.0]]), torch.tensor([0, 0])), {}  # at the kink
        case "triplet_margin_loss":
            yield (_real(6, 4), _real(6, 4), _real(6, 4)), {"swap": True, "margin": 0.1}
        case "hinge_embedding_loss":
            yield (_number([0.5, 0.0, 1.0]), -torch.ones(3).double()), {"margin": 0.5}
        case "margin_ranking_loss":
            yield (_number([0.5, 0.0, 1.0]), _number([1.0, 0.0, 0.0]), -torch.ones(3).double()), {"margin": 0.5}
        case "cosine_embedding_loss":
            yield (_number([[3.0, 4.0], [0.0, 0.0]]), _number([[4.0, -3.0], [1.0, 1.0]]), -torch.ones(2).double()), {}


def _number(values: list[Any]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)

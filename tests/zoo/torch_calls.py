"""Losses of torch.nn.functional by those of the zoo: for each a function of the same name and signature.

They raise NotInZooError, with the reason, where the zoo has nothing that does the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Call:
    """A call of a compiled loss; its result is divided by `over`."""

    loss: str
    inputs: tuple[Tensor, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    over: float = 1.0

    def by(self, fn: Callable[..., Tensor]) -> Tensor:
        """The result of the call."""
        return fn(*self.inputs, **self.settings) / self.over


class NotInZooError(Exception):
    """Why no loss of the zoo does what a sample asks for."""


def _weighted(loss: str, inputs: tuple[Tensor, ...], weight: Tensor | None, settings: Mapping[str, Any]) -> Call:
    return Call(loss, inputs, settings) if weight is None else Call(f"weighted_{loss}", (*inputs, weight), settings)


def l1_loss(p: Tensor, y: Tensor, weight: Tensor | None = None, **rest: Any) -> Call:
    return _weighted("l1", (p, y), weight, rest)


def mse_loss(p: Tensor, y: Tensor, weight: Tensor | None = None, **rest: Any) -> Call:
    return _weighted("mse", (p, y), weight, rest)


def huber_loss(p: Tensor, y: Tensor, weight: Tensor | None = None, **rest: Any) -> Call:
    return _weighted("huber", (p, y), weight, rest)


def smooth_l1_loss(p: Tensor, y: Tensor, beta: float = 1.0, **rest: Any) -> Call:
    return Call("smooth_l1", (p, y), {"beta": beta, **rest}) if beta > 0 else Call("l1", (p, y), rest)


def binary_cross_entropy(p: Tensor, y: Tensor, weight: Tensor | None = None, **rest: Any) -> Call:
    return _weighted("bce", (p, y), weight, rest)


def binary_cross_entropy_with_logits(
    z: Tensor, y: Tensor, weight: Tensor | None = None, pos_weight: Tensor | None = None, **rest: Any
) -> Call:
    call = _weighted("bce_with_logits", (z, y), weight, rest)
    return call if pos_weight is None else Call(f"{call.loss}_pos_weight", (*call.inputs, pos_weight), rest)


def soft_margin_loss(x: Tensor, y: Tensor, **rest: Any) -> Call:
    return Call("soft_margin", (x, y), rest)


def multilabel_soft_margin_loss(z: Tensor, y: Tensor, weight: Tensor | None = None, **rest: Any) -> Call:
    if weight is not None and weight.dim() > 1:
        raise NotInZooError("a weight per sample and class, where torch documents one per class")
    return _weighted("multilabel_soft_margin", (z, y.to(z.dtype)), weight, {"dim": -1, **rest})


def cross_entropy(
    z: Tensor, t: Tensor, weight: Tensor | None = None, label_smoothing: float = 0.0, **rest: Any
) -> Call:
    if t.is_floating_point():
        return _weighted("soft_cross_entropy", (z, t), weight, {"label_smoothing": label_smoothing, **rest})
    if label_smoothing == 0:
        return _weighted("cross_entropy", (z, t), weight, rest)
    return _weighted("smoothed_cross_entropy", (z, t), weight, {"label_smoothing": label_smoothing, **rest})


def linear_cross_entropy(
    x: Tensor, matrix: Tensor, t: Tensor, linear_bias: Tensor | None = None, options: Any = None, **rest: Any
) -> Call:
    """The loss after torch's linear layer: class axis 1, as the matrix has it first."""
    z = torch.tensordot(x, matrix, ([-1], [-1]))
    z = z if linear_bias is None else z + linear_bias
    return cross_entropy(z, t, **{name: value for name, value in rest.items() if value is not None})


def nll_loss(x: Tensor, t: Tensor, weight: Tensor | None = None, **rest: Any) -> Call:
    return _weighted("nll", (x, t), weight, rest)


def kl_div(x: Tensor, y: Tensor, log_target: bool = False, reduction: str = "mean") -> Call:
    name = "kl_div_log_target" if log_target else "kl_div"
    if reduction != "batchmean":
        return Call(name, (x, y), {"reduction": reduction})
    if x.dim() == 2:
        return Call(f"{name}_batchmean", (x, y), {"reduction": "mean"})
    return Call(name, (x, y), {"reduction": "sum"}, over=x.shape[0] if x.dim() else 1)


def poisson_nll_loss(
    x: Tensor, y: Tensor, log_input: bool = True, full: bool = False, eps: float = 1e-8, **rest: Any
) -> Call:
    name = ("poisson_nll" if log_input else "poisson_nll_rate") + ("_full" if full else "")
    return Call(name, (x, y), rest if log_input else {"eps": eps, **rest})


def gaussian_nll_loss(x: Tensor, y: Tensor, v: Tensor, full: bool = False, **rest: Any) -> Call:
    variance = v[..., None] if v.shape != x.shape and v.shape == x.shape[:-1] else v
    return Call("gaussian_nll_full" if full else "gaussian_nll", (x, y, variance), rest)


def hinge_embedding_loss(x: Tensor, y: Tensor, **rest: Any) -> Call:
    return Call("hinge_embedding", (x, y), rest)


def margin_ranking_loss(a: Tensor, b: Tensor, y: Tensor, **rest: Any) -> Call:
    return Call("margin_ranking", (a, b, y.to(a.dtype)), rest)


def multi_margin_loss(x: Tensor, t: Tensor, p: int = 1, weight: Tensor | None = None, **rest: Any) -> Call:
    x = x.reshape(1) if x.dim() == 0 else x
    t = t.reshape(()) if x.dim() == 1 else t
    return _weighted("multi_margin" if p == 1 else "squared_multi_margin", (x, t), weight, rest)


def cosine_embedding_loss(a: Tensor, b: Tensor, y: Tensor, **rest: Any) -> Call:
    return Call("cosine_embedding", (a, b, y), {"dim": -1, **rest})


def triplet_margin_loss(a: Tensor, p: Tensor, n: Tensor, swap: bool = False, **rest: Any) -> Call:
    return Call("swapped_triplet_margin" if swap else "triplet_margin", (a, p, n), {"dim": -1, **rest})


def triplet_margin_with_distance_loss(a: Tensor, p: Tensor, n: Tensor, distance_function: Any, **rest: Any) -> Call:
    assert isinstance(distance_function, torch.nn.PairwiseDistance) and distance_function.norm == 2.0
    return triplet_margin_loss(a, p, n, eps=distance_function.eps, **rest)

"""The losses that traps are laid for: in the library by name, and as careful PyTorch, class axis last."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

Rows = Callable[..., Tensor]


def _nll(z: Tensor, t: Tensor) -> Tensor:
    return -F.log_softmax(z, -1).gather(-1, t[..., None])[..., 0]


def _focal(z: Tensor, t: Tensor, gamma: float) -> Tensor:
    nll = _nll(z, t)
    return (1 - torch.exp(-nll)) ** gamma * nll


def _smoothed(z: Tensor, t: Tensor, label_smoothing: float) -> Tensor:
    return (1 - label_smoothing) * _nll(z, t) - label_smoothing * F.log_softmax(z, -1).mean(-1)


def _z_loss(z: Tensor, t: Tensor, weight: float) -> Tensor:
    return _nll(z, t) + weight * torch.logsumexp(z, -1) ** 2


def _gce(z: Tensor, t: Tensor, q: float) -> Tensor:
    return (1 - torch.exp(-_nll(z, t)) ** q) / q


def _poly1(z: Tensor, t: Tensor, epsilon: float) -> Tensor:
    nll = _nll(z, t)
    return nll + epsilon * (1 - torch.exp(-nll))


def _brier(z: Tensor, t: Tensor) -> Tensor:
    return (F.softmax(z, -1) - F.one_hot(t, z.shape[-1]).to(z.dtype)).square().sum(-1)


def _baikal(z: Tensor, t: Tensor) -> Tensor:
    log_y = F.log_softmax(z, -1)
    return torch.exp(_nll(z, t)) / z.shape[-1] - log_y.mean(-1)


def _weighted(z: Tensor, t: Tensor, w: Tensor) -> Tensor:
    return w[t] * _nll(z, t)


def _distillation(z: Tensor, v: Tensor, temperature: float) -> Tensor:
    student, teacher = F.log_softmax(z / temperature, -1), F.log_softmax(v / temperature, -1)
    return temperature**2 * (torch.exp(teacher) * (teacher - student)).sum(-1)


def _jensen_shannon(z: Tensor, y: Tensor, beta: float) -> Tensor:
    p, q = F.log_softmax(z, -1), F.log_softmax(y, -1)
    mixture = torch.logsumexp(torch.stack([p + math.log(1 - beta), q + math.log(beta)]), 0)
    each = beta * torch.exp(q) * (q - mixture) + (1 - beta) * torch.exp(p) * (p - mixture)
    return each.sum(-1)


def _huber(p: Tensor, y: Tensor, delta: float) -> Tensor:
    return F.huber_loss(p, y, reduction="none", delta=delta)


@dataclass(frozen=True)
class Subject:
    """A loss.

    Attributes:
        rows: its value per sample, class axis last: inputs, then constants by name.
        kind: `class` (logits, class index), `shared` (the same and a weight per class), `pair` (two rows of logits) or
            `element` (two numbers).
        constants: other values than the default to try.
    """

    name: str
    rows: Rows
    kind: str = "class"
    constants: dict[str, tuple[float, ...]] = field(default_factory=dict)

    @property
    def has_class(self) -> bool:
        return self.kind in ("class", "shared")

    @property
    def default(self) -> dict[str, float]:
        return {name: values[0] for name, values in self.constants.items()}

    def __call__(
        self, *inputs: Tensor, reduction: str = "mean", ignore_index: int = -100, dim: int = 1, **constants: float
    ) -> Tensor:
        """The loss in PyTorch as its own losses are called."""
        if self.kind == "element":
            each = self.rows(*inputs, **{**self.default, **constants})
            return each if reduction == "none" else each.mean() if reduction == "mean" else each.sum()
        axis = 0 if inputs[0].dim() == 1 else dim
        moved = [inputs[0].movedim(axis, -1)]
        counts = torch.ones(moved[0].shape[:-1], dtype=torch.bool)
        if self.has_class:
            counts = inputs[1] != ignore_index
            moved += [torch.where(counts, inputs[1], 0).long(), *inputs[2:]]
        else:
            moved.append(inputs[1].movedim(axis, -1))
        each = torch.where(counts, self.rows(*moved, **{**self.default, **constants}), 0.0)
        if reduction == "none":
            return each
        divisor = torch.where(counts, moved[2][moved[1]], 0.0).sum() if self.kind == "shared" else counts.sum()
        return each.sum() / divisor if reduction == "mean" else each.sum()


SUBJECTS = (
    Subject("cross_entropy", _nll),
    Subject("focal", _focal, constants={"gamma": (2.0, 1.0, 0.5, 3.25)}),
    Subject("smoothed_cross_entropy", _smoothed, constants={"label_smoothing": (0.1, 0.2, 0.0, 0.45)}),
    Subject("weighted_cross_entropy", _weighted, "shared"),
    Subject("z_loss_cross_entropy", _z_loss, constants={"weight": (1e-4, 0.1, 0.02, 0.5)}),
    Subject("gce", _gce, constants={"q": (0.7, 0.5, 0.9, 0.2)}),
    Subject("poly1", _poly1, constants={"epsilon": (1.0, 2.0, -0.5, 4.0)}),
    Subject("brier", _brier),
    Subject("baikal", _baikal),
    Subject("distillation", _distillation, "pair", {"temperature": (4.0, 1.0, 2.5, 8.0)}),
    Subject("jensen_shannon", _jensen_shannon, "pair", {"beta": (0.5, 0.25, 0.9, 0.1)}),
    Subject("huber", _huber, "element", {"delta": (1.0, 0.5, 2.0, 0.1)}),
)

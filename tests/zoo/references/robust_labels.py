"""Losses that smooth, truncate or temper cross-entropy, as their papers write them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def _probability(z: Tensor, t: Tensor) -> Tensor:
    return torch.stack([torch.softmax(row, 0)[k] for row, k in zip(z, t.tolist())])


def taylor_cross_entropy(z: Tensor, t: Tensor, order: Tensor) -> Tensor:
    wrong = 1 - _probability(z, t)
    return sum((wrong**n / n for n in range(1, int(order) + 1)), torch.zeros(()))


def phuber_cross_entropy(z: Tensor, t: Tensor, tau: Tensor) -> Tensor:
    p = _probability(z, t)
    linear = -tau * p + torch.log(tau) + 1
    return torch.where(p > 1 / tau, F.cross_entropy(z, t, reduction="none"), linear)


def soft_bootstrap(z: Tensor, t: Tensor, beta: Tensor) -> Tensor:
    p = torch.softmax(z, 1)
    target = beta * F.one_hot(t, z.shape[1]) + (1 - beta) * p
    return -(target * torch.log_softmax(z, 1)).sum(1)


def early_learning(z: Tensor, t: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    agreement = torch.stack([torch.dot(torch.softmax(row, 0), memory) for row, memory in zip(z, y)])
    return F.cross_entropy(z, t, reduction="none") + weight * torch.log((1 - agreement).clamp(min=1e-4))


def js_label(z: Tensor, t: Tensor, w: Tensor) -> Tensor:
    label, p = F.one_hot(t, z.shape[1]).to(z), torch.softmax(z, 1)
    log_mixture = torch.log((w * label + (1 - w) * p).clamp(min=1e-300))
    from_label = -(label * log_mixture).sum(1)
    from_prediction = (p * (torch.log_softmax(z, 1) - log_mixture)).sum(1)
    return (w * from_label + (1 - w) * from_prediction) / (-(1 - w) * torch.log(1 - w))


def _log(x: Tensor, t: float) -> Tensor:
    return torch.log(x) if t == 1 else (x ** (1 - t) - 1) / (1 - t)


def _exp(x: Tensor, t: float) -> Tensor:
    return torch.exp(x) if t == 1 else (1 + (1 - t) * x) ** (1 / (1 - t))


def _tempered_softmax(row: Tensor, t: float) -> Tensor:
    """By bisection for the normaliser, which is then corrected so that it depends on the row as it should."""
    if t == 1:
        return torch.softmax(row, 0)
    shifted = row - row.max()
    low, high = 0.0, float(len(row) ** (t - 1) - 1) / (t - 1) + 1e-9
    for _ in range(200):
        middle = (low + high) / 2
        if _exp(shifted.detach() - middle, t).sum() > 1:
            low = middle
        else:
            high = middle
    p = _exp(shifted - low, t)
    escort = p.detach() ** t
    correction = (p.sum() - 1) / escort.sum()
    return _exp(shifted - low - correction, t)


def bi_tempered(z: Tensor, t: Tensor, t1: Tensor, t2: Tensor) -> Tensor:
    first, second = float(t1), float(t2)
    rows = []
    for row, k in zip(z, t.tolist()):
        p = _tempered_softmax(row, second)
        rows.append(-_log(p[k], first) - (1 - (p ** (2 - first)).sum()) / (2 - first))
    return torch.stack(rows)

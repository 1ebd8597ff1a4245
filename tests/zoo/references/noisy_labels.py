"""Losses for labels that may be wrong, as their papers write them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def _labels(z: Tensor, t: Tensor) -> Tensor:
    return F.one_hot(t, z.shape[1]).to(z)


def _probability(z: Tensor, t: Tensor) -> Tensor:
    return torch.stack([torch.softmax(row, 0)[k] for row, k in zip(z, t.tolist())])


def probability_mae(z: Tensor, t: Tensor) -> Tensor:
    return (torch.softmax(z, 1) - _labels(z, t)).abs().sum(1)


def gce(z: Tensor, t: Tensor, q: Tensor) -> Tensor:
    ce = F.cross_entropy(z, t, reduction="none")
    return -torch.expm1(-q * ce) / q


def truncated_gce(z: Tensor, t: Tensor, q: Tensor, k: Tensor) -> Tensor:
    return torch.where(_probability(z, t) > k, gce(z, t, q), (1 - k**q) / q)


def reverse_cross_entropy(z: Tensor, t: Tensor, a: Tensor) -> Tensor:
    log_labels = torch.where(_labels(z, t) == 1, 0.0, a)
    return -(torch.softmax(z, 1) * log_labels).sum(1)


def symmetric_cross_entropy(z: Tensor, t: Tensor, alpha: Tensor, beta: Tensor, a: Tensor) -> Tensor:
    return alpha * F.cross_entropy(z, t, reduction="none") + beta * reverse_cross_entropy(z, t, a)


def normalized_cross_entropy(z: Tensor, t: Tensor) -> Tensor:
    if z.shape[1] == 1:
        return z[:, 0] * 0
    each = [F.cross_entropy(z, torch.full_like(t, k), reduction="none") for k in range(z.shape[1])]
    return F.cross_entropy(z, t, reduction="none") / sum(each, torch.zeros(()))


def normalized_focal(z: Tensor, t: Tensor, gamma: Tensor) -> Tensor:
    if z.shape[1] == 1:
        return z[:, 0] * 0
    p, log_p = torch.softmax(z, 1), torch.log_softmax(z, 1)
    each = -((1 - p) ** gamma) * log_p
    return torch.stack([row[k] / row.sum() for row, k in zip(each, t.tolist())])


def nce_mae(z: Tensor, t: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    return alpha * normalized_cross_entropy(z, t) + beta * probability_mae(z, t)


def nce_rce(z: Tensor, t: Tensor, alpha: Tensor, beta: Tensor, a: Tensor) -> Tensor:
    return alpha * normalized_cross_entropy(z, t) + beta * reverse_cross_entropy(z, t, a)


def agce(z: Tensor, t: Tensor, a: Tensor, q: Tensor) -> Tensor:
    return ((a + 1) ** q - torch.pow(a + _probability(z, t), q)) / q


def aul(z: Tensor, t: Tensor, a: Tensor, q: Tensor) -> Tensor:
    return (torch.pow(a - _probability(z, t), q) - (a - 1) ** q) / q


def ael(z: Tensor, t: Tensor, a: Tensor) -> Tensor:
    return torch.exp(-_probability(z, t) / a)

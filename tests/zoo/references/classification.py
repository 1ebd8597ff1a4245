"""Losses of one class out of C, as their papers write them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def _probability(z: Tensor, t: Tensor) -> Tensor:
    return torch.stack([torch.softmax(row, 0)[k] for row, k in zip(z, t.tolist())])


def focal(z: Tensor, t: Tensor, gamma: Tensor) -> Tensor:
    ce = F.cross_entropy(z, t, reduction="none")
    return (1 - torch.exp(-ce)) ** gamma * ce


def poly1(z: Tensor, t: Tensor, epsilon: Tensor) -> Tensor:
    return F.cross_entropy(z, t, reduction="none") + epsilon * (1 - _probability(z, t))


def poly1_focal(z: Tensor, t: Tensor, epsilon: Tensor, gamma: Tensor) -> Tensor:
    return focal(z, t, gamma) + epsilon * (1 - _probability(z, t)) ** (gamma + 1)


def z_loss_cross_entropy(z: Tensor, t: Tensor, weight: Tensor) -> Tensor:
    highest = z.amax(1, keepdim=True).detach()
    log_normaliser = torch.exp(z - highest).sum(1).log() + highest[:, 0]
    return F.cross_entropy(z, t, reduction="none") + weight * log_normaliser**2


def softcapped_cross_entropy(z: Tensor, t: Tensor, cap: Tensor) -> Tensor:
    return F.cross_entropy(torch.tanh(z / cap) * cap, t, reduction="none")


def confidence_penalty(z: Tensor, t: Tensor, beta: Tensor) -> Tensor:
    return F.cross_entropy(z, t, reduction="none") - beta * torch.distributions.Categorical(logits=z).entropy()


def logit_norm(z: Tensor, t: Tensor, temperature: Tensor) -> Tensor:
    return F.cross_entropy(F.normalize(z, dim=1, eps=1e-15) / temperature, t, reduction="none")


def squentropy(z: Tensor, t: Tensor) -> Tensor:
    rows = []
    for row, k in zip(z, t.tolist()):
        others = [value**2 for place, value in enumerate(row) if place != k]
        rows.append(sum(others, torch.zeros(())) / max(len(others), 1))
    return F.cross_entropy(z, t, reduction="none") + torch.stack(rows)


def rescaled_square(z: Tensor, t: Tensor, weight: Tensor, target: Tensor) -> Tensor:
    rows = []
    for row, k in zip(z, t.tolist()):
        total = weight * (row[k] - target) ** 2
        for place, value in enumerate(row):
            if place != k:
                total = total + value**2
        rows.append(total / len(row))
    return torch.stack(rows)

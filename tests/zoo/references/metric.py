"""Losses of cosines, as their papers write them."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def _replaced(x: Tensor, t: Tensor, value: Tensor) -> Tensor:
    return torch.where(F.one_hot(t, x.shape[1]) == 1, value[:, None], x)


def _of_target(x: Tensor, t: Tensor) -> Tensor:
    return x.gather(1, t[:, None])[:, 0]


def cosface(x: Tensor, t: Tensor, scale: Tensor, margin: Tensor) -> Tensor:
    own = _of_target(x, t)
    return F.cross_entropy(scale * _replaced(x, t, own - margin), t, reduction="none")


def arcface(x: Tensor, t: Tensor, scale: Tensor, margin: Tensor) -> Tensor:
    own = _of_target(x, t)
    sine = torch.sqrt((1 - own**2).clamp(min=1e-12))
    moved = torch.cos(torch.atan2(sine, own) + margin) * torch.hypot(sine, own)
    return F.cross_entropy(scale * _replaced(x, t, moved), t, reduction="none")


def sphereface(x: Tensor, t: Tensor, scale: Tensor) -> Tensor:
    own = _of_target(x, t)
    angle = torch.acos(own)
    k = torch.floor(angle.detach() * 4 / math.pi).clamp(max=3)
    psi = (-1) ** k * torch.cos(4 * angle) - 2 * k
    return F.cross_entropy(scale * _replaced(x, t, psi), t, reduction="none")


def circle(s: Tensor, y: Tensor, gamma: Tensor, margin: Tensor) -> Tensor:
    rows = []
    for row, there in zip(s, y):
        exponents = [torch.zeros(()).double()]
        for u in row[there]:
            wanted = -gamma * torch.relu(1 + margin - u).detach() * (u - (1 - margin))
            for v in row[~there]:
                exponents.append(wanted + gamma * torch.relu(v + margin).detach() * (v - margin))
        rows.append(torch.logsumexp(torch.stack(exponents), 0) + 0 * row.sum())
    return torch.stack(rows)


def multi_similarity(s: Tensor, y: Tensor, alpha: Tensor, beta: Tensor, base: Tensor) -> Tensor:
    rows = []
    for row, there in zip(s, y):
        positive = torch.log1p(torch.exp(-alpha * (row[there] - base)).sum()) / alpha
        negative = torch.log1p(torch.exp(beta * (row[~there] - base)).sum()) / beta
        rows.append(positive + negative)
    return torch.stack(rows)

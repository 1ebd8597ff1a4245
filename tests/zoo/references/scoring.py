"""Proper scores of a distribution over C classes, from their definitions on probabilities."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def brier(z: Tensor, t: Tensor) -> Tensor:
    return F.mse_loss(torch.softmax(z, 1), F.one_hot(t, z.shape[1]).to(z), reduction="none").sum(1)


def spherical(z: Tensor, t: Tensor) -> Tensor:
    p = F.normalize(torch.softmax(z, 1), dim=1)
    return 1 - p.gather(1, t[:, None])[:, 0]


def pseudospherical(z: Tensor, t: Tensor, beta: Tensor) -> Tensor:
    p = torch.softmax(z, 1)
    own = torch.stack([row[k] for row, k in zip(p, t.tolist())])
    return 1 - own ** (beta - 1) / (p**beta).sum(1) ** ((beta - 1) / beta)


def tsallis_score(z: Tensor, t: Tensor, q: Tensor) -> Tensor:
    p = torch.softmax(z, 1)
    own = torch.stack([row[k] for row, k in zip(p, t.tolist())])
    score = q * own ** (q - 1) - (q - 1) * (p**q).sum(1)
    return (1 - score) / (q * (q - 1))

"""Divergences between two distributions over C classes, from their definitions."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Categorical
from torch.nn import functional as F


def _kl(z: Tensor, y: Tensor) -> Tensor:
    log_p, log_q = torch.log_softmax(z, 1), torch.log_softmax(y, 1)
    return F.kl_div(log_q, log_p, reduction="none", log_target=True).sum(1)


def forward_kl(z: Tensor, y: Tensor) -> Tensor:
    return _kl(y, z)


def reverse_kl(z: Tensor, y: Tensor) -> Tensor:
    return _kl(z, y)


def jeffreys(z: Tensor, y: Tensor) -> Tensor:
    return forward_kl(z, y) + reverse_kl(z, y)


def jensen_shannon(z: Tensor, y: Tensor, beta: Tensor) -> Tensor:
    mixture = beta * torch.softmax(y, 1) + (1 - beta) * torch.softmax(z, 1)
    entropy = -(mixture * torch.log(mixture.clamp(min=1e-300))).sum(1)
    return entropy - beta * Categorical(logits=y).entropy() - (1 - beta) * Categorical(logits=z).entropy()


def total_variation(z: Tensor, y: Tensor) -> Tensor:
    return (torch.softmax(z, 1) - torch.softmax(y, 1)).clamp(min=0).sum(1)


def squared_hellinger(z: Tensor, y: Tensor) -> Tensor:
    return 1 - torch.exp((torch.log_softmax(z, 1) + torch.log_softmax(y, 1)) / 2).sum(1)


def triangular(z: Tensor, y: Tensor) -> Tensor:
    p, q = torch.softmax(z, 1), torch.softmax(y, 1)
    return ((p - q) ** 2 / (p + q + 1e-300)).sum(1)


def renyi(z: Tensor, y: Tensor, alpha: Tensor) -> Tensor:
    p, q = torch.log_softmax(z, 1), torch.log_softmax(y, 1)
    return torch.log(torch.exp(alpha * q + (1 - alpha) * p).sum(1)) / (alpha - 1)


def alpha_divergence(z: Tensor, y: Tensor, alpha: Tensor) -> Tensor:
    p, q = torch.log_softmax(z, 1), torch.log_softmax(y, 1)
    return (torch.exp(alpha * q + (1 - alpha) * p).sum(1) - 1) / (alpha * (alpha - 1))


def tsallis(z: Tensor, y: Tensor, q: Tensor) -> Tensor:
    p, target = torch.log_softmax(z, 1), torch.log_softmax(y, 1)
    return (torch.exp(target) - torch.exp(q * target + (1 - q) * p)).sum(1) / (1 - q)


def bhattacharyya(z: Tensor, y: Tensor) -> Tensor:
    return -torch.logsumexp((torch.log_softmax(z, 1) + torch.log_softmax(y, 1)) / 2, 1)

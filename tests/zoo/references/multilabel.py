"""Losses of labels that each may be there or not, as their papers write them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def sigmoid_focal(z: Tensor, y: Tensor, gamma: Tensor, alpha: Tensor) -> Tensor:
    target = y.to(z)
    ce = F.binary_cross_entropy_with_logits(z, target, reduction="none")
    p = torch.sigmoid(z)
    p_t = p * target + (1 - p) * (1 - target)
    return (alpha * target + (1 - alpha) * (1 - target)) * (1 - p_t) ** gamma * ce


def asymmetric(z: Tensor, y: Tensor, gamma_pos: Tensor, gamma_neg: Tensor, margin: Tensor) -> Tensor:
    p = torch.sigmoid(z)
    kept = (p - margin).clamp(min=0)
    there = -((1 - p) ** gamma_pos) * F.logsigmoid(z)
    rest = (torch.sigmoid(-z) + margin).clamp(1e-30, 1)  # 1 - p loses all digits where p is near 1
    return torch.where(y, there, -(kept**gamma_neg) * torch.log(rest)).sum(1)


def zlpr(z: Tensor, y: Tensor) -> Tensor:
    rows = []
    for row, there in zip(z, y):
        zero = torch.zeros(1).double()
        above = torch.logsumexp(torch.cat([zero, -row[there]]), 0)
        below = torch.logsumexp(torch.cat([zero, row[~there]]), 0)
        rows.append(above + below)
    return torch.stack(rows)


def lsep(z: Tensor, y: Tensor) -> Tensor:
    rows = []
    for row, there in zip(z, y):
        pairs = [v - u for u in row[there] for v in row[~there]]
        rows.append(torch.logsumexp(torch.stack([torch.zeros(()).double(), *pairs]), 0) + 0 * row.sum())
    return torch.stack(rows)

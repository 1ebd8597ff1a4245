"""Losses of the overlap of two regions, as their papers write them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def dice(z: Tensor, y: Tensor, smooth: Tensor) -> Tensor:
    p = torch.sigmoid(z)
    return 1 - (2 * (p * y).sum(1) + smooth) / (p.sum(1) + y.sum(1) + smooth)


def squared_dice(z: Tensor, y: Tensor, smooth: Tensor) -> Tensor:
    p = torch.sigmoid(z)
    return 1 - (2 * (p * y).sum(1) + smooth) / ((p**2).sum(1) + (y**2).sum(1) + smooth)


def tversky(z: Tensor, y: Tensor, alpha: Tensor, beta: Tensor, smooth: Tensor) -> Tensor:
    p = torch.sigmoid(z)
    true_positive = (p * y).sum(1)
    false_positive, false_negative = (p * (1 - y)).sum(1), ((1 - p) * y).sum(1)
    return 1 - (true_positive + smooth) / (true_positive + alpha * false_positive + beta * false_negative + smooth)


def focal_tversky(z: Tensor, y: Tensor, alpha: Tensor, beta: Tensor, gamma: Tensor, smooth: Tensor) -> Tensor:
    return tversky(z, y, alpha, beta, smooth).clamp(min=1e-12) ** (1 / gamma)


def soft_jaccard(z: Tensor, y: Tensor, smooth: Tensor) -> Tensor:
    p = torch.sigmoid(z)
    intersection = (p * y).sum(1)
    union = p.sum(1) + y.sum(1) - intersection
    return 1 - (intersection + smooth) / (union + smooth)


def log_cosh_dice(z: Tensor, y: Tensor, smooth: Tensor) -> Tensor:
    return torch.log(torch.cosh(dice(z, y, smooth)))


def combo(z: Tensor, y: Tensor, alpha: Tensor, beta: Tensor, smooth: Tensor) -> Tensor:
    likelihood = beta * y * F.logsigmoid(z) + (1 - beta) * (1 - y) * F.logsigmoid(-z)
    return alpha * -likelihood.mean(1) - (1 - alpha) * (1 - dice(z, y, smooth))


def boundary(z: Tensor, y: Tensor) -> Tensor:
    return torch.stack([torch.dot(torch.sigmoid(row), map_) / len(row) for row, map_ in zip(z, y)])

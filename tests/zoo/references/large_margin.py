"""Losses that ask for a margin, as their papers write them."""

from __future__ import annotations

import torch
from torch import Tensor


def crammer_singer(z: Tensor, t: Tensor, margin: Tensor) -> Tensor:
    rows = []
    for row, k in zip(z, t.tolist()):
        scores = [value if j == k else value + margin for j, value in enumerate(row)]
        rows.append(torch.stack(scores).amax() - row[k])
    return torch.stack(rows)


def _signed(z: Tensor, y: Tensor) -> Tensor:
    return torch.where(y, 1.0, -1.0).to(z) * z


def squared_hinge(z: Tensor, y: Tensor, margin: Tensor) -> Tensor:
    return torch.clamp(margin - _signed(z, y), min=0) ** 2


def modified_huber(z: Tensor, y: Tensor) -> Tensor:
    v = _signed(z, y)
    return torch.where(v >= -1, torch.clamp(1 - v, min=0) ** 2, -4 * v)


def smooth_hinge(z: Tensor, y: Tensor) -> Tensor:
    v = _signed(z, y)
    return torch.where(v >= 1, 0.0, torch.where(v <= 0, 0.5 - v, (1 - v) ** 2 / 2))


def ramp(z: Tensor, y: Tensor, s: Tensor) -> Tensor:
    v = _signed(z, y)
    return torch.relu(1 - v) - torch.relu(-s - v)


def tangent(z: Tensor, y: Tensor) -> Tensor:
    return (2 * torch.arctan(_signed(z, y)) - 1) ** 2

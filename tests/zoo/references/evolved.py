"""Losses found by search, as their papers write them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def _label(z: Tensor, t: Tensor) -> Tensor:
    return F.one_hot(t, z.shape[1]).to(z)


def baikal(z: Tensor, t: Tensor) -> Tensor:
    log_y, x = F.log_softmax(z, 1), _label(z, t)
    return -(log_y - torch.where(x == 1, torch.exp(-log_y), 0.0)).sum(1) / z.shape[1]


def baikal_cma(z: Tensor, t: Tensor, c0: Tensor, c1: Tensor, c2: Tensor, c3: Tensor) -> Tensor:
    log_y, x = F.log_softmax(z, 1), _label(z, t)
    terms = c1 * (torch.log(c2) + log_y) - c3 * torch.where(x == 1, torch.exp(-log_y), 0.0)
    return -(c0 * terms).sum(1) / z.shape[1]


def _taylor(z: Tensor, t: Tensor, centres: tuple[Tensor, Tensor], terms: list[tuple[int, int, Tensor]]) -> Tensor:
    x, y = _label(z, t) - centres[0], F.softmax(z, 1) - centres[1]
    total = torch.zeros_like(z)
    for power_x, power_y, coefficient in terms:
        term = coefficient
        for _ in range(power_x):
            term = term * x
        for _ in range(power_y):
            term = term * y
        total = total + term
    return -total.sum(1) / z.shape[1]


def taylor2(z: Tensor, t: Tensor, th0: Tensor, th1: Tensor, th2: Tensor, th3: Tensor, th4: Tensor) -> Tensor:
    return _taylor(z, t, (th0, th1), [(0, 1, th2), (0, 2, th3), (1, 1, th4)])


def taylor3(z: Tensor, t: Tensor, th0: Tensor, th1: Tensor, **th: Tensor) -> Tensor:
    powers = [(0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (2, 1)]
    return _taylor(z, t, (th0, th1), [(*power, th[f"th{n}"]) for n, power in enumerate(powers, 2)])


def taylor4(z: Tensor, t: Tensor, th0: Tensor, th1: Tensor, **th: Tensor) -> Tensor:
    powers = [(0, 1), (0, 2), (0, 3), (0, 4), (1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (3, 1)]
    return _taylor(z, t, (th0, th1), [(*power, th[f"th{n}"]) for n, power in enumerate(powers, 2)])


def cse_autoloss(z: Tensor, t: Tensor, iou: Tensor) -> Tensor:
    return -((1 + torch.sin(iou))[:, None] * _label(z, t) * F.log_softmax(z, 1)).sum(1)

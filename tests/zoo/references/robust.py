"""Robust losses of one number, as their papers write them."""

from __future__ import annotations

import torch
from torch import Tensor


def charbonnier(p: Tensor, y: Tensor, epsilon: Tensor) -> Tensor:
    return torch.hypot(p - y, epsilon.expand_as(p))


def log_cosh(p: Tensor, y: Tensor) -> Tensor:
    r = (p - y).abs()
    return torch.where(r < 20, torch.log(torch.cosh(r.clamp(max=20))), r - torch.log(torch.tensor(2.0).double()))


def fair(p: Tensor, y: Tensor, c: Tensor) -> Tensor:
    r = (p - y).abs()
    return c**2 * (r / c - torch.log(1 + r / c))


def cauchy(p: Tensor, y: Tensor, c: Tensor) -> Tensor:
    return c**2 / 2 * torch.log(1 + ((p - y) / c) ** 2)


def geman_mcclure(p: Tensor, y: Tensor, c: Tensor) -> Tensor:
    return (p - y) ** 2 / 2 / (1 + ((p - y) / c) ** 2)


def welsch(p: Tensor, y: Tensor, c: Tensor) -> Tensor:
    return c**2 / 2 * (1 - torch.exp(-(((p - y) / c) ** 2)))


def barron(p: Tensor, y: Tensor, alpha: Tensor, c: Tensor) -> Tensor:
    x = (p - y) / c
    if alpha == 2:
        return x**2 / 2
    if alpha == 0:
        return torch.log(x**2 / 2 + 1)
    if alpha == -torch.inf:
        return 1 - torch.exp(-(x**2) / 2)
    b = (alpha - 2).abs()
    return b / alpha * ((x**2 / b + 1) ** (alpha / 2) - 1)


def tukey(p: Tensor, y: Tensor, c: Tensor) -> Tensor:
    r = p - y
    inside = c**2 / 6 * (1 - (1 - (r / c) ** 2) ** 3)
    return torch.where(r.abs() <= c, inside, c**2 / 6)


def wing(p: Tensor, y: Tensor, width: Tensor, epsilon: Tensor) -> Tensor:
    r = (p - y).abs()
    constant = width - width * torch.log(1 + width / epsilon)
    return torch.where(r < width, width * torch.log(1 + r / epsilon), r - constant)


def adaptive_wing(p: Tensor, y: Tensor, alpha: Tensor, omega: Tensor, epsilon: Tensor, theta: Tensor) -> Tensor:
    r, ratio = (y - p).abs(), theta / epsilon
    a = omega * (1 / (1 + ratio ** (alpha - y))) * (alpha - y) * ratio ** (alpha - y - 1) / epsilon
    c = theta * a - omega * torch.log(1 + ratio ** (alpha - y))
    return torch.where(r < theta, omega * torch.log(1 + (r / epsilon) ** (alpha - y)), a * r - c)


def epsilon_insensitive(p: Tensor, y: Tensor, epsilon: Tensor) -> Tensor:
    return torch.where((p - y).abs() <= epsilon, 0.0, (p - y).abs() - epsilon)

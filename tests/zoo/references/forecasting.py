"""Scores of a forecast of one number, from their definitions."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import Normal
from torch.nn import functional as F


def quantile(p: Tensor, y: Tensor, tau: Tensor) -> Tensor:
    return torch.where(y >= p, tau * (y - p), (1 - tau) * (p - y))


def expectile(p: Tensor, y: Tensor, tau: Tensor) -> Tensor:
    return (tau - (y - p < 0).double()).abs() * (y - p) ** 2


def quantile_huber(p: Tensor, y: Tensor, tau: Tensor, kappa: Tensor) -> Tensor:
    u = y - p
    huber = torch.where(u.abs() <= kappa, u**2 / 2, kappa * (u.abs() - kappa / 2))
    return (tau - (u < 0).double()).abs() * huber / kappa


def interval_score(lower: Tensor, upper: Tensor, y: Tensor, alpha: Tensor) -> Tensor:
    score = upper - lower
    score = score + torch.where(y < lower, 2 / alpha * (lower - y), 0.0)
    return score + torch.where(y > upper, 2 / alpha * (y - upper), 0.0)


def crps_gaussian(mu: Tensor, sigma: Tensor, y: Tensor) -> Tensor:
    standard = Normal(torch.zeros(()).double(), 1.0)
    w = (y - mu) / sigma
    return sigma * (w * (2 * standard.cdf(w) - 1) + 2 * torch.exp(standard.log_prob(w)) - 1 / math.sqrt(math.pi))


def crps_logistic(mu: Tensor, s: Tensor, y: Tensor) -> Tensor:
    w = (y - mu) / s
    return s * (w - 2 * F.logsigmoid(w) - 1)


def crps_laplace(mu: Tensor, b: Tensor, y: Tensor) -> Tensor:
    distance = (y - mu).abs()
    return distance + b * torch.exp(-distance / b) - 3 * b / 4


def dawid_sebastiani(mu: Tensor, sigma: Tensor, y: Tensor) -> Tensor:
    return -2 * Normal(mu, sigma).log_prob(y) - math.log(2 * math.pi)

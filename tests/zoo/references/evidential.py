"""Losses of models that predict a distribution over predictions, by torch.distributions."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import Dirichlet, kl_divergence
from torch.nn import functional as F


def _label(e: Tensor, t: Tensor) -> Tensor:
    return F.one_hot(t, e.shape[1]).to(e)


def evidential_penalty(e: Tensor, t: Tensor) -> Tensor:
    y = _label(e, t)
    alpha = y + (1 - y) * (e + 1)
    return kl_divergence(Dirichlet(alpha), Dirichlet(torch.ones_like(alpha)))


def evidential_likelihood(e: Tensor, t: Tensor) -> Tensor:
    alpha = e + 1
    return (_label(e, t) * (torch.log(alpha.sum(1, keepdim=True)) - torch.log(alpha))).sum(1)


def evidential_cross_entropy(e: Tensor, t: Tensor) -> Tensor:
    alpha = e + 1
    return (_label(e, t) * (torch.digamma(alpha.sum(1, keepdim=True)) - torch.digamma(alpha))).sum(1)


def evidential_square(e: Tensor, t: Tensor) -> Tensor:
    law = Dirichlet(e + 1)
    return ((_label(e, t) - law.mean) ** 2 + law.variance).sum(1)


def evidential_regression(mu: Tensor, nu: Tensor, alpha: Tensor, beta: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    omega = 2 * beta * (1 + nu)
    likelihood = torch.log(math.pi / nu) / 2 - alpha * torch.log(omega)
    likelihood = likelihood + (alpha + 0.5) * torch.log((y - mu) ** 2 * nu + omega)
    likelihood = likelihood + torch.lgamma(alpha) - torch.lgamma(alpha + 0.5)
    return likelihood + weight * (y - mu).abs() * (2 * nu + alpha)


def dirichlet_nll(a: Tensor, y: Tensor) -> Tensor:
    return -Dirichlet(a, validate_args=False).log_prob(y)


def dirichlet_kl(a: Tensor, b: Tensor) -> Tensor:
    return kl_divergence(Dirichlet(a), Dirichlet(b))

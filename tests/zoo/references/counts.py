"""Losses of positive numbers and counts, by the densities of torch.distributions where it has them."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import Gamma, LogNormal, NegativeBinomial
from torch.nn import functional as F


def poisson_deviance(mu: Tensor, y: Tensor) -> Tensor:
    own = torch.where(y > 0, y * torch.log(torch.where(y > 0, y, 1.0)), 0.0)
    return 2 * (own - y * torch.log(mu) - (y - mu))


def gamma_deviance(mu: Tensor, y: Tensor) -> Tensor:
    return 2 * (torch.log(mu / y) + y / mu - 1)


def itakura_saito(mu: Tensor, y: Tensor) -> Tensor:
    return y / mu - torch.log(y / mu) - 1


def inverse_gaussian_deviance(mu: Tensor, y: Tensor) -> Tensor:
    return (y - mu) ** 2 / (y * mu**2)


def tweedie(mu: Tensor, y: Tensor, power: Tensor) -> Tensor:
    a, b = 1 - power, 2 - power
    return 2 * (y**b / (a * b) - y * mu**a / a + mu**b / b)


def gamma_nll(mu: Tensor, y: Tensor, shape: Tensor) -> Tensor:
    return -Gamma(shape, shape / mu).log_prob(y)


def inverse_gaussian_nll(mu: Tensor, y: Tensor, shape: Tensor) -> Tensor:
    density = torch.log(shape / (2 * math.pi * y**3)) / 2
    return -density + shape * (y - mu) ** 2 / (2 * mu**2 * y)


def negative_binomial(mu: Tensor, r: Tensor, y: Tensor) -> Tensor:
    law = NegativeBinomial(r, logits=torch.log(mu) - torch.log(r), validate_args=False)
    return -law.log_prob(y)


def zero_inflated_poisson(mu: Tensor, z: Tensor, y: Tensor) -> Tensor:
    extra, ordinary = F.logsigmoid(z), F.logsigmoid(-z)
    nothing = torch.logaddexp(extra, ordinary - mu)
    return -torch.where(y == 0, nothing, ordinary + y * torch.log(mu) - mu - torch.lgamma(y + 1))


def zero_inflated_lognormal(z: Tensor, mu: Tensor, sigma: Tensor, y: Tensor) -> Tensor:
    positive = y > 0
    paid = F.binary_cross_entropy_with_logits(z, positive.to(z), reduction="none")
    density = LogNormal(mu, sigma).log_prob(torch.where(positive, y, 1.0))
    return paid - torch.where(positive, density, 0.0)

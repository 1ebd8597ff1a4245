"""Negative log-likelihoods by the densities of torch.distributions."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import Categorical, Laplace, MixtureSameFamily, Normal, StudentT


def laplace_nll(mu: Tensor, b: Tensor, y: Tensor) -> Tensor:
    return -Laplace(mu, b).log_prob(y)


def student_t_nll(mu: Tensor, scale: Tensor, y: Tensor, df: Tensor) -> Tensor:
    return -StudentT(df.expand_as(mu), mu, scale).log_prob(y)


def beta_nll(mu: Tensor, v: Tensor, y: Tensor, beta: Tensor) -> Tensor:
    nll = -Normal(mu, torch.sqrt(v)).log_prob(y) - math.log(2 * math.pi) / 2
    return v.detach() ** beta.detach() * nll


def weibull_survival(scale: Tensor, shape: Tensor, y: Tensor, seen: Tensor) -> Tensor:
    hazard = (shape / scale) * (y / scale) ** (shape - 1)
    survival = -((y / scale) ** shape)
    return -(survival + torch.where(seen, torch.log(hazard), 0.0))


def mixture_density(z: Tensor, mu: Tensor, sigma: Tensor, y: Tensor) -> Tensor:
    return -MixtureSameFamily(Categorical(logits=z), Normal(mu, sigma)).log_prob(y)

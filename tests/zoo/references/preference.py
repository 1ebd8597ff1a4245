"""Losses that teach a language model from pairs of answers, as their papers write them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def dpo(chosen: Tensor, rejected: Tensor, beta: Tensor) -> Tensor:
    return -F.logsigmoid(beta * chosen - beta * rejected)


def conservative_dpo(chosen: Tensor, rejected: Tensor, beta: Tensor, epsilon: Tensor) -> Tensor:
    h = beta * (chosen - rejected)
    return -(1 - epsilon) * F.logsigmoid(h) - epsilon * F.logsigmoid(-h)


def robust_dpo(chosen: Tensor, rejected: Tensor, beta: Tensor, epsilon: Tensor) -> Tensor:
    h = beta * (chosen - rejected)
    return (-(1 - epsilon) * F.logsigmoid(h) + epsilon * F.logsigmoid(-h)) / (1 - 2 * epsilon)


def ipo(chosen: Tensor, rejected: Tensor, tau: Tensor) -> Tensor:
    return (chosen - rejected - 0.5 / tau) ** 2


def simpo(chosen: Tensor, rejected: Tensor, beta: Tensor, gamma: Tensor) -> Tensor:
    return -F.logsigmoid(beta * chosen - beta * rejected - gamma)


def kto(ratio: Tensor, liked: Tensor, beta: Tensor, divergence: Tensor, like: Tensor, dislike: Tensor) -> Tensor:
    desirable = like - like * torch.sigmoid(beta * (ratio - divergence))
    undesirable = dislike - dislike * torch.sigmoid(beta * (divergence - ratio))
    return torch.where(liked, desirable, undesirable)


def slic(chosen: Tensor, rejected: Tensor, model: Tensor, delta: Tensor, weight: Tensor) -> Tensor:
    return torch.clamp(delta - chosen + rejected, min=0) - weight * model


def rso_hinge(chosen: Tensor, rejected: Tensor, beta: Tensor) -> Tensor:
    return torch.clamp(1 - beta * (chosen - rejected), min=0)


def orpo(chosen: Tensor, rejected: Tensor, weight: Tensor) -> Tensor:
    def log_odds(log_p: Tensor) -> Tensor:
        return log_p - torch.log(-torch.expm1(log_p))

    return -chosen - weight * F.logsigmoid(log_odds(chosen) - log_odds(rejected))


def cpo(chosen: Tensor, rejected: Tensor, beta: Tensor, weight: Tensor) -> Tensor:
    return -F.logsigmoid(beta * (chosen - rejected)) - weight * chosen


def dpo_positive(chosen: Tensor, rejected: Tensor, beta: Tensor, weight: Tensor) -> Tensor:
    penalty = weight * torch.clamp(-chosen, min=0)
    return -F.logsigmoid(beta * (chosen - rejected - penalty))


def sppo(chosen: Tensor, rejected: Tensor, beta: Tensor) -> Tensor:
    return (chosen - 0.5 / beta) ** 2 + (rejected + 0.5 / beta) ** 2


def lrml(chosen: Tensor, rejected: Tensor, beta: Tensor, tau: Tensor) -> Tensor:
    h = beta * (chosen - rejected)
    modulation = torch.sigmoid(h / tau)
    logistic, exponential = -F.logsigmoid(h), torch.exp(-h)
    return (1 - modulation) * logistic + modulation * exponential


def reward_margin(chosen: Tensor, rejected: Tensor, margin: Tensor) -> Tensor:
    return -F.logsigmoid(chosen - rejected - margin)


def ppo(ratio: Tensor, advantage: Tensor, epsilon: Tensor) -> Tensor:
    clipped = torch.clamp(ratio, 1 - epsilon, 1 + epsilon)
    return -torch.minimum(ratio * advantage, clipped * advantage)

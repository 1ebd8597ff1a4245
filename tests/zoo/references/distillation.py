"""Losses of a student that learns from a teacher, as their papers write them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def distillation(z: Tensor, v: Tensor, temperature: Tensor) -> Tensor:
    log_p, target = F.log_softmax(z / temperature, 1), F.log_softmax(v / temperature, 1)
    return temperature**2 * F.kl_div(log_p, target, reduction="none", log_target=True).sum(1)


def labelled_distillation(z: Tensor, v: Tensor, t: Tensor, alpha: Tensor, temperature: Tensor) -> Tensor:
    return alpha * distillation(z, v, temperature) + (1 - alpha) * F.cross_entropy(z, t, reduction="none")


def _without(row: Tensor, k: int) -> Tensor:
    return torch.cat([row[:k], row[k + 1 :]])


def _kl(student: Tensor, teacher: Tensor) -> Tensor:
    log_p, target = F.log_softmax(student, 0), F.log_softmax(teacher, 0)
    return F.kl_div(log_p, target, reduction="sum", log_target=True)


def decoupled_distillation(z: Tensor, v: Tensor, t: Tensor, alpha: Tensor, beta: Tensor, temperature: Tensor) -> Tensor:
    rows = []
    for student, teacher, k in zip(z / temperature, v / temperature, t.tolist()):
        if len(student) == 1:
            rows.append(0 * (student + teacher)[0])
            continue
        pairs = [torch.stack([r[k], torch.logsumexp(_without(r, k), 0)]) for r in (student, teacher)]
        others = [_without(r, k) for r in (student, teacher)]
        rows.append(alpha * _kl(*pairs) + beta * _kl(*others))
    return temperature**2 * torch.stack(rows)


def skew_kl(z: Tensor, v: Tensor, alpha: Tensor) -> Tensor:
    p = torch.softmax(v, 1)
    mixture = alpha * p + (1 - alpha) * torch.softmax(z, 1)
    return (p * (torch.log_softmax(v, 1) - torch.log(mixture.clamp(min=1e-300)))).sum(1)


def standardised_distillation(z: Tensor, v: Tensor, temperature: Tensor) -> Tensor:
    def standard(x: Tensor) -> Tensor:
        centred = x - x.mean(1, keepdim=True)
        return centred / torch.sqrt((centred**2).mean(1, keepdim=True).clamp(min=1e-14))

    return distillation(standard(z), standard(v), temperature)


def logit_regression(z: Tensor, v: Tensor) -> Tensor:
    return F.mse_loss(z, v, reduction="none").sum(1) / 2

"""Losses of an anchor's similarities, as their papers write them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Categorical
from torch.nn import functional as F


def info_nce(s: Tensor, t: Tensor, temperature: Tensor) -> Tensor:
    return -Categorical(logits=s / temperature).log_prob(t)


def nt_xent(s: Tensor, t: Tensor, anchor: Tensor, temperature: Tensor) -> Tensor:
    """NaN where the anchor is its own partner: the paper has no such pair."""
    rows = []
    for row, k, i in zip(s / temperature, t.tolist(), anchor.tolist()):
        others = [value for place, value in enumerate(row) if place != i]
        rows.append(row.sum() * torch.nan if k == i else torch.logsumexp(torch.stack(others), 0) - row[k])
    return torch.stack(rows)


def sup_con(s: Tensor, y: Tensor, temperature: Tensor) -> Tensor:
    log_p = F.log_softmax(s / temperature, 1)
    rows = [-row[there].mean() if there.any() else 0 * row.sum() for row, there in zip(log_p, y)]
    return torch.stack(rows)


def decoupled_contrastive(s: Tensor, t: Tensor, temperature: Tensor) -> Tensor:
    """NaN for a single candidate, which has no others."""
    rows = []
    for row, k in zip(s / temperature, t.tolist()):
        others = torch.cat([row[:k], row[k + 1 :]])
        rows.append(torch.logsumexp(others, 0) - row[k] if len(others) else row.sum() * torch.nan)
    return torch.stack(rows)


def siglip(s: Tensor, t: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    label = 2 * F.one_hot(t, s.shape[1]) - 1
    return -F.logsigmoid(label * (scale * s + bias)).sum(1)


def list_net(s: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(s, torch.softmax(y, 1), reduction="none")


def rank_net(a: Tensor, b: Tensor, y: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(a - b, y, reduction="none")

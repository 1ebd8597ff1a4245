"""Losses for classes of very different size, as their papers write them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def ldam(z: Tensor, t: Tensor, n: Tensor, max_margin: Tensor, scale: Tensor) -> Tensor:
    margins = n**-0.25
    margins = margins * (max_margin / margins.max())
    moved = []
    for row, k in zip(z, t.tolist()):
        shift = torch.zeros(len(row)).double()
        shift[k] = 1
        moved.append(row - shift * margins[k])
    return F.cross_entropy(scale * torch.stack(moved), t, reduction="none")


def logit_adjusted(z: Tensor, t: Tensor, n: Tensor, tau: Tensor) -> Tensor:
    prior = n / n.sum()
    return F.cross_entropy(z + tau * torch.log(prior), t, reduction="none")


def balanced_softmax(z: Tensor, t: Tensor, n: Tensor) -> Tensor:
    shifted = torch.exp(z - z.amax(1, keepdim=True).detach())
    p = n * shifted / (n * shifted).sum(1, keepdim=True)
    return -torch.log(p.gather(1, t[:, None])[:, 0])


def _class_weight(t: Tensor, n: Tensor, beta: Tensor) -> Tensor:
    effective = torch.stack([(1 - beta**count) / (1 - beta) for count in n])
    return 1 / effective[t]


def class_balanced(z: Tensor, t: Tensor, n: Tensor, beta: Tensor) -> Tensor:
    return _class_weight(t, n, beta) * F.cross_entropy(z, t, reduction="none")


def class_balanced_focal(z: Tensor, t: Tensor, n: Tensor, beta: Tensor, gamma: Tensor) -> Tensor:
    label = F.one_hot(t, z.shape[1]).to(z)
    bce = F.binary_cross_entropy_with_logits(z, label, reduction="none")
    return _class_weight(t, n, beta) * ((1 - torch.exp(-bce)) ** gamma * bce).sum(1)


def vector_scaling(z: Tensor, t: Tensor, n: Tensor, gamma: Tensor, tau: Tensor) -> Tensor:
    return F.cross_entropy((n / n.max()) ** gamma * z + tau * torch.log(n / n.sum()), t, reduction="none")


def seesaw(z: Tensor, t: Tensor, n: Tensor, p: Tensor, q: Tensor) -> Tensor:
    log_prediction = torch.log_softmax(z.detach(), 1)
    rows = []
    for row, log_p, k in zip(z, log_prediction, t.tolist()):
        terms = []
        for j in range(len(row)):
            mitigation = torch.minimum(n[j] / n[k], n.new_ones(())) ** p  # at a tie half the slope, as with min
            compensation = q * torch.clamp(log_p[j] - log_p[k], min=0)
            terms.append(row[j] if j == k else row[j] + torch.log(mitigation) + compensation)
        rows.append(torch.logsumexp(torch.stack(terms), 0) - row[k])
    return torch.stack(rows)

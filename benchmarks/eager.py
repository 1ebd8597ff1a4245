"""Losses in plain PyTorch, the best we know, on logits (N, C): the mean over the batch.

`F.cross_entropy` and its like where PyTorch has them, otherwise by hand, with every simplification that a careful
author would make. Constants are tensors: floats would be baked into a compiled function, which in torch 2.13 is a
stale function once they change. In another dtype the same functions are the truth that contenders are compared with.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

import glo_dsl as glo

Function = Callable[..., Tensor]
Outcome = tuple[Tensor, Tensor]
"""A value, and its gradient by the prediction."""


def _nll(z: Tensor, t: Tensor) -> Tensor:
    return F.cross_entropy(z, t, reduction="none")


def cross_entropy(z: Tensor, t: Tensor) -> Tensor:
    return F.cross_entropy(z, t)


def smoothed_cross_entropy(z: Tensor, t: Tensor, smoothing: Tensor) -> Tensor:
    log_y = F.log_softmax(z, 1)
    return -((1 - smoothing) * log_y.gather(1, t[:, None])[:, 0] + smoothing * log_y.mean(1)).mean()


def z_loss_cross_entropy(z: Tensor, t: Tensor, weight: Tensor) -> Tensor:
    lse = torch.logsumexp(z, 1)
    return (lse - z.gather(1, t[:, None])[:, 0] + weight * lse**2).mean()


def focal(z: Tensor, t: Tensor, gamma: Tensor) -> Tensor:
    nll = _nll(z, t)
    return ((1 - torch.exp(-nll)) ** gamma * nll).mean()


def poly1(z: Tensor, t: Tensor, epsilon: Tensor) -> Tensor:
    nll = _nll(z, t)
    return (nll + epsilon * (1 - torch.exp(-nll))).mean()


def gce(z: Tensor, t: Tensor, q: Tensor) -> Tensor:
    return ((1 - torch.exp(-q * _nll(z, t))) / q).mean()


def symmetric_cross_entropy(z: Tensor, t: Tensor, k: Tensor) -> Tensor:
    nll = _nll(z, t)
    return (k[0] * nll - k[1] * k[2] * (1 - torch.exp(-nll))).mean()


def brier(z: Tensor, t: Tensor) -> Tensor:
    y = F.softmax(z, 1)
    return (y.square().sum(1) - 2 * y.gather(1, t[:, None])[:, 0] + 1).mean()


def baikal(z: Tensor, t: Tensor) -> Tensor:
    log_y = F.log_softmax(z, 1)
    inverse = torch.exp(-log_y.gather(1, t[:, None])[:, 0])
    return (inverse / z.shape[1] - log_y.mean(1)).mean()


def taylor3(z: Tensor, t: Tensor, th: Tensor) -> Tensor:
    x = F.one_hot(t, z.shape[1]).to(z.dtype) - th[0]
    y = F.softmax(z, 1) - th[1]
    return -(y * (th[2] + x * (th[5] + th[7] * x) + y * (th[3] + th[6] * x + th[4] * y))).mean()


def forward_kl(z: Tensor, y: Tensor) -> Tensor:
    return F.kl_div(F.log_softmax(z, 1), F.log_softmax(y, 1), reduction="batchmean", log_target=True)


def jensen_shannon(z: Tensor, y: Tensor, beta: Tensor) -> Tensor:
    p, q = F.log_softmax(z, 1), F.log_softmax(y, 1)
    mixture = torch.logaddexp(p + torch.log1p(-beta), q + torch.log(beta))
    return ((1 - beta) * torch.exp(p) * (p - mixture) + beta * torch.exp(q) * (q - mixture)).sum(1).mean()


def huber(p: Tensor, y: Tensor) -> Tensor:
    return F.huber_loss(p, y, delta=1.0)


def mse(p: Tensor, y: Tensor) -> Tensor:
    return F.mse_loss(p, y)


EAGER: dict[str, Function] = {
    f.__name__: f
    for f in (
        cross_entropy, smoothed_cross_entropy, z_loss_cross_entropy, focal, poly1, gce, symmetric_cross_entropy, brier,
        baikal, taylor3, forward_kl, jensen_shannon, huber, mse,
    )
}  # fmt: skip
"""By the name that the loss has in the library."""

CONSTANTS = {
    "smoothed_cross_entropy": ["label_smoothing"], "z_loss_cross_entropy": ["weight"], "focal": ["gamma"],
    "poly1": ["epsilon"], "gce": ["q"], "symmetric_cross_entropy": ["alpha", "beta", "a"],
    "taylor3": [f"th{k}" for k in range(8)], "jensen_shannon": ["beta"],
}  # fmt: skip
"""The parameters of a loss that its PyTorch form takes, as one tensor. Huber's is the literal 1, to the advantage of
PyTorch."""


def constants(loss: glo.Loss, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu") -> list[Tensor]:
    """What the PyTorch form of a loss takes after the inputs: nothing, a scalar, or a vector of several constants."""
    values = [loss.defaults[name] for name in CONSTANTS.get(loss.name, ())]
    if not values:
        return []
    return [torch.tensor(values if len(values) > 1 else values[0], dtype=dtype, device=device)]


def differentiated(f: Function, x: Tensor, *rest: Tensor) -> Outcome:
    """One step by autograd; nothing is accumulated, every gradient is a new tensor."""
    x = x.detach().requires_grad_()
    loss = f(x, *rest)
    return loss.detach(), torch.autograd.grad(loss, x)[0]

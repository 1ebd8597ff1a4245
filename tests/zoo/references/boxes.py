"""Losses of two boxes, from their corners."""

from __future__ import annotations

import math

import torch
from torch import Tensor

Box = tuple[Tensor, Tensor, Tensor, Tensor]


def _corners(x: Tensor, y: Tensor, w: Tensor, h: Tensor) -> Box:
    return x - w / 2, y - h / 2, x + w / 2, y + h / 2


def _areas(p: Box, q: Box) -> tuple[Tensor, Tensor]:
    """Of intersection and union."""
    wide = torch.clamp(torch.minimum(p[2], q[2]) - torch.maximum(p[0], q[0]), min=0)
    high = torch.clamp(torch.minimum(p[3], q[3]) - torch.maximum(p[1], q[1]), min=0)
    each = [(box[2] - box[0]) * (box[3] - box[1]) for box in (p, q)]
    return wide * high, each[0] + each[1] - wide * high


def _enclosing(p: Box, q: Box) -> tuple[Tensor, Tensor]:
    """Width and height of the smallest box around both."""
    return (
        torch.maximum(p[2], q[2]) - torch.minimum(p[0], q[0]),
        torch.maximum(p[3], q[3]) - torch.minimum(p[1], q[1]),
    )


def iou(x: Tensor, y: Tensor, w: Tensor, h: Tensor, u: Tensor, v: Tensor, a: Tensor, b: Tensor) -> Tensor:
    both, either = _areas(_corners(x, y, w, h), _corners(u, v, a, b))
    return 1 - both / either


def giou(x: Tensor, y: Tensor, w: Tensor, h: Tensor, u: Tensor, v: Tensor, a: Tensor, b: Tensor) -> Tensor:
    p, q = _corners(x, y, w, h), _corners(u, v, a, b)
    (both, either), (wide, high) = _areas(p, q), _enclosing(p, q)
    return 1 - (both / either - (wide * high - either) / (wide * high))


def diou(x: Tensor, y: Tensor, w: Tensor, h: Tensor, u: Tensor, v: Tensor, a: Tensor, b: Tensor) -> Tensor:
    wide, high = _enclosing(_corners(x, y, w, h), _corners(u, v, a, b))
    centres = (x - u) ** 2 + (y - v) ** 2
    return iou(x, y, w, h, u, v, a, b) + centres / (wide**2 + high**2)


def ciou(x: Tensor, y: Tensor, w: Tensor, h: Tensor, u: Tensor, v: Tensor, a: Tensor, b: Tensor) -> Tensor:
    shape = 4 / math.pi**2 * (torch.arctan(a / b) - torch.arctan(w / h)) ** 2
    overlap = 1 - iou(x, y, w, h, u, v, a, b)
    alpha = (shape / ((1 - overlap) + shape).clamp(min=1e-30)).detach()
    return diou(x, y, w, h, u, v, a, b) + alpha * shape

"""The networks of the built-in tasks. All can be stacked by `torch.func`: no branch depends on data.

Batch normalisation keeps its running mean and variance in buffers. Stacked like the parameters, each network has its
own, and a pass in training mode updates them in place. Dropout needs `vmap(..., randomness="different")`.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


def perceptron(features: int, hidden: int, outputs: int) -> nn.Module:
    """One hidden layer of tanh units. [batch, features] to [batch, outputs].

    >>> import torch
    >>> perceptron(64, 32, 10)(torch.zeros(5, 64)).shape
    torch.Size([5, 10])
    """
    return nn.Sequential(nn.Linear(features, hidden), nn.Tanh(), nn.Linear(hidden, outputs))


def digits_cnn() -> nn.Module:
    """Two convolutions for images of 8 x 8. [batch, 1, 8, 8] to [batch, 10]."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(128, 10),
    )  # fmt: skip


def mnist_cnn() -> nn.Module:
    """The network of GLO (arXiv:1905.11528) for MNIST. [batch, 1, 28, 28] to [batch, 10]."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(7 * 7 * 64, 1024), nn.ReLU(), nn.Dropout(0.4), nn.Linear(1024, 10),
    )  # fmt: skip


def cifar_cnn() -> nn.Module:
    """The network of GLO for CIFAR-10. [batch, 3, 24, 24] to [batch, 10].

    The paper's alpha of 0.001 / 9 is for each of 9 channels; PyTorch takes their sum. `ceil_mode` lets a window hang
    over the lower right edge, as the padding "same" of TensorFlow does for these sizes.
    """
    return nn.Sequential(
        nn.Conv2d(3, 64, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True), _response_norm(),
        nn.Conv2d(64, 64, 5, padding=2), nn.ReLU(), _response_norm(), nn.MaxPool2d(3, 2, ceil_mode=True),
        nn.Flatten(), nn.Linear(6 * 6 * 64, 384), nn.ReLU(), nn.Linear(384, 192), nn.Linear(192, 10),
    )  # fmt: skip


def _response_norm() -> nn.Module:
    return nn.LocalResponseNorm(9, alpha=0.001, beta=0.75, k=1.0)


def all_cnn_c() -> nn.Module:
    """All-CNN-C as TaylorGLO's authors have it. [batch, 3, 32, 32] to [batch, 10], logits at least 0.

    It departs from Springenberg et al. (arXiv:1412.6806): no ReLU, but dropout, after the convolutions of stride 2; a
    ReLU on the logits; and of the last 8 x 8 map, the upper left 6 x 6 is averaged.
    """
    relu = nn.ReLU()
    return nn.Sequential(
        nn.Conv2d(3, 96, 3, padding=1), relu, nn.Conv2d(96, 96, 3, padding=1), relu,
        nn.Conv2d(96, 96, 3, stride=2, padding=1), nn.Dropout(0.5),
        nn.Conv2d(96, 192, 3, padding=1), relu, nn.Conv2d(192, 192, 3, padding=1), relu,
        nn.Conv2d(192, 192, 3, stride=2, padding=1), nn.Dropout(0.5),
        nn.Conv2d(192, 192, 3, padding=1), relu, nn.Conv2d(192, 192, 1), relu, nn.Conv2d(192, 10, 1), relu,
        nn.AvgPool2d(6, stride=10), nn.Flatten(),
    )  # fmt: skip


class Residual(nn.Module):
    """The block of ResNet for CIFAR; its shortcut has no weights: every second pixel, and zeros for new channels."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.first, self.first_norm = _convolution(channels, width, 3, stride), nn.BatchNorm2d(width)
        self.second, self.second_norm = _convolution(width, width, 3), nn.BatchNorm2d(width)
        self.stride, self.new = stride, width - channels

    def forward(self, x: Tensor) -> Tensor:
        inner = F.relu(self.first_norm(self.first(x)))
        shortcut = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.new // 2, self.new - self.new // 2))
        return F.relu(self.second_norm(self.second(inner)) + shortcut)


def resnet20() -> nn.Module:
    """ResNet-20 for CIFAR (He et al. 2015, arXiv:1512.03385, 4.2). [batch, 3, 32, 32] to [batch, 10]."""
    widths = (16, 16, 16, 32, 32, 32, 64, 64, 64)
    blocks = [Residual(a, b, stride=1 if a == b else 2) for a, b in zip((16, *widths), widths)]
    return nn.Sequential(
        _convolution(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), *blocks,
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip


class Wide(nn.Module):
    """The block of a wide residual network: normalise and rectify first, dropout between its convolutions."""

    def __init__(self, channels: int, width: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.first_norm, self.first = nn.BatchNorm2d(channels), _convolution(channels, width, 3, stride)
        self.second_norm, self.second = nn.BatchNorm2d(width), _convolution(width, width, 3)
        self.dropout = nn.Dropout(dropout)
        self.widen = _convolution(channels, width, 1, stride) if channels != width else None

    def forward(self, x: Tensor) -> Tensor:
        active = F.relu(self.first_norm(x))
        inner = self.dropout(F.relu(self.second_norm(self.first(active))))
        shortcut: Tensor = x if self.widen is None else self.widen(active)
        return shortcut + self.second(inner)  # type: ignore[no-any-return]


def wide_resnet_16_8() -> nn.Module:
    """WRN-16-8 with dropout 0.3 (Zagoruyko & Komodakis 2016, arXiv:1605.07146). [batch, 3, 32, 32] to [batch, 10]."""
    widths, strides = (128, 128, 256, 256, 512, 512), (1, 1, 2, 1, 2, 1)
    blocks = [Wide(a, b, stride, dropout=0.3) for a, b, stride in zip((16, *widths), widths, strides)]
    return nn.Sequential(
        _convolution(3, 16, 3), *blocks, nn.BatchNorm2d(512), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10),
    )  # fmt: skip


def _convolution(channels: int, width: int, size: int, stride: int = 1) -> nn.Conv2d:
    """Without a bias, which the normalisation after it would undo; He's weights, by the number of outgoing ones."""
    layer = nn.Conv2d(channels, width, size, stride, padding=size // 2, bias=False)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return layer


def parameters(network: nn.Module) -> int:
    """How many numbers training can change.

    >>> parameters(perceptron(64, 32, 10))
    2410
    """
    return sum(p.numel() for p in network.parameters() if p.requires_grad)

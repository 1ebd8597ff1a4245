"""Changes of training images, a batch at a time. All chance comes from a generator on the device of the images."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor


def crop_and_flip(images: Tensor, size: int, generator: Generator) -> Tensor:
    """A square of each image [batch, channels, height, width], anywhere in it, every second one mirrored.

    >>> crop_and_flip(torch.zeros(5, 3, 40, 40), 32, Generator()).shape
    torch.Size([5, 3, 32, 32])
    """
    batch, channels, height, width = images.shape
    top = _integers(batch, height - size + 1, generator)
    left = _integers(batch, width - size + 1, generator)
    mirrored = _integers(batch, 2, generator).bool()
    steps = torch.arange(size, device=images.device)
    rows = top[:, None] + steps
    columns = left[:, None] + torch.where(mirrored[:, None], steps.flip(0), steps)
    sample = torch.arange(batch, device=images.device)[:, None, None, None]
    channel = torch.arange(channels, device=images.device)[None, :, None, None]
    return images[sample, channel, rows[:, None, :, None], columns[:, None, None, :]]


def central(images: Tensor, size: int) -> Tensor:
    """The square in the middle of each image."""
    top, left = ((side - size) // 2 for side in images.shape[-2:])
    return images[..., top : top + size, left : left + size]


def standardised(images: Tensor) -> Tensor:
    """Each image with mean 0 and standard deviation 1 over all its numbers; one of a single colour becomes 0."""
    axes = (-3, -2, -1)
    centred = images - images.mean(axes, keepdim=True)
    least = 1 / math.sqrt(images[0].numel())
    return centred / centred.square().mean(axes, keepdim=True).sqrt().clamp_min(least)


@dataclass(frozen=True)
class Jitter:
    """GLO's training images of CIFAR-10: a crop, mirrored or not, other brightness and contrast, standardised.

    Attributes:
        brightness: added to all numbers of an image, up to so much either way.
        contrast: least and largest factor of the distances from a channel's mean.
    """

    size: int = 24
    brightness: float = 63 / 255
    contrast: tuple[float, float] = (0.2, 1.8)

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        """[batch, channels, height, width] in [0, 1] to [batch, channels, size, size]."""
        cropped = crop_and_flip(images, self.size, generator)
        lighter = cropped + _uniform(len(images), -self.brightness, self.brightness, generator)
        middle = lighter.mean((-2, -1), keepdim=True)
        return standardised((lighter - middle) * _uniform(len(images), *self.contrast, generator) + middle)


@dataclass(frozen=True)
class Shift:
    """Moved by up to `padding` pixels, with black where there was nothing; mirrored or not; normalised by channel."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    padding: int = 4

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        """[batch, channels, size, size] in [0, 1] to the same shape."""
        padded = F.pad(images, (self.padding,) * 4)
        return self.normalised(crop_and_flip(padded, images.shape[-1], generator))

    def normalised(self, images: Tensor) -> Tensor:
        """What validation and test images get: no chance in it."""
        mean, deviation = (images.new_tensor(v)[:, None, None] for v in (self.mean, self.deviation))
        return (images - mean) / deviation


def _integers(count: int, below: int, generator: Generator) -> Tensor:
    return torch.randint(below, (count,), generator=generator, device=generator.device)


def _uniform(count: int, low: float, high: float, generator: Generator) -> Tensor:
    """[count, 1, 1, 1]"""
    return torch.rand(count, 1, 1, 1, generator=generator, device=generator.device) * (high - low) + low

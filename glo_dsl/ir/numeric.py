"""Reference meaning of operators on float64 arrays where NumPy has no stable function of its own.

The class axis is the last one, and reductions keep it with length 1, so that rows broadcast.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

erf = np.vectorize(math.erf, otypes=[np.float64])


def sigmoid(a: Array) -> Array:
    e = np.exp(-np.abs(a))
    return np.where(a >= 0, 1 / (1 + e), e / (1 + e))


def softplus(a: Array) -> Array:
    return np.logaddexp(0.0, a)


def log_sigmoid(a: Array) -> Array:
    return -np.logaddexp(0.0, -a)


def power(a: Array, b: Array) -> Array:
    return np.power(np.asarray(a, dtype=np.float64), b)


def xlogy(a: Array, b: Array) -> Array:
    return np.where((a == 0) & ~np.isnan(b), 0.0, a * np.log(b))


def clamp(a: Array, lo: Array, hi: Array) -> Array:
    return np.minimum(np.maximum(a, lo), hi)


def total(a: Array) -> Array:
    return np.asarray(np.sum(a, axis=-1, keepdims=True))


def mean(a: Array) -> Array:
    return np.asarray(np.mean(a, axis=-1, keepdims=True))


def largest(a: Array) -> Array:
    return np.asarray(np.max(a, axis=-1, keepdims=True))


def smallest(a: Array) -> Array:
    return np.asarray(np.min(a, axis=-1, keepdims=True))


def logsumexp(a: Array) -> Array:
    return np.asarray(np.logaddexp.reduce(a, axis=-1, keepdims=True))


def log_softmax(a: Array) -> Array:
    return a - logsumexp(a)


def softmax(a: Array) -> Array:
    e = np.exp(a - largest(a))
    return np.asarray(e / total(e))


def gather(a: Array, t: Array) -> Array:
    """a: [..., C]; t: [..., 1] of class indices."""
    index = np.asarray(t, dtype=np.int64)
    return np.take_along_axis(np.broadcast_to(a, (*index.shape[:-1], a.shape[-1])), index, axis=-1)

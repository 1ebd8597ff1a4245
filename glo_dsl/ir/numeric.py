"""Reference meaning of operators on float64 arrays where NumPy has no stable function of its own.

The class axis is the last one, and reductions keep it with length 1, so that rows broadcast.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
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


BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798, -174611 / 330)
"""The Bernoulli numbers of even index from 2 on."""

ZETA_ABOVE_1 = (
    0.6449340668482264, 0.2020569031595943, 0.08232323371113819, 0.03692775514336993, 0.01734306198444914,
    0.008349277381922827, 0.00407735619794434, 0.0020083928260822143, 0.0009945751278180853, 0.0004941886041194645,
    0.0002460865533080483, 0.00012271334757848915, 6.124813505870483e-05, 3.058823630702049e-05,
    1.528225940865187e-05, 7.637197637899763e-06, 3.81729326499984e-06, 1.908212716553939e-06, 9.539620338727962e-07,
    4.769329867878064e-07, 2.38450502727733e-07, 1.1921992596531106e-07, 5.960818905125948e-08, 2.980350351465228e-08,
    1.4901554828365043e-08, 7.45071178983543e-09,
)  # fmt: skip
"""zeta(k) - 1 for k from 2 on: the Taylor coefficients of the gamma family around 2, up to sign and a factor in k."""

FAR = 10
"""Where the asymptotic series of the gamma family have 16 digits."""


def _at_least_0(a: Array) -> Array:
    """NaN below 0, and one zero: the gamma family has its poles' limits from above there."""
    return np.where(a >= 0, a + 0.0, np.nan)


def _polynomial(coefficients: Sequence[float], x: Array) -> Array:
    """Its value, the coefficients given from the lowest power up."""
    value = np.zeros_like(x)
    for coefficient in reversed(coefficients):
        value = value * x + coefficient
    return value


def lgamma(a: Array) -> Array:
    """log(gamma(a)) for a >= 0; the steps between a and its place around 2 are multiplied out under one logarithm."""
    a = _at_least_0(a)
    far = a >= FAR
    low, high = np.where(far, 2.0, a), np.where(far, a, FAR)
    whole = np.floor(low + 0.5)
    steps = np.where(whole < 1, low + 1, 1.0) * np.where(whole < 2, low, 1.0)
    for k in range(1, FAR - 1):
        steps = steps * np.where(whole > k + 1, low - k, 1.0)
    log = np.log(np.where(far, a, steps))
    around_2 = [1 - np.euler_gamma, *((-1) ** k * zeta / k for k, zeta in enumerate(ZETA_ABOVE_1, start=2))]
    near = (low - whole) * _polynomial(around_2, low - whole) + np.where(whole < 2, -log, log)
    stirling = [0.5 * np.log(2 * np.pi) - 0.5, *_odd(b / (2 * n * (2 * n - 1)) for n, b in enumerate(BERNOULLI, 1))]
    return np.where(far, (high - 0.5) * (log - 1) + _polynomial(stirling, 1 / high), near)


def _odd(coefficients: Iterable[float]) -> list[float]:
    """Coefficients of x, x^3 ... as those of x, x^2 ..."""
    return [part for coefficient in coefficients for part in (coefficient, 0.0)]


def digamma(a: Array) -> Array:
    """The derivative of lgamma: its asymptotic series, from FAR upwards by the recurrence."""
    a = _at_least_0(a)
    passed = sum(1 / (a + k) for k in reversed(range(FAR)))
    y = np.where(a < FAR, a + FAR, a)
    series = [0.0, 0.5, *_odd(b / (2 * n) for n, b in enumerate(BERNOULLI, 1))]
    return np.log(y) - _polynomial(series, 1 / y) - np.where(a < FAR, passed, 0.0)


def trigamma(a: Array) -> Array:
    """The derivative of digamma, likewise."""
    a = _at_least_0(a)
    passed = sum((1 / (a + k)) ** 2 for k in reversed(range(FAR)))
    y = np.where(a < FAR, a + FAR, a)
    return _polynomial([0.0, 1.0, 0.5, *_odd(BERNOULLI)], 1 / y) + np.where(a < FAR, passed, 0.0)


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

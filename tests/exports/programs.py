"""Losses that the tests of several exports try."""

from __future__ import annotations

import importlib.util

import pytest
from hypothesis import settings

import glo_dsl as glo

NIGHTLY = settings().max_examples > 1000
SAMPLE = list(glo.zoo)[:: 1 if NIGHTLY else 40]
"""Losses of the library: a few of them, all under HYPOTHESIS_PROFILE=nightly."""

NEEDS_JAX = pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="no jax here; make jax")

HOSTILE = (
    "loss lambda(jnp: real[C], sympy: class[C], import_: real, v0: bool[C], np: shared real[C], __debug__: real,"
    " literal: real; torch = 3, C_ = 2, dtype = 1.5, print = 0.5, self = 2, __class__ = 1, z1 = 1) ="
    " C_ * jnp[sympy] * import_ + literal * sum(if v0 then jnp * np else jnp) + dtype * torch * print * C"
    " + self * __class__ * __debug__ * z1"
)
"""Names that Python, the libraries or the texts have for themselves."""

"""Device functions that the operator table's Triton column calls, and which of them a kernel needs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from glo_codegen.triton_special import TRITON_SPECIAL

HELPERS: dict[str, str] = TRITON_SPECIAL | {
    "_max": '''
@triton.jit
def _max(x, y):
    """The larger one; NaN if either is NaN."""
    return tl.maximum(x, y, propagate_nan=tl.PropagateNan.ALL)
''',
    "_min": '''
@triton.jit
def _min(x, y):
    """The smaller one; NaN if either is NaN."""
    return tl.minimum(x, y, propagate_nan=tl.PropagateNan.ALL)
''',
    "_sign": '''
@triton.jit
def _sign(x):
    """-1, 0 or 1; NaN stays."""
    return tl.where(x > 0.0, 1.0, tl.where(x < 0.0, -1.0, x))
''',
    "_decay": '''
@triton.jit
def _decay(x):
    """exp(x) where x is at most 0. NVIDIA has one instruction for exp2; tl.exp takes six, to be exact below 1e-38."""
    return tl.exp2(x * 1.4426950408889634)
''',
    "_spread": '''
@triton.jit
def _spread(x, BLOCK: tl.constexpr):
    """[ROWS, PARTS] as [ROWS, BLOCK]: what is the same for some lanes, for each of them."""
    each: tl.constexpr = BLOCK // x.shape[1]
    return tl.reshape(tl.broadcast_to(x[:, :, None], [x.shape[0], x.shape[1], each]), [x.shape[0], BLOCK])
''',
    "_expm1": '''
@triton.jit
def _expm1(x):
    """exp(x) - 1. Near 0 by its series, whose first term that is left out is 6e-9 at 0.5."""
    tail = 1 / 120 + x * (1 / 720 + x * (1 / 5040 + x * (1 / 40320)))
    near = x + x * x * (1 / 2 + x * (1 / 6 + x * (1 / 24 + x * tail)))
    return tl.where(tl.abs(x) < 0.5, near, tl.exp(x) - 1.0)
''',
    "_log1p": '''
@triton.jit
def _log1p(x):
    """log(1 + x). By Kahan's trick: the rounding error of 1 + x cancels between log(u) and u - 1."""
    u = 1.0 + x
    by_ratio = tl.log(u) * (x / (u - 1.0))
    return tl.where(u == 1.0, x, tl.where(u == float("inf"), u, by_ratio))
''',
    "_tanh": '''
@triton.jit
def _tanh(x):
    """From expm1 of an argument that is never positive, which cannot overflow."""
    t = _expm1(-2.0 * tl.abs(x))
    size = -t / (t + 2.0)
    return tl.where(x < 0.0, -size, size)
''',
    "_sigmoid": '''
@triton.jit
def _sigmoid(x):
    """1 / (1 + exp(-x)) without overflow."""
    e = tl.exp(-tl.abs(x))
    return tl.where(x >= 0.0, 1.0, e) / (1.0 + e)
''',
    "_softplus": '''
@triton.jit
def _softplus(x):
    """log(1 + exp(x)) without overflow."""
    return _max(x, 0.0) + _log1p(tl.exp(-tl.abs(x)))
''',
    "_xlogy": '''
@triton.jit
def _xlogy(x, y):
    """x * log(y), and 0 where x is 0 unless y is NaN."""
    y = tl.cast(y, tl.float32)
    return tl.where(x == 0.0, tl.where(y == y, 0.0, y), x * tl.log(y))
''',
    "_pow": '''
@triton.jit
def _pow(x, y):
    """x to the power y: 1 for y = 0, exact for y = 1 and 2, NaN for a finite negative x unless y is an integer."""
    x = tl.cast(x, tl.float32)
    y = tl.cast(y, tl.float32)
    a = tl.abs(x)
    size = tl.exp2(y * tl.log2(a))
    size = tl.where(y == 2.0, a * a, tl.where(y == 1.0, a, size))
    size = tl.where(y == 0.0, 1.0, tl.where(a == 1.0, 1.0, size))
    whole = tl.floor(y) == y
    odd = whole & (2.0 * tl.floor(0.5 * y) != y)
    signed = tl.where(odd, -size, size)
    below = tl.where(whole, signed, tl.where(a == float("inf"), signed, float("nan")))
    return tl.where(x < 0.0, below, size)
''',
}
"""Text by name; a function stands after those that it calls.

Arguments are float32 tiles, scalars or literals. Conditions nest in `tl.where` rather than meet in `&`: when one is a
scalar and the other a tile, Triton's interpreter takes the scalar for a float.
"""


def helpers_of(spellings: Iterable[str]) -> Iterator[str]:
    """Texts of the helpers that `spellings` call, directly or through one another, in an order that works.

    >>> [text.splitlines()[2] for text in helpers_of(["_softplus({0})"])]
    ['def _max(x, y):', 'def _log1p(x):', 'def _softplus(x):']
    """
    needed: set[str] = set()
    queue = list(spellings)
    while queue:
        called = _called(queue.pop()) - needed
        needed |= called
        queue.extend(HELPERS[name] for name in called)
    return (text for name, text in HELPERS.items() if name in needed)


def _called(text: str) -> set[str]:
    return set(re.findall(r"\b_\w+", text)) & HELPERS.keys()

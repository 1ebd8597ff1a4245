"""The gamma family and atan as Triton device functions in float32; the method is that of `c_special`."""

from __future__ import annotations

from glo_codegen.polynomials import ATAN, DIGAMMA, LGAMMA, LOG_LESS_DIGAMMA, STIRLING, TRIGAMMA, Polynomial, horner


def _polynomial(out: str, of: Polynomial, variable: str) -> str:
    return "\n    ".join(horner(out, of.single, variable))


TRITON_SPECIAL: dict[str, str] = {
    "_lgamma": f'''
@triton.jit
def _lgamma(x):
    """log(gamma(x)): below 7.5 from around 2 by the recurrence, then by Stirling's series. NaN below 0."""
    x = tl.cast(x, tl.float32)
    n = tl.floor(x + 0.5)
    w = x - n
    steps = tl.where(n < 1.0, x + 1.0, 1.0) * tl.where(n < 2.0, x, 1.0)
    steps = steps * tl.where(n > 2.0, x - 1.0, 1.0) * tl.where(n > 3.0, x - 2.0, 1.0)
    steps = steps * tl.where(n > 4.0, x - 3.0, 1.0) * tl.where(n > 5.0, x - 4.0, 1.0) * tl.where(n > 6.0, x - 5.0, 1.0)
    log = tl.log(tl.where(n > 7.0, x, steps))
    {_polynomial("p", LGAMMA, "w")}
    near = w * p + tl.where(n < 2.0, -log, log)
    r = 1.0 / x
    u = r * r
    {_polynomial("q", STIRLING, "u")}
    far = (x - 0.5) * (log - 1.0) + (0.4189385332 + r * q)
    return tl.where(x < 0.0, float("nan"), tl.where(n > 7.0, far, near))
''',
    "_digamma_step": '''
@triton.jit
def _digamma_step(top, below, taken, factor):
    """The fraction top / below, and 1 / factor added to it if taken."""
    return tl.where(taken, top * factor + below, top), tl.where(taken, below * factor, below)
''',
    "_digamma": f'''
@triton.jit
def _digamma(x):
    """The derivative of lgamma, likewise; the steps of the recurrence are summed as one fraction."""
    x = tl.cast(x, tl.float32)
    n = tl.floor(x + 0.5)
    w = x - n
    top, below = _digamma_step(0.0, 1.0, n < 1.0, x + 1.0)
    top, below = _digamma_step(top, below, n < 2.0, x)
    top, below = _digamma_step(top, below, n > 2.0, x - 1.0)
    top, below = _digamma_step(top, below, n > 3.0, x - 2.0)
    top, below = _digamma_step(top, below, n > 4.0, x - 3.0)
    top, below = _digamma_step(top, below, n > 5.0, x - 4.0)
    top, below = _digamma_step(top, below, n > 6.0, x - 5.0)
    {_polynomial("p", DIGAMMA, "w")}
    near = p + tl.where(n < 2.0, -top, top) / below
    r = 1.0 / x
    u = r * r
    {_polynomial("q", LOG_LESS_DIGAMMA, "u")}
    far = tl.log(x) - r * (0.5 + r * q)
    y = tl.where(x == 0.0, float("-inf"), tl.where(n > 7.0, far, near))
    return tl.where(x < 0.0, float("nan"), y)
''',
    "_trigamma": f'''
@triton.jit
def _trigamma(x):
    """The derivative of digamma: its asymptotic series, below 4 from x + 4 down by the recurrence."""
    x = tl.cast(x, tl.float32)
    low = x < 4.0
    r = 1.0 / x
    s = 1.0 / tl.where(low, x + 4.0, x)
    a = (x + 1.0) * (x + 1.0)
    b = (x + 2.0) * (x + 2.0)
    c = (x + 3.0) * (x + 3.0)
    passed = ((b + a) * c + a * b) / (a * b * c) + r * r
    u = s * s
    {_polynomial("p", TRIGAMMA, "u")}
    far = s + u * (0.5 + s * p)
    return tl.where(x < 0.0, float("nan"), tl.where(low, far + passed, far))
''',
    "_atan": f'''
@triton.jit
def _atan(x):
    """atan(x) = pi/2 + atan(-1/x) = pi/4 + atan((x - 1) / (x + 1)) for x > 0, and odd."""
    x = tl.cast(x, tl.float32)
    a = tl.abs(x)
    high = a > 2.4142135624
    middle = a > 0.4142135624
    top = tl.where(high, -1.0, tl.where(middle, a - 1.0, a))
    t = top / tl.where(high, a, tl.where(middle, a + 1.0, 1.0))
    u = t * t
    {_polynomial("p", ATAN, "u")}
    y = tl.where(high, 1.5707963268, tl.where(middle, 0.7853981634, 0.0)) + (t + t * (u * p))
    return tl.where(x < 0.0, -y, y)
''',
}  # fmt: skip
"""Text by name; a function stands after those that it calls."""

"""The gamma family and atan in C, without branches, for the preamble of every translation unit.

Below 7.5 the gamma functions are known between 1.5 and 2.5 and carried from there by their recurrence, whose steps are
multiplied out; from there on the series of Stirling holds. At 0 they are the limit from above, below 0 NaN.
"""

from __future__ import annotations

from collections.abc import Sequence

from glo_codegen.polynomials import ATAN, DIGAMMA, LGAMMA, LOG_LESS_DIGAMMA, STIRLING, TRIGAMMA, Polynomial, horner

STEPS = (("n < 1", "x + 1"), ("n < 2", "x"), *((f"n > {k + 1}", f"x - {k}") for k in range(1, 6)))
"""Between x and its place in [1.5, 2.5): when a step is taken, and the factor that it gives. `n` is x rounded."""


def _polynomial(name: str, of: Polynomial) -> str:
    return "\n".join([
        f"// {of.about}", f"INLINE real {name}(real u) {{", "    real p;", "#ifdef GLO_DOUBLE",
        *_wrapped(list(horner("p", of.double, "u"))), "#else",
        *_wrapped(list(horner("p", of.single, "u", "{!r}f"))), "#endif", "    return p;", "}", "",
    ])  # fmt: skip


def _wrapped(statements: Sequence[str]) -> list[str]:
    """Three statements to a line."""
    return ["    " + "; ".join(statements[at : at + 3]) + ";" for at in range(0, len(statements), 3)]


def _factors() -> str:
    return "\n".join(f"    const real f{k} = {when} ? {factor} : 1;" for k, (when, factor) in enumerate(STEPS))


def _fraction() -> str:
    """The sum of the reciprocals of the factors as one fraction, without their ones."""
    return "\n".join(
        f"    top = top * f{k} + ({when} ? below : 0); below *= f{k};" for k, (when, _) in enumerate(STEPS)
    )


C_SPECIAL = f"""
{_polynomial("lgamma_near_2", LGAMMA)}
{_polynomial("digamma_near_2", DIGAMMA)}
{_polynomial("stirling", STIRLING)}
{_polynomial("log_less_digamma", LOG_LESS_DIGAMMA)}
{_polynomial("trigamma_far", TRIGAMMA)}
{_polynomial("atan_near_0", ATAN)}
INLINE real real_lgamma(real x) {{
    const real n = real_floor(x + R(0.5)), w = x - n, r = R(1) / x;
{_factors()}
    const real l = real_log(n > 7 ? x : {" * ".join(f"f{k}" for k in range(len(STEPS)))});
    const real near = w * lgamma_near_2(w) + (n < 2 ? -l : l);
    const real far = (x - R(0.5)) * (l - R(1)) + (R(0.41893853320467274) + r * stirling(r * r));
    return x < 0 ? R(NAN) : n > 7 ? far : near;
}}

INLINE real real_digamma(real x) {{
    const real n = real_floor(x + R(0.5)), w = x - n, r = R(1) / x;
{_factors()}
    real top = 0, below = 1;
{_fraction()}
    const real near = digamma_near_2(w) + (n < 2 ? -top : top) / below;
    const real far = real_log(x) - r * (R(0.5) + r * log_less_digamma(r * r));
    const real y = x == 0 ? R(-INFINITY) : n > 7 ? far : near;
    return x < 0 ? R(NAN) : y;
}}

// From x + SHIFT down: a sum of positive terms. The first one alone may be infinite.
INLINE real real_trigamma(real x) {{
#ifdef GLO_DOUBLE
    enum {{ SHIFT = 8 }};
#else
    enum {{ SHIFT = 4 }};
#endif
    const int low = x < SHIFT;
    const real r = R(1) / x, s = R(1) / (low ? x + SHIFT : x);
    real top = 1, below = (x + 1) * (x + 1), f;
    f = (x + 2) * (x + 2); top = top * f + below; below *= f;
    f = (x + 3) * (x + 3); top = top * f + below; below *= f;
#ifdef GLO_DOUBLE
    f = (x + 4) * (x + 4); top = top * f + below; below *= f;
    f = (x + 5) * (x + 5); top = top * f + below; below *= f;
    f = (x + 6) * (x + 6); top = top * f + below; below *= f;
    f = (x + 7) * (x + 7); top = top * f + below; below *= f;
#endif
    const real far = s + s * s * (R(0.5) + s * trigamma_far(s * s)), passed = top / below + r * r;
    return x < 0 ? R(NAN) : low ? far + passed : far;
}}

// |x| is brought below tan(pi/8) by atan(x) = pi/2 + atan(-1/x) = pi/4 + atan((x - 1) / (x + 1)).
INLINE real real_atan(real x) {{
    const real a = real_abs(x);
    const int high = a > R(2.414213562373095), middle = a > R(0.41421356237309503);
    const real t = (high ? R(-1) : middle ? a - R(1) : a) / (high ? a : middle ? a + R(1) : R(1)), u = t * t;
    const real base = high ? R(1.5707963267948966) : middle ? R(0.7853981633974483) : R(0);
#ifdef GLO_DOUBLE
    const real rest = high ? R(6.123233995736766e-17) : middle ? R(3.061616997868383e-17) : R(0);
#else
    const real rest = high ? R(-4.371139e-8) : middle ? R(-2.1855695e-8) : R(0);
#endif
    const real y = base + (t + (t * (u * atan_near_0(u)) + rest));
    return LIBM(copysign)(y, x);
}}
"""

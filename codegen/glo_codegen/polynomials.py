"""Polynomials inside the special functions, said once for the targets that compute these functions themselves.

Coefficients stand from the lowest power up, for float64 and for float32. They interpolate at the Chebyshev nodes of the
interval; what they miss is less than half the rounding of the value they enter into.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Polynomial:
    """What it stands for, and its coefficients in both precisions."""

    about: str
    double: tuple[float, ...]
    single: tuple[float, ...]


LGAMMA = Polynomial(
    "lgamma(2 + w) / w for |w| <= 1/2",
    (
        0.42278433509846713, 0.3224670334241132, -0.06735230105319563, 0.02058080842778338, -0.007385551028935545,
        0.002890510330865901, -0.0011927539009983087, 0.0005096695196526673, -0.00022315497746292723,
        9.945761692157133e-05, -4.4923727564247656e-05, 2.050601970174762e-05, -9.45628851510172e-06,
        4.3828545383846665e-06, -1.9743106888421067e-06, 9.242852225162277e-07, -5.811277768921246e-07,
        2.7475390051909663e-07,
    ),
    (
        0.42278433, 0.32246703, -0.06735326, 0.02058124, -0.0073664216, 0.0028819656, -0.0013125624, 0.0005631592,
    ),
)  # fmt: skip

DIGAMMA = Polynomial(
    "digamma(2 + w) for |w| <= 1/2",
    (
        0.42278433509846713, 0.6449340668482267, -0.20205690315959446, 0.08232323371105249, -0.03692775514332708,
        0.017343061990467628, -0.008349277384931816, 0.00407735600617157, -0.002008392730204003,
        0.0009945784300194591, -0.0004941902550788927, 0.00024605326824719294, -0.0001226967064798969,
        6.144972571559871e-05, -3.068902288655258e-05, 1.4564976260589657e-05, -7.278587670411483e-06,
        5.17334585434095e-06, -2.5861773625857027e-06,
    ),
    (
        0.42278433, 0.64493394, -0.20205683, 0.0823316, -0.036931913, 0.01722416, -0.00829017, 0.004693111,
        -0.002314455,
    ),
)  # fmt: skip

STIRLING = Polynomial(
    "(lgamma(x) - (x - 1/2) log(x) + x - log(2 pi) / 2) x in 1 / x^2 for x >= 7.5",
    (
        0.08333333333333326, -0.002777777777459096, 0.0007936505833662055, -0.0005951870494789159,
        0.0008360907821978846, -0.0016209110012943666,
    ),
    (0.083333306, -0.0027638297),
)  # fmt: skip

LOG_LESS_DIGAMMA = Polynomial(
    "(log(x) - 1 / (2 x) - digamma(x)) x^2 in 1 / x^2 for x >= 7.5",
    (
        0.08333333333333234, -0.008333333329326148, 0.003968251321920859, -0.004166023188837169,
        0.007504173415236672, -0.017314958253624353,
    ),
    (0.08333318, -0.008263908),
)  # fmt: skip

TRIGAMMA = Polynomial(
    "(trigamma(x) - 1 / x - 1 / (2 x^2)) x^3 in 1 / x^2 for x >= 8, in float32 for x >= 4",
    (
        0.16666666666666655, -0.03333333333249287, 0.023809522943893217, -0.03333299706371194, 0.07569481310235808,
        -0.24699740954161503, 0.8586880107331692,
    ),
    (0.16666646, -0.03327239, 0.021099946),
)  # fmt: skip

ATAN = Polynomial(
    "(atan(t) / t - 1) / t^2 in t^2 for |t| <= tan(pi / 8)",
    (
        -0.3333333333333333, 0.1999999999999552, -0.14285714284666542, 0.11111111015256361, -0.09090904578123903,
        0.07692183190826087, -0.06664511447381948, 0.0585814891280221, -0.0508544973794026, 0.03923165829558719,
        -0.01917688711906226,
    ),
    (-0.3333333, 0.1999954, -0.14263956, 0.10743731, -0.06451928),
)  # fmt: skip


def horner(out: str, coefficients: Sequence[float], variable: str, literal: str = "{!r}") -> Iterator[str]:
    """Assignments that leave the polynomial in `out`.

    >>> list(horner("p", (1.0, 2.0, 3.0), "w"))
    ['p = 3.0', 'p = p * w + 2.0', 'p = p * w + 1.0']
    """
    highest, *others = reversed(coefficients)
    yield f"{out} = {literal.format(highest)}"
    yield from (f"{out} = {out} * {variable} + {literal.format(value)}" for value in others)

"""Which way the constants of a loss are to go, from the derivatives of trainings with it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from glo_dsl.evolve.work import Hill

LOUDEST = 3.0
"""How many times the median slope of the networks is the most that one of them may have: a training at the edge of
stability has derivatives of any size, which say nothing."""


def hill_of(slopes: Sequence[Sequence[float]], networks: int, slopes_of_scale: Sequence[float]) -> Hill | None:
    """The mean over networks of what stands for the metric, and of its derivatives by the constants along which the
    learning rate is divided by the scale of the gradient.

    A larger scale is a larger learning rate and no other loss: what the rate takes back, its derivative takes back
    here.

    Args:
        slopes: of each network that has them: value, derivative by the logarithm of the rate, by each constant.
        networks: how many there were in all.
        slopes_of_scale: derivatives of the logarithm of the scale by each constant; zeros for a rate that stays.

    Returns:
        None if most networks have no slopes, or the scale has none.

    >>> hill_of([(0.5, 1.0, 4.0)], 1, [3.0])
    Hill(value=0.5, slope=(1.0,))
    """
    if 2 * len(slopes) < networks or not slopes or not np.isfinite(slopes_of_scale).all():
        return None
    table = np.asarray(slopes, dtype=np.float64)
    along = table[:, 2:] - table[:, 1:2] * np.asarray(slopes_of_scale)
    sizes = np.linalg.norm(along, axis=1)
    quiet = np.minimum(1.0, LOUDEST * np.median(sizes) / np.maximum(sizes, np.finfo(np.float64).tiny))
    mean = (along * quiet[:, None]).mean(0)
    return Hill(float(table[:, 0].mean()), tuple(float(m) for m in mean)) if np.isfinite(mean).all() else None

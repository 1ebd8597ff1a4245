"""The gamma family in NumPy, from which the other targets are judged, against SciPy's."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import special

from glo_dsl.ir import numeric
from glo_dsl.ir.numeric import Array

Function = Callable[[Array], Array]
FAMILY: dict[str, tuple[Function, Function]] = {
    "lgamma": (numeric.lgamma, special.gammaln), "digamma": (numeric.digamma, special.digamma),
    "trigamma": (numeric.trigamma, lambda a: np.asarray(special.polygamma(1, a))),
}  # fmt: skip
EACH = pytest.mark.parametrize(("mine", "truth"), FAMILY.values(), ids=FAMILY)
INF, NAN = np.inf, np.nan


@EACH
def test_is_right_from_1e_30_to_1e30(mine: Function, truth: Function) -> None:
    halves = np.arange(0.5, 12.0, 0.5)  # where one formula takes over from another
    around = [halves, np.nextafter(halves, 0), 1.4616321449683622 + np.linspace(-1e-3, 1e-3, 100)]
    points = np.concatenate([np.logspace(-30, 30, 6001), np.linspace(0.01, 12, 6000), *around])
    np.testing.assert_array_less(np.abs(mine(points) - truth(points)), 2e-15 * np.maximum(1, np.abs(truth(points))))


@EACH
def test_takes_numbers_and_any_shape(mine: Function, truth: Function) -> None:
    assert float(mine(np.float64(2.5))) == pytest.approx(float(truth(np.float64(2.5))), rel=1e-14)
    assert mine(np.ones((2, 1, 3))).shape == (2, 1, 3)


@pytest.mark.parametrize(
    ("name", "at_zero", "at_infinity"), [("lgamma", INF, INF), ("digamma", -INF, INF), ("trigamma", INF, 0.0)]
)
def test_limits_from_above_at_0_and_nothing_below(name: str, at_zero: float, at_infinity: float) -> None:
    mine, _ = FAMILY[name]
    with np.errstate(all="ignore"):
        assert mine(np.array([0.0, -0.0, INF])).tolist() == [at_zero, at_zero, at_infinity]
        assert np.isnan(mine(np.array([-1e-300, -0.5, -1.0, -INF, NAN]))).all()

"""How exact the elementary functions of the C target are, everywhere, against mpmath; and what the manual says of it.

The quick sweep has some thousands of numbers, the long one (HYPOTHESIS_PROFILE=nightly) some millions.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest

from glo_codegen.c_preamble import PREAMBLE
from glo_dsl.ir.table import OPS
from glo_dsl.runtime.build_c import load_c
from tests.ir.test_operators_in_c import EXACT_TO_2, GAMMA

ACCURACY = Path(__file__).parents[2] / "docs" / "accuracy.md"
LONG = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"
POINTS = {"float32": 500_000 if LONG else 2500, "float64": 20_000 if LONG else 200}
ONE_ARGUMENT = [name for name in (*EXACT_TO_2, *GAMMA) if OPS[name].arity == 1]

TRUTH: dict[str, Callable[[Any], Any]] = {
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)), "softplus": lambda x: mpmath.log1p(mpmath.exp(x)),
    "log_sigmoid": lambda x: -mpmath.log1p(mpmath.exp(-x)), "lgamma": mpmath.loggamma,
    "trigamma": lambda x: mpmath.psi(1, x),
}  # fmt: skip

ABOUT = {
    **dict.fromkeys(("exp", "sigmoid"), "0 where the result is below the normal numbers"),
    **dict.fromkeys(("sin", "cos"), "of the C library; arguments up to 100 are measured"),
    "erf": "of the C library", "sqrt": "of the processor", "pow": "of the C library", "xlogy": "a product and `log`",
    "lgamma": "where it is below 1, 3 units of 1", "digamma": "where it is below 1, 3 units of 1",
}  # fmt: skip

BOUND = {**dict.fromkeys(EXACT_TO_2, 2), **dict.fromkeys(GAMMA, 3), "sqrt": 0.5}


@cache
def functions(double: bool) -> ctypes.CDLL:
    """All of them as loops over arrays, which the compiler vectorises as it does those of losses."""
    loops = (
        f"void each_{name}(const real *x, real *y, int64_t n) "
        f"{{ for (int64_t i = 0; i < n; i++) y[i] = {OPS[name].c.format('x[i]')}; }}\n"
        for name in ONE_ARGUMENT
    )
    return load_c(PREAMBLE.lstrip() + "".join(loops), double)


def points(name: str, dtype: Any, count: int) -> Any:
    """Numbers of all sizes and both signs, and many from where the function turns."""
    rng, info = np.random.default_rng(0), np.finfo(dtype)
    low, high = np.log(float(info.tiny)), np.log(float(info.max))
    sizes = 10.0 ** rng.uniform(np.log10(float(info.tiny)) + 1, np.log10(float(info.max)) - 1, count)
    if name in ("log", "sqrt"):
        found = np.concatenate([sizes, rng.uniform(0.4, 2.5, count), 1 + rng.normal(0, 1e-3, count)])
    elif name == "log1p":
        found = np.concatenate([sizes, -np.minimum(sizes, 0.99), rng.uniform(-0.99, 3, count)])
    elif name in ("sin", "cos"):
        found = rng.uniform(-100, 100, 2 * count)
    elif name in GAMMA:
        found = np.concatenate([10.0 ** rng.uniform(-30, 30, count), rng.uniform(0.01, 12, count)])
    else:
        small = np.concatenate([sizes, -sizes])
        inside = small[(small > low + 1) & (small < high - 1)]
        found = np.concatenate(
            [inside, *(rng.uniform(-w, w, count) for w in (0.5, 3, 20)), rng.uniform(low, high, count)]
        )
    return found.astype(dtype)


def worst(name: str, double: bool) -> float:
    """The largest error in units of the last place; for lgamma and digamma below 1, units of 1."""
    dtype: Any = np.float64 if double else np.float32
    x = points(name, dtype, POINTS[dtype.__name__])
    y = np.empty_like(x)
    function = getattr(functions(double), f"each_{name}")
    function(*(ctypes.c_void_p(a.ctypes.data) for a in (x, y)), ctypes.c_int64(len(x)))
    smallest = float(np.finfo(dtype).tiny)
    truth = TRUTH.get(name) or getattr(mpmath, name)
    largest = 0.0
    with mpmath.workprec(160 if double else 80):
        for a, b in zip(x.tolist(), y.tolist()):
            want = truth(mpmath.mpf(a))
            with np.errstate(over="ignore"):
                size = dtype(abs(float(want)))
            if smallest <= size <= np.finfo(dtype).max:
                step = np.spacing(max(size, dtype(1)) if name in ("lgamma", "digamma") else size)
                largest = max(largest, float(abs(b - want) / mpmath.mpf(float(step))))
    return largest


@pytest.mark.parametrize("double", [False, True], ids=["float32", "float64"])
@pytest.mark.parametrize("name", ONE_ARGUMENT)
def test_no_error_is_larger_than_what_is_stated(name: str, double: bool) -> None:
    assert 0.2 < worst(name, double) <= BOUND[name]


def test_what_is_too_small_is_zero_and_nothing_else_is() -> None:
    for double, dtype in ((False, np.float32), (True, np.float64)):
        edge = np.log(float(np.finfo(dtype).tiny))
        x = np.array([edge - 0.01, edge + 0.01, -np.inf, np.inf, np.nan, 0.0], dtype)
        y = np.empty_like(x)
        functions(double).each_exp(*(ctypes.c_void_p(a.ctypes.data) for a in (x, y)), ctypes.c_int64(len(x)))
        assert y[0] == 0 < y[1] < 2 * np.finfo(dtype).tiny and y[2:4].tolist() == [0, np.inf] and np.isnan(y[4])
        assert y[5] == 1


def table() -> str:
    head = "| function | error at most | |\n|---|---|---|\n"
    return head + "".join(f"| `{n}` | {BOUND[n]:g} | {ABOUT.get(n, '')} |\n" for n in (*EXACT_TO_2, *GAMMA))


def test_the_document_states_these_bounds(request: pytest.FixtureRequest) -> None:
    before, mark, rest = ACCURACY.read_text().partition("| function |")
    _, end, after = rest.partition("\n\n")
    if request.config.getoption("--update-golden"):
        ACCURACY.write_text(before + table() + end[1:] + after)
    assert mark + rest[: len(rest) - len(end) - len(after)] + "\n" == table(), "run pytest --update-golden"

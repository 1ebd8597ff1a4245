"""Elementary functions as Triton computes them, at the edges of their domains, against those of torch."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import special

from glo_codegen.program import Instr, Rate
from glo_dsl.ir.table import OPS
from glo_dsl.passes.pipeline import compile_program
from tests.codegen.launching import (
    Build,
    loss_of,
    program_of,
    reference,
    run,
)

pytestmark = pytest.mark.parametrize("build", ["resident"], indirect=True)  # there is no class axis to stream

EDGES = [
    0.0,
    1e-30,
    1e-8,
    1e-3,
    0.3,
    0.5,
    0.7,
    1.0,
    1.5,
    2.0,
    3.0,
    7.0,
    20.0,
    60.0,
    88.0,
    1e4,
    16777218.0,
    1e38,
    math.inf,
]
EDGES = [*EDGES, *(-x for x in EDGES[1:]), math.nan]
ONE = ["log1p", "expm1", "tanh", "sigmoid", "softplus", "log_sigmoid", "relu", "abs", "floor", "exp", "sqrt", "erf"]
ONE += ["atan"]
TWO = ["x ^ y", "max(x, y)", "min(x, y)", "xlogy(x, y)", "clamp(x, -2, y)", "clamp(x, y, 3)"]
LITERAL = [
    "x ^ 2.5",
    "x ^ 3",
    "2 ^ x",
    "0 ^ x",
    "max(x, 0.5)",
    "min(-1, x)",
    "xlogy(2, x)",
    "xlogy(x, 2)",
    "xlogy(0, x)",
]


@pytest.mark.parametrize("body", [f"{name}(x)" for name in ONE] + TWO + LITERAL)
def test_functions_at_the_edges_are_those_of_torch(body: str, build: Build) -> None:
    loss = loss_of(f"loss f(x: real, y: real) = {body} + 0 * stop(1)")
    grid = torch.tensor(list(itertools.product(EDGES, EDGES)))
    inputs = (grid[:, 0].contiguous(), grid[:, 1].contiguous())
    value, _ = run(build(compile_program(loss, [])), loss, inputs, wrt=())
    want = reference(loss, inputs)[0].float()
    tiny = want.abs() < 2.0**-126
    torch.testing.assert_close(value[~tiny], want[~tiny], rtol=2e-5 if "^" in body else 5e-7, atol=0, equal_nan=True)
    assert (value[tiny].abs() <= 2.0**-126).all()


def test_sign_keeps_nan(build: Build) -> None:
    loss = loss_of("loss f(x: real) = sign(x)")
    value, _ = run(build(program_of(loss)), loss, (torch.tensor([-2.0, 0.0, 3.0, math.nan]),))
    torch.testing.assert_close(value, torch.tensor([-1.0, 0.0, 1.0, math.nan]), equal_nan=True)


def test_operators_of_literals_only(build: Build) -> None:
    """The simplifier folds them, but a Program may hold them all the same."""
    program = program_of(loss_of("loss f(x: real) = x"))
    literals = {
        "exp": (2.0,),
        "pow": (3.0, 2.0),
        "maximum": (1.0, 4.0),
        "not": (0.0,),
        "and": (1.0, 1.0),
        "stop": (5.0,),
        "lgamma": (4.0,),
        "digamma": (1.0,),
        "trigamma": (1.0,),
        "atan": (1.0,),
    }
    code = [Instr(f"v9{n}", OPS[op], args, "real", Rate.UNIFORM) for n, (op, args) in enumerate(literals.items())]
    code += [Instr("v80", OPS["and"], ("v93", 1.0), "bool", Rate.UNIFORM)]
    code += [Instr("v81", OPS["select"], ("v80", 1e-40, math.inf), "real", Rate.UNIFORM)]
    wanted = {"v90": math.exp(2), "v91": 9.0, "v92": 4.0, "v95": 5.0, "v81": 1e-40}
    wanted |= {"v96": math.log(6), "v97": -np.euler_gamma, "v98": math.pi**2 / 6, "v99": math.pi / 4}
    for out, want in wanted.items():
        module = build(replace(program, uniform=tuple(code), results=(("loss", out),), gradients=()))
        value, _ = module.launch((torch.zeros(3),), torch.zeros(0), (), torch.ones(1))
        torch.testing.assert_close(value, torch.full((3,), want), rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    ("name", "truth"),
    [("lgamma", special.gammaln), ("digamma", special.digamma), ("trigamma", lambda x: special.polygamma(1, x))],
    ids=["lgamma", "digamma", "trigamma"],
)
def test_gamma_family_from_1e_30_to_1e30(name: str, truth: Callable[..., Any], build: Build) -> None:
    loss = loss_of(f"loss f(x: real) = {name}(x)")
    halves = np.arange(0.5, 12.0, 0.5)  # where one formula takes over from another
    around = [halves, np.nextafter(halves, 0), 1.4616321449683622 + np.linspace(-1e-3, 1e-3, 100)]
    points = np.concatenate([np.logspace(-30, 30, 3001), np.linspace(0.01, 12, 3000), *around]).astype(np.float32)
    value, _ = run(build(compile_program(loss, [])), loss, (torch.from_numpy(points),), wrt=())
    want = np.asarray(truth(points.astype(np.float64)))
    inside = np.abs(want) < 3e38
    error = np.abs(value.double().numpy() - want) / np.maximum(1, np.abs(want))
    assert error[inside].max() < 3 * 2.0**-23
    assert np.array_equal(value.numpy()[~inside], want[~inside].astype(np.float32))


@pytest.mark.parametrize(
    ("name", "values"),
    [("lgamma", [math.inf] * 3), ("digamma", [-math.inf] * 2 + [math.inf]), ("trigamma", [math.inf] * 2 + [0.0])],
)
def test_limits_of_the_gamma_family(name: str, values: list[float], build: Build) -> None:
    loss = loss_of(f"loss f(x: real) = {name}(x)")
    points = torch.tensor([0.0, -0.0, math.inf, -1e-30, -1.0, -1.5, -math.inf, math.nan])
    value, _ = run(build(compile_program(loss, [])), loss, (points,), wrt=())
    assert value[:3].tolist() == values and value[3:].isnan().all()

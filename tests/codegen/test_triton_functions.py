"""Elementary functions as Triton computes them, at the edges of their domains, against those of torch."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
import torch

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
    }
    code = [Instr(f"v9{n}", OPS[op], args, "real", Rate.UNIFORM) for n, (op, args) in enumerate(literals.items())]
    code += [Instr("v97", OPS["and"], ("v93", 1.0), "bool", Rate.UNIFORM)]
    code += [Instr("v98", OPS["select"], ("v97", 1e-40, math.inf), "real", Rate.UNIFORM)]
    for out, want in [("v90", math.exp(2)), ("v91", 9.0), ("v92", 4.0), ("v95", 5.0), ("v98", 1e-40)]:
        module = build(replace(program, uniform=tuple(code), results=(("loss", out),), gradients=()))
        value, _ = module.launch((torch.zeros(3),), torch.zeros(0), (), torch.ones(1))
        torch.testing.assert_close(value, torch.full((3,), want), rtol=1e-6, atol=0)

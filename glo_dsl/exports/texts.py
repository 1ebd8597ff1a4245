"""A loss as a text for each of the libraries; what is printed comes from the IR alone."""

from __future__ import annotations

from dataclasses import replace

from glo_codegen.arrays import Function, emit_function
from glo_codegen.dialects import JAX, NUMPY, TORCH, Dialect
from glo_codegen.program import Program
from glo_codegen.sympy_ import Formula, emit_sympy
from glo_dsl.errors import GloError
from glo_dsl.ir.expr import Apply, Expr, Var, apply, rebuild, size, walk
from glo_dsl.lang.latex import derivative_latex, latex
from glo_dsl.lang.loss import Loss
from glo_dsl.passes.gates import gated
from glo_dsl.passes.lower import spelled
from glo_dsl.passes.pipeline import check_callable, check_filled, derive, differentiable
from glo_dsl.passes.schedule import schedule
from glo_dsl.passes.simplify import simplify
from glo_dsl.verify.values import inside

LARGEST = 2000
"""Nodes of a loss, shared ones counted as often as they are used, up to which SymPy gets it: it shares nothing."""

DIALECTS: dict[str, Dialect] = {"torch": TORCH, "jax": JAX, "numpy": NUMPY}


def array_text(loss: Loss, target: str) -> str:
    """The loss as functions of whole arrays.

    Raises:
        GloError: the loss cannot be called, see `check_callable`.
    """
    check_callable(loss)
    dialect = DIALECTS[target]
    fillers = {v.name: float(inside(v.domain, 1.0)) for v in loss.inputs if v.type.kind == "real"}
    divisor = None if loss.per is None else _array_program(loss, loss.per, target)
    return emit_function(Function(_array_program(loss, loss.expr, target), loss.defaults, fillers, divisor), dialect)


def _array_program(loss: Loss, value: Expr, target: str) -> Program:
    """Simplified, so that its derivative is a stable one; then safe for a library that differentiates by itself."""
    (value,) = simplify((value,))
    value = spelled(value, DIALECTS[target].spelling)
    return schedule(loss, _without_stop(value) if target == "numpy" else gated(value), {})


def _without_stop(root: Expr) -> Expr:
    """The same value: where nothing is differentiated there is nothing to stop."""
    done: dict[Expr, Expr] = {}
    for node in walk((root,)):
        args = tuple(done[a] for a in node.args)
        done[node] = args[0] if isinstance(node, Apply) and node.op.name == "stop" else rebuild(node, args)
    return done[root]


def sympy_text(loss: Loss) -> str:
    """The loss as it is written, as a function that builds it in SymPy.

    Raises:
        GloError: the loss has a hole, or is too large.
    """
    check_filled(loss)
    if size(loss.expr) > LARGEST:
        raise GloError(
            f"{loss.name} has {size(loss.expr)} operations written out, and SymPy gets {LARGEST}", loss.span,
            hint="export it to jax, torch or numpy, which share what is used twice", source=loss.source,
        )  # fmt: skip
    variables = (*loss.inputs, *(p.var for p in loss.params))
    assumptions = {v.name: _assumption(v) for v in variables if v.type.kind == "real"}
    divisor = None if loss.per is None else _formula(loss, loss.per)
    return emit_sympy(Formula(_formula(loss, loss.expr), loss.defaults, assumptions, divisor))


def _formula(loss: Loss, value: Expr) -> Program:
    return schedule(loss, _without_equal_conditions(spelled(value, lambda op: op.sympy)), {})


def _without_equal_conditions(root: Expr) -> Expr:
    """`p == q` of conditions by `and` and `or`: SymPy's equations are between numbers."""
    done: dict[Expr, Expr] = {}
    for node in walk((root,)):
        args = tuple(done[a] for a in node.args)
        if isinstance(node, Apply) and node.op.name in ("eq", "ne") and args[0].type.kind == "bool":
            p, q = args if node.op.name == "eq" else (args[0], apply("not", args[1]))
            done[node] = apply("or", apply("and", p, q), apply("and", apply("not", p), apply("not", q)))
        else:
            done[node] = rebuild(node, args)
    return done[root]


def _assumption(v: Var) -> str:
    """What SymPy is told of a symbol."""
    if v.domain.lo > 0 or (v.domain.lo == 0 and v.domain.open_lo):
        return ", positive=True"
    return ", nonnegative=True" if v.domain.lo == 0 else ", real=True"


def latex_text(loss: Loss) -> tuple[str, ...]:
    """The formula of the loss and of each derivative that it has, for display."""
    wanted = [] if loss.holes else [v.name for v in differentiable(loss)]
    found = derive(loss, wanted).gradients if wanted else {}
    return latex(replace(loss, laws=(), examples=())), *(derivative_latex(loss, v, g) for v, g in found.items())

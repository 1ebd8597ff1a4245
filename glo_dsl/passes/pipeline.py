"""The passes in order: a loss to its simplified value and gradients, and to the Program that the targets print."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from glo_codegen.program import Program
from glo_dsl.errors import GloError, did_you_mean
from glo_dsl.ir.expr import CLASSES, Expr, Var, const, variables, walk
from glo_dsl.lang.loss import Loss
from glo_dsl.passes.diff import gradients
from glo_dsl.passes.lower import lower, unfolded
from glo_dsl.passes.schedule import schedule
from glo_dsl.passes.simplify import simplify
from glo_dsl.passes.walked import walked_program

ARGUMENTS = ("reduction", "ignore_index", "sample_weight", "dim", "inplace", "wrt")
"""What a call of a compiled loss takes besides inputs and parameters."""


@dataclass(frozen=True, slots=True)
class Derived:
    """The value of a loss and its gradients, simplified together."""

    value: Expr
    gradients: dict[Var, Expr]


def differentiable(loss: Loss) -> tuple[Var, ...]:
    """Everything a gradient exists for: real inputs, then parameters."""
    return tuple(v for v in loss.inputs if v.type.kind == "real") + tuple(p.var for p in loss.params)


def derive(loss: Loss, wrt: Iterable[str]) -> Derived:
    """Value and gradients. The value is simplified first: the derivative of a stable form is a stable form.

    Raises:
        GloError: the loss has holes, a name in `wrt` is no real input or parameter of it, or the derivative of an
            operator on the way is not known.
    """
    check_filled(loss)
    known = {v.name: v for v in differentiable(loss)}
    variables = []
    for name in wrt:
        if name not in known:
            raise GloError(f"{loss.name} has no gradient for {name}", hint=did_you_mean(name, known))
        variables.append(known[name])
    (value,) = simplify((loss.expr,))
    try:
        found = gradients(value, variables)
    except GloError as error:
        raise error.at(loss.span, loss.source) from None
    value, *simplified = simplify((value, *found.values()))
    return Derived(value, dict(zip(variables, simplified, strict=True)))


def compile_program(loss: Loss, wrt: Iterable[str], walked: bool = False) -> Program:
    """The Program that computes the loss and the gradients for the inputs and parameters named in `wrt`.

    `walked`: with its form for targets that read a row in every pass.
    """
    return program_of(loss, derive(loss, wrt), walked)


def program_of(loss: Loss, derived: Derived, walked: bool = False) -> Program:
    """The same of what has been derived already."""
    value, *lowered = lower((derived.value, *derived.gradients.values()))
    gradients = dict(zip(derived.gradients, lowered, strict=True))
    program = schedule(loss, value, gradients)
    return replace(program, walked=walked_program(loss, value, gradients, program)) if walked else program


def gradient_program(loss: Loss, derived: Derived) -> Program:
    """The Program of the gradients alone, its loss 0, in the operators of kernels but not rewritten for their speed.

    For an interpreter that runs it on a few hundred batches, for which rewriting takes longer than it saves.
    """
    gradients = dict(zip(derived.gradients, unfolded(derived.gradients.values()), strict=True))
    return schedule(loss, const(0.0), gradients)


def whole_program(loss: Loss) -> Program:
    """The Program with every gradient that exists, and its form for rows that are walked.

    Raises:
        GloError: the loss cannot be called, see `check_callable`.
    """
    check_callable(loss)
    return compile_program(loss, [v.name for v in differentiable(loss)], walked=True)


def oracle_program(loss: Loss) -> Program:
    """The loss exactly as written: not simplified, not differentiated, not lowered. For the torch target only."""
    check_filled(loss)
    return schedule(loss, loss.expr, {})


def divisor_names(loss: Loss) -> tuple[str, ...]:
    """What the divisor of the mean has a gradient for."""
    divisor = set() if loss.per is None else set(variables((loss.per,)))
    return tuple(v.name for v in differentiable(loss) if v in divisor)


def per_program(loss: Loss) -> Program:
    """What one row adds to the divisor of the mean, as a Program for the torch target; its loss is that number."""
    assert loss.per is not None
    (per,) = lower(simplify((loss.per,)))
    return schedule(loss, per, {})


def check_filled(loss: Loss) -> None:
    """Refuses a search space: what has a hole has no value.

    Raises:
        GloError: the loss has a hole.
    """
    if loss.holes:
        hole = loss.holes[0]
        raise GloError(
            f"{loss.name} has a hole: ?{hole.name}", loss.span,
            hint="fill it with glo search, or write an expression in its place", source=loss.source,
        )  # fmt: skip


def check_callable(loss: Loss) -> None:
    """Refuses a loss that has a hole, cannot know the number of classes, or takes a name of the call's own arguments.

    Raises:
        GloError: which of the three.
    """
    check_filled(loss)
    for parameter in loss.params:
        if parameter.name in ARGUMENTS:
            raise GloError(
                f"parameter {parameter.name} of {loss.name} has the name of an argument that every call takes",
                loss.span, "give it another name", loss.source,
            )  # fmt: skip
    per_class = any(v.type.per_class and v.type.per_sample for v in loss.inputs)
    counted = any(v.type.kind == "class" or v.type.per_class for v in loss.inputs) or CLASSES in set(walk((loss.expr,)))
    if counted and not per_class:
        raise GloError(
            f"no input of {loss.name} tells the number of classes", loss.span, "declare one as real[C]", loss.source
        )

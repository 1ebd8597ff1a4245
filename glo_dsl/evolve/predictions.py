"""Which input of a loss the network gives; apart from `kernels`, for those who need no tensor library to ask."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

from glo_dsl.ir.expr import Expr, Var
from glo_dsl.lang.loss import Loss
from glo_dsl.passes.pipeline import Derived, derive


def logits_name(loss: Loss) -> str:
    """The input that holds the predictions: that with a class axis, or without one the first real input.

    >>> from glo_dsl.lang.definitions import losses_of
    >>> logits_name(losses_of("loss f(y: real, z: real[C]) = y * sum(z)")["f"])
    'z'
    """
    reals = [v for v in loss.inputs if v.type.kind == "real"]
    return next((v.name for v in reals if v.type.per_class), reals[0].name)


@dataclass(frozen=True, slots=True)
class Form:
    """What losses have in common that differ in nothing but their texts and the defaults of their parameters; `loss` is
    one of them."""

    expr: Expr
    inputs: tuple[Var, ...]
    params: tuple[Var, ...]
    loss: Loss = field(compare=False)


def form_of(loss: Loss) -> Form:
    """The form of a loss; equal forms have the same derivatives and the same kernels."""
    return Form(loss.expr, loss.inputs, tuple([p.var for p in loss.params]), loss)


def derived(loss: Loss) -> Derived:
    """The loss and its gradient by the predictions, which the funnel looks at before they are trained with."""
    return _derived(form_of(loss))


@lru_cache(maxsize=2048)
def _derived(form: Form) -> Derived:
    return derive(form.loss, [logits_name(form.loss)])

"""Which input of a loss the network gives; apart from `kernels`, for those who need no tensor library to ask."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

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


def derived(loss: Loss) -> Derived:
    """The loss and its gradient by the predictions, which the funnel looks at before they are trained with."""
    return _derived(replace(loss, laws=(), examples=()))  # which derive nothing, and examples cannot be hashed


@lru_cache(maxsize=2048)
def _derived(loss: Loss) -> Derived:
    return derive(loss, [logits_name(loss)])

"""Candidates as compiled steps: fixed buffers of predictions in, gradients out, once per training step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from torch import Tensor

from glo_dsl.evolve.predictions import Form, derived, form_of, logits_name
from glo_dsl.lang.loss import Loss
from glo_dsl.passes.pipeline import gradient_program
from glo_dsl.runtime.build_c import NoCompiler
from glo_dsl.runtime.compile import compile
from glo_dsl.runtime.interpreter import Interpreted

Step = Callable[[], None]


@dataclass(frozen=True)
class Candidate:
    """A loss of predictions and targets with the values of its parameters, ready to train with."""

    loss: Loss
    params: tuple[float, ...]
    kernel: Interpreted | None

    @property
    def predictions(self) -> str:
        """The input that the network gives."""
        return logits_name(self.loss)

    @property
    def predictions_first(self) -> bool:
        return self.loss.inputs[0].name == self.predictions

    def bind(self, outputs: Tensor, target: Tensor, gradient: Tensor) -> Step:
        """A step that fills `gradient` [rows, classes] or [rows] with that of the summed loss at `outputs`, both
        float32."""
        inputs = (outputs, target) if self.predictions_first else (target, outputs)
        if self.kernel is not None:
            return self.kernel.bind(inputs, self.params, gradient)
        fn = compile(self.loss, "torch")
        values: dict[str, Any] = dict(zip((p.name for p in self.loss.params), self.params))
        name = self.predictions

        def step() -> None:
            _, gradients = fn.value_and_grad(*inputs, wrt=[name], reduction="sum", **values)
            gradient.copy_(gradients[name])

        return step


def build_candidates(
    losses: Sequence[Loss], params: Sequence[Sequence[float]] | None = None, interpreted: bool = True
) -> list[Candidate]:
    """Candidates for the C interpreter, which costs no compiler call for any of them and computes as fast as their own
    kernels would rows of few classes; without a compiler for it they run in PyTorch.

    Losses that differ in nothing but the defaults of their parameters, which `params` are in their place by default,
    are built once. Where they are not to be `interpreted`, as on a GPU, nothing is built before they are bound.
    """
    values = [tuple(p) for p in params] if params else [tuple(p.default for p in loss.params) for loss in losses]
    kernels: Sequence[Interpreted | None] = [None] * len(losses)
    if interpreted:
        with suppress(NoCompiler):
            kernels = [_kernel(form_of(loss)) for loss in losses]
    return [Candidate(*built) for built in zip(losses, values, kernels)]


@lru_cache(maxsize=512)
def _kernel(form: Form) -> Interpreted:
    return Interpreted(gradient_program(form.loss, derived(form.loss)))

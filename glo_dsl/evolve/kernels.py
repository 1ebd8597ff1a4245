"""Candidates as compiled steps: fixed buffers of logits in, gradients out, once per training step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from glo_codegen.program import Program
from glo_dsl.lang.loss import Loss
from glo_dsl.passes.pipeline import compile_program
from glo_dsl.runtime.build_c import NoCompiler
from glo_dsl.runtime.c_kernel import CKernel, build_all
from glo_dsl.runtime.compile import compile

Step = Callable[[], None]


@dataclass(frozen=True)
class Candidate:
    """A loss (logits, class index) with the values of its parameters, ready to train with."""

    loss: Loss
    params: tuple[float, ...]
    kernel: CKernel | None

    def bind(self, logits: Tensor, target: Tensor, gradient: Tensor) -> Step:
        """A step that fills `gradient` [rows, classes] with that of the summed loss at `logits`, both float32."""
        order = _logits_first(self.loss)
        inputs = (logits, target) if order else (target, logits)
        if self.kernel is not None:
            scalar = torch.empty(())
            return self.kernel.bind(inputs, self.params, "sum", -100, scalar, [gradient])
        fn = compile(self.loss, "torch")
        values: dict[str, Any] = dict(zip((p.name for p in self.loss.params), self.params))
        name = logits_name(self.loss)

        def step() -> None:
            _, gradients = fn.value_and_grad(*inputs, wrt=[name], reduction="sum", **values)
            gradient.copy_(gradients[name])

        return step


def logits_name(loss: Loss) -> str:
    """The input that holds the predictions."""
    return next(v.name for v in loss.inputs if v.type.kind == "real" and v.type.per_class)


def _logits_first(loss: Loss) -> bool:
    return loss.inputs[0].type.per_class


def program_of(loss: Loss) -> Program:
    """What a candidate compiles to: the loss and its gradient by the logits."""
    return compile_program(loss, [logits_name(loss)])


def build_candidates(losses: Sequence[Loss], params: Sequence[Sequence[float]] | None = None) -> list[Candidate]:
    """Candidates built together, a few to a translation unit; without a compiler they run in PyTorch.

    `params` default to those of the losses.
    """
    values = [tuple(p) for p in params] if params else [tuple(p.default for p in loss.params) for loss in losses]
    if not losses:
        return []
    programs = [program_of(loss) for loss in losses]
    try:
        kernels: Sequence[CKernel | None] = build_all(programs, draft=True)
    except NoCompiler:
        kernels = [None] * len(losses)
    return [Candidate(loss, value, kernel) for loss, value, kernel in zip(losses, values, kernels)]

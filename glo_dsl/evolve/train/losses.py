"""The losses of a unit on its buffers: outputs of all networks in, gradients out, once for every step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from glo_dsl.evolve.kernels import Candidate

Step = Callable[[], None]


def bound(candidates: Sequence[Candidate], outputs: Tensor, target: Tensor, gradients: Tensor) -> Step:
    """A step that fills `gradients` with those of every candidate's loss, summed over its rows.

    `outputs` and `gradients` [candidates, rows, classes], or [candidates, rows] where a loss takes one value; `target`
    [rows] is the same for all. They are buffers: their contents change from step to step.
    """
    if outputs.device.type == "cpu":
        steps = [c.bind(outputs[n], target, gradients[n]) for n, c in enumerate(candidates)]

        def each() -> None:
            for step in steps:
                step()

        return each
    return _bundled(candidates, outputs, target, gradients)


def _bundled(candidates: Sequence[Candidate], outputs: Tensor, target: Tensor, gradients: Tensor) -> Step:
    """On a GPU: in as few launches as there can be."""
    from glo_dsl.runtime.bundle import bundle

    many = bundle([c.loss for c in candidates])
    names = dict.fromkeys(p.name for c in candidates for p in c.loss.params)
    values: dict[str, Any] = {
        name: torch.tensor([_value(c, name) for c in candidates], device=outputs.device) for name in names
    }
    inputs = (outputs, target) if candidates[0].predictions_first else (target, outputs)
    wrt = candidates[0].predictions

    def together() -> None:
        _, found = many.value_and_grad(*inputs, wrt=[wrt], reduction="sum", **values)
        gradients.copy_(found[wrt])

    return together


def _value(candidate: Candidate, name: str) -> float:
    return dict(zip((p.name for p in candidate.loss.params), candidate.params)).get(name, 0.0)

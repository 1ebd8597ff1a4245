"""A compiled loss as a module.

This file is also copied, as it stands, into every module that `glo-compile` writes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor


class LossModule(torch.nn.Module):
    """A compiled loss as a module; its parameters are plain numbers, the learnable ones `nn.Parameter`s."""

    def __init__(
        self, fn: Callable[..., Tensor], params: Mapping[str, float], learnable: Sequence[str], reduction: str,
        ignore_index: int, dim: int, inplace: bool, given: Sequence[str],
    ) -> None:  # fmt: skip
        super().__init__()
        for name in learnable:
            self.register_parameter(f"param_{name}", torch.nn.Parameter(torch.tensor(float(params[name]))))
        self.fn, self.reduction, self.ignore_index, self.dim = fn, reduction, ignore_index, dim
        self.inplace = inplace
        self.learnable = tuple(learnable)
        self.fixed = {name: params[name] for name in given if name not in learnable}

    def forward(self, *inputs: Tensor, sample_weight: Tensor | None = None) -> Tensor:
        """The loss of the batch."""
        learned = {name: getattr(self, f"param_{name}") for name in self.learnable}
        return self.fn(
            *inputs, reduction=self.reduction, ignore_index=self.ignore_index, sample_weight=sample_weight,
            dim=self.dim, inplace=self.inplace, **self.fixed, **learned,
        )  # fmt: skip

    def extra_repr(self) -> str:
        fixed = "".join(f", {name}={value:g}" for name, value in self.fixed.items())
        return f"{self.fn!r}, reduction={self.reduction!r}{fixed}, learnable={list(self.learnable)}"

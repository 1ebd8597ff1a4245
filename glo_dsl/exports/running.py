"""Exported texts run on probes: value and derivatives as each library finds them.

A text comes from our printers: names in it are Python identifiers that mean nothing else, all else are literals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np

from glo_codegen.arrays import Naming
from glo_codegen.program import Program
from glo_dsl.errors import GloError
from glo_dsl.exports.probes import Checked, Numbers, Probes, together
from glo_dsl.exports.symbolic import symbolic
from glo_dsl.lang.loss import Loss
from glo_dsl.passes.pipeline import differentiable, oracle_program
from glo_dsl.runtime.load_module import load_module
from glo_dsl.verify.batch import Array, Batch
from glo_dsl.verify.truth import VALUE

ROWS, SYMBOLIC_ROWS = 24, 5


def check_text(loss: Loss, text: str, target: str) -> Checked:
    """Runs the text of a loss on samples from its domains.

    Raises:
        GloError: a number is not that of the loss, or the library is not installed.
    """
    for name in NEEDS[target]:
        imported(name, target)
    run = RUNS[target](loss, load_module(text))
    probes = Probes(loss, SYMBOLIC_ROWS, apart=True) if target == "sympy" else Probes(loss, ROWS)
    checked = together(probes.check(batch, found) for batch in probes.batches for found in run(batch))
    if not checked.compared:
        hint = "look at its domains; --no-check writes a text that nobody has tried"
        raise GloError(f"{loss.name} has no number to compare on {checked.rows} samples", loss.span, hint, loss.source)
    return checked


NEEDS = {"torch": ("torch",), "jax": ("jax",), "numpy": ("numpy", "scipy"), "sympy": ("sympy",)}
"""What a check runs."""


def imported(name: str, target: str) -> ModuleType:
    """The library that a check needs.

    Raises:
        GloError: it is not installed.
    """
    try:
        return import_module(name)
    except ImportError:
        raise GloError(
            f"{name} is not installed, and an export to {target} is checked with it",
            hint="pip install 'glo-dsl[export]', or --no-check for a text that nobody has tried",
        ) from None


Run = Callable[[Batch], Iterator[Numbers]]


class _Arrays:
    """The function of a text, and how a batch is given to it."""

    def __init__(self, loss: Loss, module: ModuleType) -> None:
        program: Program = oracle_program(loss)
        self.loss, self.naming = loss, Naming.of(program)
        self.call: Callable[..., Any] = getattr(module, self.naming.loss)
        self.real = [v.name for v in differentiable(loss)]

    def given(self, columns: dict[str, Any], **more: Any) -> Any:
        """The loss of a batch whose inputs and parameters are these."""
        names = self.naming.names
        params = {names[p.name]: columns[p.name] for p in self.loss.params}
        return self.call(*(columns[v.name] for v in self.loss.inputs), **params, **more)

    def batched(self, batch: Batch) -> dict[str, Array]:
        """The columns as a call takes them: what all samples share but once."""
        shared = {v.name for v in self.loss.inputs if not v.type.per_sample} | {p.name for p in self.loss.params}
        return {name: column[0] if name in shared else column for name, column in batch.columns.items()}


def _numpy(loss: Loss, module: ModuleType) -> Run:
    arrays = _Arrays(loss, module)

    def run(batch: Batch) -> Iterator[Numbers]:
        with np.errstate(all="ignore"):
            yield {VALUE: arrays.given(arrays.batched(batch), reduction="none")}

    return run


def _torch(loss: Loss, module: ModuleType) -> Run:
    import torch

    arrays = _Arrays(loss, module)

    def run(batch: Batch) -> Iterator[Numbers]:
        whole = {name: torch.from_numpy(np.array(column)) for name, column in arrays.batched(batch).items()}
        value = arrays.given(whole, reduction="none")
        rows = [row(whole, {v: batch.columns[v][n] for v in batch.columns}) for n in range(len(batch))]
        yield {VALUE: value.numpy(), **{name: np.stack([found[name] for found in rows]) for name in arrays.real}}

    def row(whole: dict[str, Any], numbers: dict[str, Any]) -> dict[str, Array]:
        leaves = {name: torch.from_numpy(np.array(number)) for name, number in numbers.items()}
        for name in arrays.real:
            leaves[name].requires_grad_()
        total = arrays.given(leaves, reduction="sum")
        wanted = [leaves[name] for name in arrays.real]
        if not total.requires_grad:
            return {name: np.zeros(leaf.shape) for name, leaf in zip(arrays.real, wanted)}
        found = torch.autograd.grad(total, wanted, allow_unused=True)
        return {
            name: (torch.zeros_like(leaf) if g is None else g).detach().numpy()
            for name, leaf, g in zip(arrays.real, wanted, found)
        }

    return run


def _jax(loss: Loss, module: ModuleType) -> Run:
    import jax

    arrays = _Arrays(loss, module)

    def one(real: dict[str, Any], others: dict[str, Any]) -> Any:
        return arrays.given({**real, **others}, reduction="sum")

    whole = jax.jit(lambda columns: arrays.given(columns, reduction="none"))
    slopes = jax.jit(jax.vmap(jax.grad(one)))

    def run(batch: Batch) -> Iterator[Numbers]:
        with jax.enable_x64(True):
            real = {name: batch.columns[name] for name in arrays.real}
            others = {name: column for name, column in batch.columns.items() if name not in real}
            value, found = whole(arrays.batched(batch)), slopes(real, others) if real else {}
            yield {VALUE: np.asarray(value), **{name: np.asarray(g) for name, g in found.items()}}

    return run


RUNS: dict[str, Callable[[Loss, ModuleType], Run]] = {"numpy": _numpy, "torch": _torch, "jax": _jax, "sympy": symbolic}

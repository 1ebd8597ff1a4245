"""One kernel for several losses; that its results are those of the losses alone, tests/runtime/test_bundle.py says."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

import glo_dsl as glo
from glo_codegen.triton_switch import emit_switch
from glo_dsl.passes.pipeline import whole_program
from glo_dsl.runtime.load_module import load_module

AWKWARD = """
loss launch(weight: real[C], t: class[C]; which = 2.0) = which * -log_softmax(weight)[t]
loss switch(rows: real[C], scale: class[C]; weight = 0.5, t = 1.0) = weight * rows[scale] + t * logsumexp(rows)
loss which(scale: real[C], planes: class[C]) = logsumexp(scale) - scale[planes]
"""
"""Losses whose names, and those of their inputs and parameters, are each other's and the module's own."""


def test_names_do_not_meet() -> None:
    losses = glo.loads(AWKWARD)
    many = glo.bundle(list(losses.values()), "triton")
    z, t = torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 3, 1, 2, -100])
    with np.errstate(all="ignore"):  # Triton's interpreter computes lanes beyond the row
        value, found = many.value_and_grad(z, t, wrt=["weight", "which"])
    for n, loss in enumerate(losses.values()):
        fn = glo.compile(loss, "torch")
        names = [i.name for i in fn.spec.inputs if i.kind == "real"] + [p for p, _ in fn.spec.params]
        want, wanted = fn.value_and_grad(z[n], t, wrt=names)
        torch.testing.assert_close(value[n], want)
        torch.testing.assert_close(found["weight"][n], wanted[names[0]])
        other = wanted.get("which", torch.zeros(()))
        torch.testing.assert_close(found["which"][n], other)


def test_the_text(golden: Callable[[str, str], None]) -> None:
    """The kernel that chooses, and its launch; the kernels that it calls are those of the losses."""
    text = emit_switch([whole_program(glo.zoo[name]) for name in ("focal", "gce")])
    golden(
        text[text.index('@triton.jit(do_not_specialize=["ignore_index", "rows"])\ndef switch_kernel') :], "switch.txt"
    )


def test_rows_are_as_long_as_the_hungriest_loss_allows() -> None:
    """And a row that is longer is computed by the kernels of the losses alone, which walk it."""
    longest = {names: _longest(*names) for names in [("focal",), ("focal", "gce"), ("bi_tempered",)]}
    assert longest["bi_tempered",] < longest["focal",]
    assert _longest("focal", "bi_tempered") == longest["bi_tempered",]
    many, short = glo.bundle([glo.zoo["focal"], glo.zoo["bi_tempered"]], "triton"), longest["bi_tempered",]
    assert len(many._members.groups([torch.empty(1, short), torch.empty(1)]) or []) == 1
    assert len(many._members.groups([torch.empty(1, short + 1), torch.empty(1)]) or []) == 2


def _longest(*names: str) -> int:
    found: int = load_module(emit_switch([whole_program(glo.zoo[name]) for name in names])).LONGEST
    return found

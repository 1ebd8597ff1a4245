"""A walk through the library: every loss is well written, well documented, right on every target, and as it claims."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import glo_dsl as glo
from glo_dsl.lang.elaborate import parse_expression
from glo_dsl.lang.format import format_text
from glo_dsl.lang.show import show
from glo_dsl.lang.zoo_files import zoo_files, zoo_text
from glo_dsl.passes.lint import diagnose
from glo_dsl.verify.check import check_losses
from glo_dsl.verify.oracle import wrong
from glo_dsl.verify.strategies import arrays_for

NAMES = sorted(glo.zoo)
FAMILIES = sorted({glo.zoo.family(name) for name in NAMES})
SOURCE = re.compile(r"\b(1[89]\d\d|20\d\d)\b|arXiv:|doi:|torch\.nn")
NOTHING = 1e-6
"""A difference in float32 that does not count: where the truth is 0 it has no relative size."""

DRAWS = 3
"""For each law and loss; `glo check` tries harder."""


def test_there_are_many_and_each_has_one_home() -> None:
    assert len(NAMES) >= 150
    texts = "\n".join(zoo_text(file) for file in zoo_files())
    assert sorted(re.findall(r"^loss (\w+)", texts, re.M)) == NAMES


@pytest.mark.parametrize("file", sorted(zoo_files()))
def test_a_file_is_canonical_and_without_warnings(file: str) -> None:
    text = zoo_text(file)
    assert [str(d) for d in diagnose(text, file).diagnostics] == []
    assert format_text(text, file) == text


@pytest.mark.parametrize("name", NAMES)
def test_a_loss_has_a_source_laws_and_examples_and_reads_back(name: str) -> None:
    loss = glo.zoo[name]
    assert loss.doc and SOURCE.search(loss.doc), loss.doc
    assert len(loss.laws) >= 2 and loss.examples
    scope = {v.name: v for v in (*loss.inputs, *(p.var for p in loss.params))}
    assert parse_expression(show(loss.expr), scope) is loss.expr
    assert not loss.holes


@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_laws_and_examples_hold(family: str) -> None:
    """Compiled C is compared with independent references elsewhere; here it would be compiled once more."""
    losses = [glo.zoo[name] for name in NAMES if glo.zoo.family(name) == family]
    for report in check_losses(losses, targets=["torch"], examples=DRAWS):
        assert not report.failures, "\n".join(line for failure in report.failures for line in failure.lines())
        assert report.laws >= 2 and report.examples >= 1 and not report.skipped and report.compared > 0


def on(loss: glo.Loss, target: str, arrays: dict[str, Any], dtype: torch.dtype) -> list[Any]:
    """The loss of each row and the gradients of their sum by every real input."""
    tensors = [torch.from_numpy(np.asarray(arrays[v.name])) for v in loss.inputs]
    tensors = [t.to(dtype) if t.is_floating_point() else t for t in tensors]
    wrt = [v.name for v in loss.inputs if v.type.kind == "real"]
    value, found = glo.compile(loss, target).value_and_grad(*tensors, wrt=wrt, reduction="none", dim=-1)
    return [part.double().numpy() for part in (value, *found.values())]


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=1)
@given(data=st.data())
def test_triton_agrees_with_float64(name: str, data: st.DataObject) -> None:
    loss = glo.zoo[name]
    arrays = data.draw(arrays_for(loss, 3, 4, np.float32, ("plain",)))
    rng = np.random.default_rng(0)
    shaken = [
        {key: a * (1 + 1e-6 * rng.uniform(-1, 1, a.shape)) if a.dtype == np.float32 else a for key, a in arrays.items()}
        for _ in range(4)
    ]
    truth = on(loss, "torch", arrays, torch.float64)
    with np.errstate(all="ignore"):
        mine = on(loss, "triton", arrays, torch.float32)
        for place, part in enumerate(mine):
            rest = np.abs(part - truth[place]) > NOTHING
            off = wrong(part, truth[place], [], 2e-5) & rest
            if off.any():  # shaking only excuses: it is done where there is something to excuse
                nearby = [on(loss, "torch", other, torch.float64)[place] for other in shaken]
                off = wrong(part, truth[place], nearby, 2e-5) & rest
            assert not off.any(), (name, place)

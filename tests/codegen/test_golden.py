"""The emitted text of every example, kept: whoever changes a printer or a pass sees what it does to real losses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import glo_dsl as glo
from glo_codegen.c import emit_c
from glo_codegen.c_preamble import PREAMBLE
from glo_codegen.listing import emit_listing
from glo_codegen.program import Program
from glo_codegen.torch_ import emit_torch
from glo_codegen.triton import emit_triton
from glo_dsl.passes.pipeline import compile_program, differentiable

EXAMPLES = sorted(p for p in (Path(__file__).parents[2] / "examples").glob("*.glo") if "?" not in p.read_text())
KEPT = Path(__file__).parents[1] / "golden"


def after_preamble(program: Program) -> str:
    """What is of this loss alone; the preamble is the same for all."""
    head = PREAMBLE.lstrip()
    text = emit_c(program)
    assert text.startswith(head)
    return text[len(head) :].lstrip("\n")


PRINTERS: dict[str, Callable[[Program], str]] = {
    "c": after_preamble, "torch.py": emit_torch, "triton.py": emit_triton, "program": emit_listing,
}  # fmt: skip


@pytest.mark.parametrize("kind", PRINTERS)
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_emitted_text(path: Path, kind: str, golden: Callable[[str, str], None]) -> None:
    loss = glo.load(path)[path.stem]
    program = compile_program(loss, [v.name for v in differentiable(loss)], walked=True)
    golden(PRINTERS[kind](program), f"{path.stem}.{kind}")


@pytest.mark.parametrize("kind", PRINTERS)
def test_no_kept_text_is_of_an_example_that_is_gone(kind: str) -> None:
    stems = {path.name.removesuffix(f".{kind}") for path in KEPT.glob(f"*.{kind}")}
    assert stems <= {path.stem for path in EXAMPLES}

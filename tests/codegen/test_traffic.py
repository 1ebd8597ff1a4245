"""The table of loads and stores: known numbers, and the same counts as in the text that is printed."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import given, settings

from glo_codegen.c import emit_c
from glo_codegen.program import Program
from glo_codegen.traffic import KEPT, Pass, emit_traffic, minimum, traffic
from glo_codegen.triton import emit_triton
from glo_dsl.lang.loss import Loss
from glo_dsl.passes.pipeline import whole_program
from glo_dsl.verify.strategies import losses
from tests.codegen.launching import loss_of

CROSS_ENTROPY = "loss ce(z: real[C], t: class[C]) = -log(softmax(z))[t]"
MIXED = "loss f(z: real[C], m: bool[C], w: shared real[C], x: real) = x * sum(if m then w * exp(z - max(z)) else 0)"


def totals(passes: list[Pass]) -> tuple[int, int, int]:
    return sum(len(p.reads) for p in passes), sum(len(p.writes) for p in passes), sum(p.bytes for p in passes)


def test_the_numbers_of_cross_entropy() -> None:
    found = traffic(whole_program(loss_of(CROSS_ENTROPY)), "bfloat16")
    assert [(p.reads, p.writes, p.bytes) for p in found["resident"]] == [
        (("z",), (), 2), ((), (), 0), ((), ("grad_z",), 2)
    ]  # fmt: skip
    assert totals(found["streaming"])[1:] == (1, 2 * (totals(found["streaming"])[0] + 1))
    assert totals(found["c"]) == (3, 2, 4 * 5)  # z twice; exp(z - max) kept, in float32, and read again
    assert minimum(whole_program(loss_of(CROSS_ENTROPY)), "bfloat16") == 4


@pytest.mark.parametrize(("dtype", "wide", "size"), [("float16", 4, 2), ("float32", 4, 4), ("float64", 8, 8)])
def test_conditions_are_bytes_and_terms_of_shared_gradients_are_wide(dtype: str, wide: int, size: int) -> None:
    program = whole_program(loss_of(MIXED))
    assert minimum(program, dtype) == size + 1 + size + wide  # z, m, grad_z, grad_w; w is on the chip
    assert totals(traffic(program, dtype)["resident"])[2] == minimum(program, dtype)


def test_without_classes_there_is_one_pass_over_the_rows() -> None:
    program = whole_program(loss_of("loss f(p: real, b: bool; k = 2) = if b then k * p else p"))
    ((only,),) = traffic(program, "bfloat16").values()
    assert (only.reads, only.writes, only.bytes) == (("p", "b"), ("loss", "grad_p", "grad_k"), 2 + 1 + 4 + 2 + 4)
    assert "bytes per row" in emit_traffic(program, "bfloat16")


def test_the_table_adds_up() -> None:
    text = emit_traffic(whole_program(loss_of(CROSS_ENTROPY)), "bfloat16")
    assert text.splitlines()[0] == "ce, bfloat16: bytes per element of [rows, classes]; the least is 4"
    assert re.search(r"^resident +all +1 +1 +4 = 1\.00 x 4$", text, re.M)
    assert re.search(r"^c +3 +grad_z +kept +grad_z +8$", text, re.M)


def triton_counts(program: Program, name: str) -> Counter[str]:
    """What a kernel loads column by column and stores; a shared row is not counted."""
    shared = {i.name for i in program.inputs if not i.per_sample}
    body = emit_triton(program).split(f"def {name}(")[1].split("\n\n\n")[0]
    loads = re.findall(r"tl\.load\(line_(\w+) \+ col\b", body) + re.findall(r"at = line_(\w+) \+ \(lane . BLOCK", body)
    # A row that is not usable is filled, by another store; the first, the full and the last blocks are one pass.
    stores = re.findall(r"tl\.store\((grad_\w+)_ptr \+ destination, gradient, mask=mask & usable\b", body)
    written = {out: count // (3 if "_stream_" in name else 1) for out, count in Counter(stores).items()}
    return Counter(name for name in loads if name not in shared) + Counter(written)


def c_counts(program: Program) -> Counter[str]:
    """What the body for long rows does."""
    body = emit_c(program).split(f"loss_{program.name}_wide(")[1].split("\nINLINE")[0]
    shared = {str(n) for n, i in enumerate(program.inputs) if not i.per_sample}
    loads = [program.inputs[int(n)].name for n in re.findall(r"= x(\d+)\[c\]", body) if n not in shared]
    kept = re.findall(r"= kept_\w+\[c\]|kept_\w+\[c\] =", body)
    stores = [f"grad_{program.gradients[int(k)]}" for k in re.findall(r"out(\d+)\[r \* n_classes \+ c\]", body)]
    return Counter([*loads, *(KEPT for _ in kept), *stores])


@settings(max_examples=40)
@given(losses(max_depth=5).filter(lambda loss: any(v.type.per_class for v in loss.inputs)))
def test_the_table_counts_what_is_printed(loss: Loss) -> None:
    program = whole_program(loss)
    found = {
        family: Counter(name for p in passes for name in (*p.reads, *p.writes))
        for family, passes in traffic(program, "float32").items()
    }
    assert found["resident"] == triton_counts(program, f"{program.name}_kernel")
    assert found["streaming"] == triton_counts(program, f"{program.name}_stream_kernel")
    assert found["c"] == c_counts(program)

"""What a launch without Python has to know, from kernels as Triton might build them; no compiler runs here."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import glo_dsl as glo
from glo_codegen.triton_launch import arguments
from glo_dsl.passes.pipeline import whole_program
from glo_dsl.runtime import aot
from glo_dsl.runtime.build_c import compiler
from glo_dsl.runtime.triton_compile import Built

FOCAL = Path(__file__).parents[2] / "examples" / "focal.glo"
NASTY = (
    "loss lambda(int: real[C], t: class[C], w: shared real[C], m: bool[C], y: real; double = 2) ="
    " if m[t] then w[t] * int[t] * double else y * sum(int)"
)
FIXED = {"0": 0, "1": 1, "none": None}
"""What Triton compiles in, for one plane of contiguous inputs without weights, by the type of an argument."""


def built(
    loss: glo.Loss, aligned: frozenset[str] = frozenset(), extra: str = "", ending: str = "kernel"
) -> Built:  # fmt: skip
    """A kernel with the parameters that Triton would give it, and `extra`."""
    every = [a for group in arguments(whole_program(loss)) for a in group]
    given = [a for a in every if a.type not in FIXED]
    fixed = {a.name: FIXED[a.type] for a in every if a.type in FIXED}
    pointers = [a.type.startswith("*") for a in given] + [True, True]
    kinds = [".u64 .ptr .global .align 1" if pointer else ".u32" for pointer in pointers] + [extra] * bool(extra)
    names = ",\n".join(f"\t.param {kind} k_param_{n}" for n, kind in enumerate(kinds))
    ptx = f".visible .entry k(\n{names}\n)\n{{\n\t.param .b32 no_param_0;\n}}"
    asm: dict[str, bytes | str] = {"ptx": ptx, "cubin": b"code"}
    aligned |= {a.name for a in given if a.type.startswith("*")}
    return Built(asm, f"{loss.name}_{ending}", 128, 16, 0, fixed, aligned, {"ROWS": 4, "BLOCK": 512})


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Callable[..., aot.Kernel]:
    def make(text: str, **options: Any) -> aot.Kernel:
        (loss,) = glo.loads(text).values()
        monkeypatch.setattr(aot, "build_triton", lambda *_: built(loss, **options))
        return aot.compile_ahead(whole_program(loss), "cuda:90")[0]

    return make


def test_the_header(kernel: Callable[..., aot.Kernel], golden: Callable[[str, str], None]) -> None:
    golden(aot.header(kernel(FOCAL.read_text()), "0"), "focal.h")


USE = """
#include <stdio.h>
#include "{name}.h"
#include "{name}.h"

int main(void) {{
    {name}_arguments arguments;
    void *pointers[{upper}_ARGUMENTS];
    unsigned int blocks = 77;
{fill}
{change}
    printf("%d", {name}_prepare(&arguments, pointers, &blocks));
    printf(" %u", blocks);
    if (blocks != 77)
        for (int n = 0; n < {upper}_ARGUMENTS; n++) printf(" %ld", (long)*(int32_t *)pointers[n]);
    return 0;
}}
"""


def ran(kernel: aot.Kernel, folder: Path, change: str = "") -> list[int]:
    """What a C program gets that includes the header and gives the n-th argument the number 16 n, but for a change."""
    name = f"glo_{kernel.loss}"
    fill = "\n".join(f"    arguments.{p.name} = {16 * n};" for n, p in enumerate(kernel.parameters, 1))
    (folder / f"{name}.h").write_text(aot.header(kernel, "0"))
    (folder / "use.c").write_text(USE.format(name=name, upper=name.upper(), fill=fill, change=change))
    flags = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    done = subprocess.run([*compiler()[0], *flags, "use.c", "-o", "use"], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [int(word) for word in subprocess.run([folder / "use"], capture_output=True, text=True).stdout.split()]


@pytest.mark.parametrize(
    ("text", "aligned"),
    [
        (FOCAL.read_text(), frozenset()),
        (NASTY, frozenset({"in_int_row_stride", "classes"})),
    ],
    ids=["focal", "nasty"],
)
def test_a_c_program_launches_with_the_arguments_in_order(
    text: str, aligned: frozenset[str], kernel: Callable[..., aot.Kernel], tmp_path: Path
) -> None:
    made = kernel(text, aligned=aligned)
    numbers = {p.name: n for n, p in enumerate(made.parameters, 1)}
    status, blocks, *values = ran(made, tmp_path)
    assert status == 0 and values == [16 * n for n in numbers.values()]
    assert blocks == -(-16 * numbers["rows"] // 4)
    assert ran(made, tmp_path, "arguments.loss_ptr = 8;") == [numbers["loss_ptr"], 77]
    assert ran(made, tmp_path, "arguments.classes = 528;") == [numbers["classes"], 77]
    assert ran(made, tmp_path, "arguments.rows = -16;") == [numbers["rows"], 77]
    assert ran(made, tmp_path, "arguments.classes = 24;")[0] == (numbers["classes"] if aligned else 0)
    assert made.symbol == f"{made.loss}_kernel"


def test_a_kernel_that_streams_takes_any_number_of_classes(kernel: Callable[..., aot.Kernel]) -> None:
    assert kernel(FOCAL.read_text()).classes == (1, 512)
    assert kernel(FOCAL.read_text(), ending="stream_kernel").classes == (1, 2**31 - 1)


def test_the_same_as_data(kernel: Callable[..., aot.Kernel]) -> None:
    made = kernel(FOCAL.read_text())
    data = json.loads(aot.as_json(made))
    assert [p["name"] for p in data["parameters"]] == [p.name for p in made.parameters]
    assert data["threads"] == 128 and data["shared_bytes"] == 16 and data["classes"] == [1, 512]


def test_every_argument_says_what_it_holds(kernel: Callable[..., aot.Kernel]) -> None:
    meanings = {p.name: p.meaning for p in kernel(NASTY).parameters}
    assert meanings["in_int_ptr"] == "float32 [rows, classes], classes side by side: input int"
    assert meanings["in_w_ptr"] == "float32 [classes], contiguous: input w"
    assert meanings["in_m_ptr"] == "uint8 [rows, classes], classes side by side: input m"
    assert meanings["in_t_ptr"] == "int64 [rows], contiguous: input t"
    assert meanings["grad_y_ptr"] == "float32 [rows], contiguous, written: the gradient by y"
    assert "[rows, classes], contiguous, written: terms of the gradient by w" in meanings["grad_w_ptr"]
    assert "[rows], contiguous, written: terms of the gradient by double" in meanings["grad_double_ptr"]


def test_a_triton_that_passes_something_else_is_refused(kernel: Callable[..., aot.Kernel]) -> None:
    with pytest.raises(glo.GloError, match=r"does not know: pointer.*\.f32"):
        kernel(FOCAL.read_text(), extra=".f32")

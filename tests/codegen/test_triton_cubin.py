"""Machine code without a GPU: everything compiles, and no example spills registers.

Compilation runs in one process of its own, for the others have Triton's interpreter on.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from glo_codegen.program import Instr, Program
from glo_dsl.errors import GloError
from glo_dsl.ir.ops import UNKNOWN, Op
from glo_dsl.ir.table import OPS
from glo_dsl.lang.definitions import losses_of
from glo_dsl.passes.pipeline import compile_program, differentiable
from glo_dsl.runtime.resources import tool, usage
from glo_dsl.runtime.triton_compile import compile_triton

EXAMPLES = sorted(p for p in (Path(__file__).parents[2] / "examples").glob("*.glo") if "?" not in p.read_text())
LONG = [path for path in EXAMPLES if "real[C]" in path.read_text()]
"""The examples that have rows: they are compiled for long ones too."""
ZOO = ["forward_kl", "confidence_penalty", "bi_tempered", "crammer_singer", "tsallis_score"]
"""Losses of the library whose streaming kernels have many inputs, sums or passes, or follow a maximum in some way."""
POPULATION = ["cross_entropy", "baikal", "focal"]
"""Examples that are one kernel as well."""
TARGETS = [("cuda:80", "cubin"), ("cuda:100", "ptx"), ("hip:gfx942", "hsaco"), ("cuda:90", "ttgir")]

COMPILER = """
import sys
from pathlib import Path
import glo_dsl as glo
from glo_dsl.passes.pipeline import whole_program
from glo_codegen.triton_launch import tiled
from test_triton_cubin import EXAMPLES, POPULATION, TARGETS, ZOO, program_of, synthetic
from glo_dsl.runtime import triton_compile
from glo_dsl.runtime.triton_compile import build_switch, build_triton, compile_triton

folder = Path(sys.argv[1])
for path in EXAMPLES:
    program = program_of(path.read_text())
    for classes in (10, 1000):
        code = compile_triton(program, "cuda:90", "cubin", classes=classes)
        (folder / f"{path.stem}.{classes}.cubin").write_bytes(code)
    if tiled(program):
        code = compile_triton(program, "cuda:90", "cubin", "bfloat16", classes=262144)
        (folder / f"{path.stem}.262144.cubin").write_bytes(code)
for name in ZOO:
    code = compile_triton(whole_program(glo.zoo[name]), "cuda:90", "cubin", "bfloat16", classes=262144)
    (folder / f"{name}.262144.cubin").write_bytes(code)
population = [program_of(path.read_text()) for path in EXAMPLES if path.stem in POPULATION]
for classes in (10, 1000):
    code = build_switch(population, "cuda:90", classes=classes).asm["cubin"]
    (folder / f"population.{classes}.cubin").write_bytes(code)
for number, text in enumerate(synthetic()):
    code = compile_triton(program_of(text), "cuda:90", "cubin", "bfloat16", 256)
    (folder / f"synthetic{number}.cubin").write_bytes(code)
for path in EXAMPLES:
    if not tiled(program_of(path.read_text())):
        ptx = build_triton(program_of(path.read_text()), "cuda:90", "bfloat16", aligned=True).asm["ptx"]
        (folder / f"{path.stem}.ptx").write_text(ptx)
printed = triton_compile.emit_triton
triton_compile.emit_triton = lambda *args: printed(*args).replace("dense=False", "dense=True")  # as launches mostly are
for classes in (1000, 50257):
    ptx = build_triton(whole_program(glo.zoo["cross_entropy"]), "cuda:90", "bfloat16", classes).asm["ptx"]
    (folder / f"dense.{classes}.ptx").write_text(ptx)
triton_compile.emit_triton = printed
for target, kind in TARGETS:
    code = compile_triton(program_of(EXAMPLES[0].read_text()), target, kind, "float16")
    (folder / f"{target}.{kind}".replace(":", "_")).write_bytes(code.encode() if isinstance(code, str) else code)
assert "gl" + "o-" not in (folder / "cuda_90.ttgir").read_text()
"""


def program_of(text: str) -> Program:
    (loss,) = losses_of(text).values()
    return compile_program(loss, [v.name for v in differentiable(loss)], walked=True)


def use(op: Op) -> str:
    """A number per sample that an operator enters into, as `.glo` text."""
    words = {"real": ["z", "y", "k"], "bool": ["m", "b"], "class": ["t", "t"], "any": ["y", "z"]}
    args = [words[kind].pop(0) for kind in op.kinds[:-1]]
    if op.twins:  # beside its derivative, which is of the other sign, it would be computed from what both have
        args = [f"stop({args[0]})"]
    if op.notation:
        text = f"({args[0]} {op.notation[0]} {args[1]})" if len(args) == 2 else f"({op.notation[0]} {args[0]})"
    elif op.call == "[]":
        text = f"{args[0]}[{args[1]}]"
    elif op.call == "if":
        text = f"(if {args[0]} then {args[1]} else {args[2]})"
    elif not op.call.isidentifier():
        text = f"({args[0]} {op.call} {args[1]})"
    else:
        text = f"{op.call}({', '.join(args)})"
    if UNKNOWN in op.vjp:
        text = f"stop({text})"
    if op.kinds[-1] == "bool":
        text = f"(if {text} != (v < z) then z else y)"
    return text if op.shape in ("reduce", "gather") else f"sum({text} * v)"


def synthetic(size: int = 9) -> list[str]:
    """Losses that use every operator of the table, `size` of them at a time."""
    uses = [use(op) for op in OPS.values()]
    head = "loss f(z: real[C], y: real[C], v: real[C], t: class[C], m: bool[C], b: bool; k = 0.5) ="
    return [f"{head} {' + '.join(uses[n : n + size])}" for n in range(0, len(uses), size)]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compiled")
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    environment |= {
        "TRITON_CACHE_DIR": str(folder / "cache"),
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path]),
    }
    done = subprocess.run(
        [sys.executable, "-c", COMPILER, str(folder)], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


def test_the_synthetic_losses_use_every_operator_that_triton_spells() -> None:
    programs = [program_of(text) for text in synthetic()] + [program_of(p.read_text()) for p in EXAMPLES]
    used = {step.op.name for p in programs for step in p.steps() if isinstance(step, Instr)}
    used |= {reduction.op.name for p in programs for phase in p.phases for reduction in phase.reductions}
    assert {op.name for op in OPS.values() if op.triton} <= used


def test_everything_compiles_to_machine_code(compiled: Path) -> None:
    cubins = sorted(compiled.glob("*.cubin"))
    assert len(cubins) == 2 * len(EXAMPLES) + len(LONG) + len(ZOO) + len(synthetic()) + 3
    for path in [*cubins, compiled / "hip_gfx942.hsaco"]:
        assert path.read_bytes()[:4] == b"\x7fELF"
    assert ".target sm_100" in (compiled / "cuda_100.ptx").read_text()


def test_maximum_propagates_nan(compiled: Path) -> None:
    """Triton's interpreter always does, the hardware only when asked."""
    ptx = (compiled / "cuda_100.ptx").read_text()
    assert "max.NaN" in ptx
    assert "max.f32" not in ptx


@pytest.mark.parametrize(
    ("name", "classes"),
    [(name, c) for name in (*(p.stem for p in EXAMPLES), "population") for c in (10, 1000)]
    + [(name, 262144) for name in (*(p.stem for p in LONG), *ZOO)],
)
def test_no_example_spills(compiled: Path, name: str, classes: int) -> None:
    if tool() is None:
        pytest.skip("this Triton ships no cuobjdump")
    used = usage((compiled / f"{name}.{classes}.cubin").read_bytes())
    assert used.stack == used.local == used.spills == 0 < used.registers <= 128


@pytest.mark.parametrize(
    ("target", "kind", "dtype", "message", "hint"),
    [
        ("cuda:9", "ptx", "float32", "unknown target cuda:9", "cuda:90"),
        ("tpu", "ptx", "float32", "unknown target tpu", "choose one of cuda:80"),
        ("cuda:90", "hsaco", "float32", "no hsaco for cuda:90", "cubin"),
        ("hip:gfx942", "ptx", "float32", "no ptx for hip:gfx942", "amdgcn"),
        ("cuda:90", "ptx", "int8", "unknown dtype int8", "float32"),
    ],
)
def test_what_cannot_be_compiled_is_named(target: str, kind: str, dtype: str, message: str, hint: str) -> None:
    with pytest.raises(GloError, match=message) as caught:
        compile_triton(program_of(EXAMPLES[0].read_text()), target, kind, dtype)
    assert hint in (caught.value.hint or "")


def test_the_interpreter_compiles_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    with pytest.raises(GloError, match="interpreter"):
        compile_triton(program_of(EXAMPLES[0].read_text()), "cuda:90", "ptx")


@pytest.mark.parametrize("name", [p.stem for p in EXAMPLES if p not in LONG])
def test_adjacent_rows_are_loaded_as_vectors(compiled: Path, name: str) -> None:
    """8 numbers of 16 bits at a time: one by one, they would keep a fast memory waiting."""
    ptx = (compiled / f"{name}.ptx").read_text()
    assert "ld.global.v4.b32" in ptx and "st.global.v4.b32" in ptx and "ld.global.b16" not in ptx


@pytest.mark.parametrize(("classes", "singly"), [(1000, 8), (50257, 80)])
def test_rows_that_begin_where_no_16_numbers_do_are_read_as_vectors(compiled: Path, classes: int, singly: int) -> None:
    """One by one are read: of rows of multiples of 8 the logit of the class, by each warp; of others their two ends."""
    ptx = (compiled / f"dense.{classes}.ptx").read_text()
    assert re.search(r"ld\.global\S*\.v4\.b32", ptx) and re.search(r"st\.global\S*\.v4\.b32", ptx)
    assert len(re.findall(r"ld\.global\S*\.b16", ptx)) <= singly

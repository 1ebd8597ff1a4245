from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from glo_dsl.runtime.build_c import compiler
from glo_dsl.runtime.resources import tool
from tests.cli.conftest import Run

EXAMPLES = Path(__file__).parents[2] / "examples"
FOCAL = EXAMPLES / "focal.glo"


@pytest.mark.parametrize(
    ("stage", "holds"),
    [
        ("tree", "loss\n"),
        ("ir", "pow("),
        ("gradient", "d focal / d z = "),
        ("latex", r"\frac{\partial\, \mathrm{focal}}{\partial \gamma} = "),
        ("program", "store grad_z"),
        ("traffic", "resident   all"),
        ("triton", "@triton.jit"),
        ("c", "#pragma omp simd"),
        ("torch", "def launch_torch("),
    ],
)
def test_stages_are_printed(run: Run, stage: str, holds: str) -> None:
    done = run("glo-compile", FOCAL, "--emit", stage)
    assert done.returncode == 0 and holds in done.stdout.decode()


def test_traffic_is_counted_for_a_dtype(run: Run) -> None:
    text = run("glo-compile", FOCAL, "--emit", "traffic", "--dtype", "bfloat16").stdout.decode()
    assert text.startswith("focal, bfloat16: ") and "4 = 1.00 x 4" in text


def test_glo_compile_and_glo_dash_compile_are_the_same(run: Run) -> None:
    words = (FOCAL, "--emit", "gradient")
    assert run("glo", "compile", *words).stdout == run("glo-compile", *words).stdout


@pytest.mark.parametrize(
    ("words", "start"),
    [
        (("--target", "cuda:90"), b"\x7fELF"),
        (("--emit", "ptx", "--target", "cuda:80"), b"//"),
        (("--target", "hip:gfx942"), b"\x7fELF"),
        (("--target", "cpu"), b"#include"),
    ],
)
def test_targets_need_no_gpu(run: Run, tmp_path: Path, words: tuple[str, ...], start: bytes) -> None:
    done = run("glo-compile", FOCAL, *words, "-o", "out")
    assert done.returncode == 0, done.stderr.decode()
    assert (tmp_path / "out").read_bytes().lstrip()[: len(start)] == start


@pytest.mark.parametrize(("file", "classes"), [("focal", 1000), ("focal", 1024), ("huber", 1)])
def test_a_cubin_in_a_directory_comes_with_what_a_launch_has_to_know(
    run: Run, tmp_path: Path, file: str, classes: int
) -> None:
    done = run("glo-compile", EXAMPLES / f"{file}.glo", "--target", "cuda:90", "--classes", classes, "-o", "new/out/")
    assert done.returncode == 0, done.stderr.decode()
    folder = tmp_path / "new" / "out"
    assert {path.name for path in folder.iterdir()} == {f"{file}.cubin", f"{file}.h", f"{file}.json"}
    kernel = json.loads((folder / f"{file}.json").read_text())
    assert kernel["symbol"].encode() in (folder / f"{file}.cubin").read_bytes()
    multiples = {p["name"]: p["multiple_of"] for p in kernel["parameters"]}
    assert "in_t_row_stride" not in multiples and multiples["loss_ptr"] == 16  # compiled in; aligned
    assert multiples.get("in_z_row_stride") == (None if file == "huber" else 16 if classes == 1024 else 1)
    (folder / "use.c").write_text(f'#include "{file}.h"\nint n = GLO_{file.upper()}_THREADS;\n')
    flags = ["-fsyntax-only", "-std=c99", "-Wall", "-Wextra", "-Werror"]
    checked = subprocess.run([*compiler()[0], *flags, "use.c"], cwd=folder, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr


def test_a_directory_is_no_place_for_what_is_no_cubin(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for words in (("--target", "cpu", "-o", "."), ("--target", "cuda:90", "-o", "file/")):
        done = run("glo-compile", FOCAL, *words)
        assert done.returncode == 1 and b"cannot " in done.stderr


def test_resources(run: Run) -> None:
    if tool() is None:
        pytest.skip("this Triton ships no cuobjdump")
    words = "--emit", "resources", "--classes", "8000"  # so many that several warps meet in shared memory
    done = run("glo-compile", FOCAL, *words, "--target", "cuda:80, cuda:90")
    assert done.returncode == 0, done.stderr.decode()
    head, *rows = done.stdout.decode().splitlines()
    assert head.split() == ["target", "registers", "stack", "local", "spills", "shared"]
    assert [row.split()[0] for row in rows] == ["cuda:80", "cuda:90"]
    for row in rows:
        registers, stack, local, spills, shared = map(int, row.split()[1:])
        assert 16 < registers <= 128 and stack == local == spills == 0 < shared
    refused = run("glo-compile", FOCAL, "--emit", "resources", "--target", "hip:gfx942")
    assert refused.returncode == 1 and b"choose a target cuda:NN" in refused.stderr


USE = """
import sys
import torch
import {module} as shipped
loss = shipped.{name}
inputs = []
for spec in loss.spec.inputs:
    if spec.kind == "class":
        inputs.append(torch.tensor([0, 2, 1, -100]))
    else:
        inputs.append(torch.randn(4, 3, requires_grad=True) if spec.rows else torch.randn(4, requires_grad=True))
loss(*inputs).backward()
assert inputs[0].grad.isfinite().all() and inputs[0].grad.abs().sum() > 0
assert not [m for m in sys.modules if m.startswith("glo_")]
print(loss(*inputs).item())
"""


@pytest.mark.parametrize("file", sorted(f.stem for f in EXAMPLES.glob("*.glo") if f.stem != "glo"))
def test_the_standalone_module_works_without_glo_dsl(run: Run, tmp_path: Path, file: str) -> None:
    done = run("glo-compile", EXAMPLES / f"{file}.glo", "-o", f"my_{file}.py")
    assert done.returncode == 0, done.stderr.decode()
    text = (tmp_path / f"my_{file}.py").read_text()
    assert all(f"#     {line}".rstrip() in text for line in (EXAMPLES / f"{file}.glo").read_text().splitlines())
    code = f"import sys; sys.path.insert(0, '.')\n{USE.format(module=f'my_{file}', name=file)}"
    used = subprocess.run([sys.executable, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert used.returncode == 0, used.stderr


def test_names_that_the_module_uses_itself(run: Run, tmp_path: Path) -> None:
    (tmp_path / "f.glo").write_text("loss lambda(torch: real, def_: real; Tensor = 1) = Tensor * (torch - def_) ^ 2")
    assert run("glo-compile", "f.glo", "-o", "f.py").returncode == 0
    code = (
        "import sys; sys.path.insert(0, '.'); import f, torch; print(f.lambda_(torch.ones(2), torch.zeros(2)).item())"
    )
    used = subprocess.run([sys.executable, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert used.stdout.strip() == "1.0", used.stderr


BAD = {
    "unknown name": ("loss f(x: real) = x + foo", "1:23: unknown name foo", "^^^"),
    "vector body": ("loss f(z: real[C]) = softmax(z)", "the body has type real[C]", "reduce it with sum or mean"),
    "hole": ("loss f(x: real) = ?g(x)", "f has a hole: ?g", "glo search"),
    "parenthesis": ("loss f(x: real) = (x + 1", "the text ends too early", "never closed"),
    "3000 parentheses": ("loss f(x: real) = " + "(" * 3000 + "x" + ")" * 3000, "nested more than 200 deep", "^"),
    "nothing": ("", "has no losses", "write: loss NAME"),
    "no class count": ("loss f(t: class[C], w: real) = w", "tells the number of classes", "^"),
    "binary": ("loss f(\x00", "unexpected character", "^"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_said_to_be_so(run: Run, tmp_path: Path, case: str) -> None:
    text, message, hint = BAD[case]
    (tmp_path / "bad.glo").write_text(text)
    done = run("glo-compile", "bad.glo", "-o", "out.py")
    error = done.stderr.decode()
    assert done.returncode == 1 and "bad.glo" in error
    assert message in error and hint in error
    assert not (tmp_path / "out.py").exists()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("nothing.glo",), 1, "cannot read nothing.glo"),
        ((EXAMPLES,), 1, "cannot read"),
        ((FOCAL, "--emit", "pxt"), 1, "did you mean ptx?"),
        ((FOCAL, "--emit", "trafic"), 1, "did you mean traffic?"),
        ((FOCAL, "--emit", "traffic", "--dtype", "int8"), 1, "choose one of float64, float32"),
        ((FOCAL, "--target", "tpu"), 1, "unknown target tpu"),
        ((FOCAL, "--target", "cuda:12345"), 1, "unknown target cuda:12345"),
        ((FOCAL, "--emit", "cubin", "--target", "hip:gfx942", "-o", "x"), 1, "no cubin for hip:gfx942"),
        ((FOCAL, "--emit", "cubin"), 1, "write it to a file"),
        ((FOCAL, "--loss", "focl"), 1, "did you mean focal?"),
        ((FOCAL, "-o", "no/such/dir.py"), 1, "cannot write"),
        ((FOCAL, "--emti", "c"), 2, "--emit"),
        ((), 2, "Missing argument"),
    ],
)
def test_mistakes_on_the_command_line(run: Run, words: tuple[object, ...], code: int, message: str) -> None:
    done = run("glo-compile", *words)
    assert done.returncode == code and message in done.stderr.decode(), done.stderr.decode()


def test_a_file_of_several_losses_asks_which(run: Run, tmp_path: Path) -> None:
    (tmp_path / "two.glo").write_text("loss a(x: real) = x\nloss b(x: real) = -x\n")
    done = run("glo-compile", "two.glo", "--emit", "gradient")
    assert done.returncode == 1 and "--loss: a, b" in done.stderr.decode()
    assert run("glo-compile", "two.glo", "--loss", "b", "--emit", "gradient").stdout.decode().startswith("b = -x")


def test_version_and_help(run: Run) -> None:
    assert run("glo", "--version").stdout.decode().startswith("glo-dsl ")
    assert "--task" in run("glo", "search", "--help").stdout.decode()
    assert "did you mean" in run("glo", "serch").stderr.decode().lower()

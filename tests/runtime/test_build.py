"""When kernels are built, with what, and that the same call gives the same bits."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

import glo_dsl as glo
from glo_dsl.runtime import build_c, cache
from glo_dsl.runtime.contract import CompiledLoss

Make = Callable[[str, str], CompiledLoss]
FOCAL = "loss focal(z: real[C], t: class[C]; gamma = 2) = let p = softmax(z)[t] in -(1 - p) ^ gamma * log(p)"
CROSS_ENTROPY = "loss cross_entropy(z: real[C], t: class[C]) = -log(softmax(z)[t])"

BITS = f"""
import hashlib, torch, glo_dsl as glo
fn = glo.compile(glo.loads("{FOCAL}")["focal"], "c")
digest = hashlib.sha256()
for rows, classes in [(3001, 10), (700, 130), (40, 4099), (50000, 3)]:
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(rows, classes, generator=generator)
    t = torch.randint(0, classes, (rows,), generator=generator)
    value, gradients = fn.value_and_grad(z, t, wrt=["z", "gamma"])
    for tensor in (value, gradients["z"]):
        digest.update(tensor.numpy().tobytes())
print(digest.hexdigest())
"""


def subprocess_output(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_same_bits_for_any_number_of_threads() -> None:
    found = {subprocess_output(BITS, OMP_NUM_THREADS=threads) for threads in ("1", "2")}
    assert len(found) == 1


def test_the_same_bits_run_after_run(make: Make) -> None:
    z, t = torch.randn(3000, 50), torch.randint(0, 50, (3000,))
    results = [make("cross_entropy", "c").value_and_grad(z, t) for _ in range(5)]
    assert all(torch.equal(v, results[0][0]) and torch.equal(g["z"], results[0][1]["z"]) for v, g in results)


def test_no_value_of_a_constant_compiles_anything(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    fn = make("focal", "c")
    z, t = torch.randn(8, 4), torch.randint(0, 4, (8,))
    fn.value_and_grad(z, t, wrt=["z", "gamma"])
    fn(z, t)

    def refuse(*_: object) -> None:
        raise AssertionError("a kernel was built")

    monkeypatch.setattr(build_c, "_build", refuse)
    monkeypatch.setattr(cache, "fetch", refuse)
    monkeypatch.setattr(build_c, "fetch", refuse)
    p = z.softmax(-1)[torch.arange(8), t]
    for step in range(1000):
        gamma = step / 200
        value, _ = fn.value_and_grad(z, t, wrt=["z", "gamma"], gamma=gamma)
        if step % 100 == 0:
            torch.testing.assert_close(value, (-((1 - p) ** gamma) * p.log()).mean())


def test_each_precision_and_choice_of_gradients_is_built_once(monkeypatch: pytest.MonkeyPatch) -> None:
    built = []
    build = build_c._build
    monkeypatch.setattr(build_c, "_build", lambda *args: (built.append(args[1]), build(*args)))
    fn = glo.compile(glo.loads("loss once(p: real, y: real; k = 3) = k * (p - y) ^ 4")["once"], "c")
    p, y = torch.randn(5, requires_grad=True), torch.randn(5)
    for _ in range(3):
        fn(p, y).backward()
        fn.value_and_grad(p.detach(), y)
        with torch.no_grad():
            fn(p, y)
    assert sum("glo_once" in text for text in built) == 2  # with the gradient by p, and without any


def test_without_a_compiler_torch_serves_and_one_warning_says_so(
    forgetful: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", "")
    z, t = torch.randn(4, 3, requires_grad=True), torch.tensor([0, 1, 2, 0])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for text in (CROSS_ENTROPY, CROSS_ENTROPY.replace("cross_entropy", "other")):
            (loss,) = glo.loads(text).values()
            value = glo.compile(loss)(z, t)
            torch.testing.assert_close(value, F.cross_entropy(z, t))
            value.backward()
    assert [str(w.message) for w in caught] == [
        "no C compiler (cc, gcc or clang) was found; losses on the CPU run as PyTorch operations, several times slower"
    ]
    assert caught[0].filename == __file__


def test_without_a_compiler_the_c_target_itself_is_refused(forgetful: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(build_c.NoCompiler, match="no C compiler"):
        glo.compile(glo.loads(CROSS_ENTROPY)["cross_entropy"], "c")(torch.randn(4, 3), torch.tensor([0, 1, 2, 0]))


@pytest.mark.parametrize("script", ["exit 1", "echo broken >&2; exit 1", "kill -9 $$"])
def test_a_compiler_that_builds_nothing_is_no_compiler(
    script: str, forgetful: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "cc"
    broken.write_text(f"#!/bin/sh\n{script}\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CC", str(broken))
    text = CROSS_ENTROPY.replace("cross_entropy", "unbuilt")
    fn = glo.compile(glo.loads(text)["unbuilt"])
    z, t = torch.randn(4, 3), torch.tensor([0, 1, 2, 0])
    with pytest.warns(UserWarning, match="could not build a kernel"):
        torch.testing.assert_close(fn(z, t), F.cross_entropy(z, t))


def test_a_compiler_of_few_abilities_still_builds(
    forgetful: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither OpenMP nor -march nor a preferred vector width."""
    (real, *_), _ = build_c.compiler()
    simple = tmp_path / "cc"
    simple.write_text(
        f'#!/bin/sh\nfor a in "$@"; do case "$a" in -fopenmp*|-m*) exit 1;; esac; done\nexec {real} "$@"\n'
    )
    simple.chmod(0o755)
    build_c.compiler.cache_clear()
    monkeypatch.setenv("CC", str(simple))
    fn = glo.compile(glo.loads(CROSS_ENTROPY.replace("cross_entropy", "simple"))["simple"], "c")
    z, t = torch.randn(400, 30), torch.randint(0, 30, (400,))
    torch.testing.assert_close(fn(z, t), F.cross_entropy(z, t))


def test_importing_the_package_imports_no_tensor_library() -> None:
    code = "import sys, glo_dsl; glo_dsl.loads('loss f(x: real) = x'); print({'torch', 'triton'} & set(sys.modules))"
    assert subprocess_output(code) == "set()"


def test_writing_a_standalone_module_imports_none_either() -> None:
    code = (
        "import sys, glo_dsl as glo; from glo_dsl.runtime.standalone import standalone;"
        "standalone(glo.zoo['cross_entropy'], '0'); print({'torch', 'triton'} & set(sys.modules))"
    )
    assert subprocess_output(code) == "set()"

"""Exports: what is written is right, is checked, says so, and needs nothing of ours."""

from __future__ import annotations

import ast
import builtins
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, assume, given, settings

import glo_dsl as glo
from glo_dsl.errors import GloError
from glo_dsl.exports.export import TARGETS, export
from glo_dsl.exports.running import check_text
from glo_dsl.exports.texts import array_text, sympy_text
from glo_dsl.lang.loss import Loss
from glo_dsl.runtime.load_module import load_module
from glo_dsl.verify.strategies import losses
from tests.exports.programs import HOSTILE, SAMPLE

FEW = {"phases": [Phase.generate], "suppress_health_check": list(HealthCheck)}


def loss_of(text: str) -> Loss:
    return list(glo.loads(text).values())[-1]


def tried(loss: Loss, text: str, target: str) -> bool:
    """Checks a text; a loss that has no number anywhere says nothing of it."""
    try:
        check_text(loss, text, target)
    except GloError as error:
        if "no number to compare" in error.message:
            return False
        raise
    return True


@pytest.mark.parametrize("target", ["torch", "sympy"])
@pytest.mark.parametrize("name", SAMPLE)
def test_losses_of_the_library(name: str, target: str) -> None:
    loss = glo.zoo[name]
    try:
        text = export(loss, target)
    except GloError as error:
        assert target == "sympy" and "operations written out" in error.message, error
        return
    assert "Checked against the loss in float64" in text and "glo_dsl" not in text


@settings(max_examples=settings().max_examples // 12, **FEW)  # type: ignore[arg-type]
@given(losses(max_depth=4))
def test_random_programs_as_torch_and_numpy(loss: Loss) -> None:
    for target in ("torch", "numpy"):
        assume(tried(loss, array_text(loss, target), target))


@settings(max_examples=settings().max_examples // 16, **FEW)  # type: ignore[arg-type]
@given(losses(max_depth=3))
def test_random_programs_as_sympy(loss: Loss) -> None:
    assume(tried(loss, sympy_text(loss), "sympy"))


@pytest.mark.parametrize("target", ["torch", "numpy", "sympy"])
def test_hostile_names(target: str) -> None:
    text = export(loss_of(HOSTILE), target)
    assert "def lambda_(" in text
    names = {n.id for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    assert not {name for name in names if hasattr(builtins, name) or name.startswith("__")}


@pytest.mark.parametrize("target", TARGETS)
def test_no_text_of_a_stranger_gets_out_of_its_comment(target: str) -> None:
    source = '# \u00e9\u2028import os\x0bos.abort()\r"""\n\\input{/etc/passwd}\nloss f(x: real) = x'.replace(
        "\n\\", "\n# \\"
    )
    head = export(glo.loads(source)["f"], target, check=False).partition("\n\n")[0]
    mark = "%" if target == "latex" else "#"
    assert all(line.startswith(mark) for line in head.splitlines()) and head.isascii() and "\\" not in head


# The calling contract of the functions of arrays.


def function(text: str, target: str = "torch", name: str = "f") -> Callable[..., Any]:
    found: Callable[..., Any] = getattr(load_module(array_text(loss_of(text), target)), name)
    return found


def test_reductions_and_rows_that_are_ignored() -> None:
    f = function("loss f(z: real[C], t: class[C], w: shared real[C]; k = 1) = -k * w[t] * log_softmax(z)[t] per w[t]")
    z, t = (
        torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)),
        torch.tensor([0, -100, 2, 1]),
    )
    w, k = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64), torch.tensor(2.0, dtype=torch.float64)
    want = torch.nn.functional.cross_entropy(z, t, w)
    torch.testing.assert_close(f(z, t, w), want)
    torch.testing.assert_close(f(z, t, w, reduction="sum"), want * 6)
    assert f(z, t, w, reduction="none")[1] == 0
    z[1] = math.nan
    z.requires_grad_(), k.requires_grad_()
    f(z, t, w, k=k).backward()
    assert z.grad is not None and k.grad is not None
    assert not z.grad[1].any() and z.grad[[0, 2, 3]].isfinite().all() and k.grad.isfinite()
    with pytest.raises(ValueError, match='"mean", "sum" or "none"'):
        f(z, t, w, reduction="avg")


def test_more_axes_and_low_precision() -> None:
    f = function("loss f(z: real[C], t: class[C]) = -log_softmax(z)[t]")
    z, t = torch.randn(2, 5, 3).bfloat16(), torch.randint(3, (2, 5))
    assert f(z, t, reduction="none").shape == (2, 5) and f(z, t).dtype == torch.float32
    huber = function("loss f(p: real, y: real; d = 1) = if abs(p - y) < d then (p - y) ^ 2 else d", "numpy")
    assert huber(np.zeros((2, 3), np.float16), np.ones((2, 3), np.float16), reduction="none").dtype == np.float32


def test_a_loss_that_is_one_number() -> None:
    for target, array in (("numpy", np.zeros((2, 3))), ("torch", torch.zeros(2, 3))):
        assert (function("loss f(z: real[C]; k = 2) = k", target)(array, reduction="none") == 2).all()
        assert (function("loss f(z: real[C]) = 3", target)(array, reduction="none") == 3).all()
        assert function("loss f(z: real[C]) = C", target)(array).item() == 3


def test_class_indices_out_of_range() -> None:
    for bad in (3, -1):
        with pytest.raises(IndexError, match="outside"):
            function("loss f(z: real[C], t: class[C]) = z[t]", "numpy")(np.zeros((1, 3)), np.array([bad]))


def test_the_module_trains_its_parameters() -> None:
    text = array_text(glo.zoo["focal"], "torch")
    module = load_module(text).FocalLoss(gamma=1.5, learnable=["gamma"], ignore_index=1)
    z, t = torch.randn(4, 3), torch.tensor([0, 1, 2, 2])
    module(z, t).backward()
    (gamma,) = module.parameters()
    assert gamma.item() == 1.5 and gamma.grad.isfinite() and gamma.grad != 0
    torch.testing.assert_close(
        module(z, t).detach(), glo.compile(glo.zoo["focal"], "torch")(z, t, gamma=1.5, ignore_index=1)
    )


@pytest.mark.parametrize("name", ["focal", "baikal", "taylor3", "smoothed_cross_entropy"])
def test_masked_classes_and_large_logits(name: str) -> None:
    loss = glo.zoo[name]
    z, t = torch.randn(4, 5, dtype=torch.float64), torch.tensor([0, 1, 2, 3])
    z[0, 4] = -math.inf
    z[1] *= 300
    z.requires_grad_()
    value = load_module(array_text(loss, "torch")).__dict__[name](z, t, reduction="none")
    value.sum().backward()
    mine, gradients = glo.compile(loss, "torch").value_and_grad(z.detach(), t, reduction="none")
    finite = mine.isfinite()
    assert z.grad is not None and bool(finite[2:].all())
    torch.testing.assert_close(value.detach()[finite], mine[finite])
    known = gradients["z"].isfinite()
    torch.testing.assert_close(z.grad[known], gradients["z"][known])


# The check.


WRONG = {
    "torch": ("torch.abs(", "torch.exp("), "numpy": ("np.sign(", "np.exp("), "sympy": ("sympy.Abs(", "sympy.exp("),
}  # fmt: skip


@pytest.mark.parametrize("target", WRONG)
def test_a_wrong_text_is_found(target: str) -> None:
    loss = loss_of("loss f(p: real, y: real) = abs(p - y)")
    text = export(loss, target)
    with pytest.raises(GloError, match="another number for the value") as error:
        check_text(loss, text.replace(*WRONG[target]), target)
    assert "nothing was written" in str(error.value)


@pytest.mark.parametrize("by", ["y", "k"])
def test_a_wrong_derivative_is_found(by: str) -> None:
    loss = loss_of("loss f(p: real, y: real; k = 2) = k * (p - y)")
    text = array_text(loss, "torch").replace("return k * (p - y)", f"return k * (p - y) + 0.1 * ({by} - {by}.detach())")
    with pytest.raises(GloError, match=f"another number for the derivative by {by}"):
        check_text(loss, text, "torch")


SYMPY_IS_CAREFUL = [
    "loss f(x: real, m: bool) = if m == (x > 0 and x < 1) then x else 2 * x",
    "loss f(x: real, m: bool) = (if 1 - (if m then x else -x) > 0 then 1 - (if m then x else -x) else 0) ^ 2",
    "loss f(z: real[C], z1: real; k = 0.1) = sum(z * z1) * (1 / 3) ^ k + floor(z1 * 2) * z1",
    "loss f(z: real[C], t: class[C], s: class[C]) = if t == s then z[t] else -2 ^ z[s] * stop(z[t])",
]


@pytest.mark.parametrize("text", SYMPY_IS_CAREFUL)
def test_what_is_easily_wrong_in_sympy(text: str) -> None:
    export(loss_of(text), "sympy")


def test_numbers_are_exact_in_sympy() -> None:
    f = load_module(sympy_text(loss_of("loss f(x: real) = 1 / 3 + 0.1 * pi + x * 0"))).f
    assert str(f(x=0)) == "pi/10 + 1/3"


def test_a_loss_without_numbers_is_not_called_checked() -> None:
    with pytest.raises(GloError, match="no number to compare"):
        export(loss_of("loss f(x: real) = 1 / (x - x)"), "numpy")


def test_nothing_is_written_unchecked_without_saying_so(monkeypatch: pytest.MonkeyPatch) -> None:
    loss = glo.zoo["mse"]
    assert "NOT CHECKED" in export(loss, "jax", check=False)
    monkeypatch.setitem(sys.modules, "jax", None)
    with pytest.raises(GloError, match="jax is not installed") as error:
        export(loss, "jax")
    assert "pip install 'glo-dsl[export]'" in str(error.value) and "--no-check" in str(error.value)


def test_what_cannot_be_exported() -> None:
    with pytest.raises(GloError, match="has a hole"):
        export(loss_of("loss f(x: real) = ?g(x)"), "jax", check=False)
    with pytest.raises(GloError, match=r"(?s)exported to jaxx.*did you mean jax"):
        export(glo.zoo["mse"], "jaxx")
    with pytest.raises(GloError, match="no document"):
        export(glo.zoo["mse"], "jax", document=True)
    text = "loss f(x: real) = let " + ", ".join(f"a{i + 1} = sin(a{i}) * a{i}" for i in range(40)).replace("a0", "x")
    with pytest.raises(GloError, match="operations written out"):
        export(loss_of(text + " in a40"), "sympy")


def test_an_export_needs_its_library_alone(tmp_path: Path) -> None:
    (tmp_path / "f.py").write_text(export(glo.zoo["sup_con"], "numpy"))
    code = "import sys; sys.path.insert(0, '.'); import f; assert not [m for m in sys.modules if m.startswith('glo_')]"
    subprocess.run([sys.executable, "-I", "-c", code], cwd=tmp_path, check=True)


@pytest.mark.parametrize(("name", "target"), [("focal", "jax"), ("focal", "torch"), ("cauchy", "numpy"),
                                              ("focal", "sympy"), ("cauchy", "latex")])  # fmt: skip
def test_golden(name: str, target: str, golden: Callable[[str, str], None]) -> None:
    golden(export(glo.zoo[name], target, check=False), f"exports/{name}.{target}.txt")

"""The Triton printer: its text, and what its kernels compute in Triton's interpreter, against autograd in float64."""

from __future__ import annotations

import ast
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from glo_codegen.triton import emit_triton
from tests.codegen.launching import (
    EXAMPLES,
    IGNORED,
    SIZES,
    Build,
    batch,
    check,
    close,
    loss_of,
    program_of,
    run,
)


@pytest.mark.parametrize(("rows", "classes"), SIZES)
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_examples_have_the_value_and_gradients_of_autograd(path: Path, rows: int, classes: int, build: Build) -> None:
    loss = loss_of(path.read_text())
    inputs = batch(loss, rows, classes)
    check(loss, build(program_of(loss)), inputs, scale=0.25)


LOSSES = {
    "constant gradient": "loss f(z: real[C]) = sum(z)",
    "gradient per sample": "loss f(z: real[C], a: real) = a * sum(z) + a",
    "constant": "loss f(x: real; k = 3) = 2.5",
    "constant row": "loss f(z: real[C], t: class[C]) = 2.5",
    "uniform": "loss f(x: real; k = 3, j = -2) = k * j",
    "class weights": "loss f(z: real[C], w: shared real[C], t: class[C]) = -exp(w[t]) * log_softmax(z)[t] + sum(w * z)",
    "reduced weights": "loss f(z: real[C], w: shared real[C]) = max(w) * min(z) + sum(w) + mean(w * w)",
    "conditions": "loss f(z: real[C], m: bool[C], b: bool; k = 1) ="
    " if b and not (sum(z) > 0) or k < 0 then sum(if m and k > 0 or z > 1 then z else 0) else min(z)",
    "literal conditions": "loss f(z: real[C], m: bool[C]) = sum(if m == true and z < 3 then z * z else 0)",
    "two rows": "loss f(z: real[C], y: real[C]) = -sum(softmax(y) * log_softmax(z)) + max(z * y)",
    "two class indices": "loss f(z: real[C], t: class[C], s: class[C]) ="
    " z[t] * z[s] - logsumexp(z) + (if t == s then 1 else 0)",
    "classes without rows": "loss f(x: real, t: class[C], s: class[C]) = if t == s then x * x else x",
    "ties": "loss f(z: real[C]) = max(floor(z)) * max(z) + min(floor(z / 2))",
    "elementary": "loss f(x: real, y: real; k = 1.5) ="
    " tanh(x) + erf(y) * sin(x) - cos(y) + sqrt(square(x) + 1) + sign(x) * floor(y)"
    " + relu(x) + clamp(y, -k, k) + xlogy(square(x), square(y) + k) + log1p(exp(x)) + expm1(y) * sigmoid(x)"
    " + log(sigmoid(y)) + (x * x + 1) ^ y + max(x, y) * min(x, k)",
}


@pytest.mark.parametrize("text", LOSSES.values(), ids=LOSSES)
def test_rates_and_kinds_have_the_value_and_gradients_of_autograd(text: str, build: Build) -> None:
    loss = loss_of(text)
    module = build(program_of(loss))
    check(loss, module, batch(loss, 67, 3))
    check(loss, module, batch(loss, 2, 1))


def strided(tensor: Tensor, how: str) -> Tensor:
    """The same values, or for "expanded" one row of them again and again, in another layout."""
    if how == "transposed":
        return tensor.mT.contiguous().mT if tensor.dim() == 2 else tensor
    if how == "expanded":
        return tensor[:1].expand_as(tensor)
    wide = torch.full((*tensor.shape, 3), float("nan")).to(tensor.dtype)  # every third element, junk between
    wide[..., 1] = tensor
    return wide[..., 1]


@pytest.mark.parametrize("how", ["transposed", "expanded", "every third"])
@pytest.mark.parametrize(
    "text",
    [(Path(__file__).parents[2] / "examples" / "focal.glo").read_text(), LOSSES["class weights"], LOSSES["elementary"]],
    ids=["focal", "class weights", "elementary"],
)
def test_strides_may_be_anything(text: str, how: str, build: Build) -> None:
    loss = loss_of(text)
    inputs = tuple(strided(t, how) for t in batch(loss, 9, 10))
    check(loss, build(program_of(loss)), inputs)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_half_precision_is_computed_in_float32_and_rounded_once(path: Path, dtype: torch.dtype, build: Build) -> None:
    loss = loss_of(path.read_text())
    check(loss, build(program_of(loss)), batch(loss, 7, 10, dtype))


@pytest.mark.parametrize("kind", [torch.int64, torch.int32])
@pytest.mark.parametrize("name", ["cross_entropy", "focal", "two class indices", "classes without rows"])
def test_ignored_rows_are_zero_and_rows_without_such_a_class_are_nan(
    name: str, kind: torch.dtype, build: Build
) -> None:
    path = Path(__file__).parents[2] / "examples" / f"{name}.glo"
    loss = loss_of(LOSSES.get(name) or path.read_text())
    inputs = list(batch(loss, 8, 10))
    places = [n for n, v in enumerate(loss.inputs) if v.type.kind == "class"]
    by_rows = any(v.type.per_class for v in loss.inputs)
    for n in places:
        inputs[n] = inputs[n].to(kind)
    inputs[places[0]][1:4] = torch.tensor([IGNORED, -1, 10 if by_rows else -7])
    inputs[places[-1]][4:6] = torch.tensor([IGNORED, -(2**31)])
    inputs[places[-1]][2] = IGNORED if len(places) > 1 else 2**31 - 1  # ignored and invalid: ignored
    loss_rows, _ = run(build(program_of(loss)), loss, tuple(inputs))
    assert loss_rows[1] == 0 and loss_rows[4] == 0 and loss_rows[5].isnan()
    if by_rows:
        check(loss, build(program_of(loss)), tuple(inputs))


@pytest.mark.parametrize("path", [p for p in EXAMPLES if "real[C]" in p.read_text()], ids=lambda p: p.stem)
def test_a_nan_poisons_its_own_row_only(path: Path, build: Build) -> None:
    loss = loss_of(path.read_text())
    module = build(program_of(loss))
    logits, target = batch(loss, 6, 10)
    clean, clean_grads = run(module, loss, (logits, target))
    logits[2, 7] = float("nan")
    value, grads = run(module, loss, (logits, target))
    others = torch.arange(6) != 2
    assert value[2].isnan() and grads["z"][2].isnan().all()
    assert torch.equal(value[others], clean[others])
    assert torch.equal(grads["z"][others], clean_grads["z"][others])


def test_a_masked_class_contributes_nothing(build: Build) -> None:
    loss = loss_of("loss ce(z: real[C], t: class[C]) = -log(softmax(z))[t]")
    logits, target = batch(loss, 4, 7)
    target[:] = 3
    logits[:, 5] = -float("inf")
    value, grads = run(build(program_of(loss)), loss, (logits, target))
    kept = [0, 1, 2, 3, 4, 6]
    close(value, torch.nn.functional.cross_entropy(logits[:, kept].double(), target, reduction="none"))
    assert (grads["z"][:, 5] == 0).all() and grads["z"].isfinite().all()


PADDED = [
    "sum(exp(-z))",
    "sum(cos(z))",
    "min(z)",
    "max(z)",
    "sum(1 / z)",
    "sum(log(z))",
    "max(1 - z)",
    "sum(2 + 0 * z)",
]


@pytest.mark.parametrize("classes", [1, 3, 33])
@pytest.mark.parametrize("body", [*PADDED, "min(cos(z)) + max(-z)"])
def test_padding_never_leaks(body: str, classes: int, build: Build) -> None:
    """All logits are positive and above any padding value; in memory NaN lies between the rows."""
    loss = loss_of(f"loss f(z: real[C]) = {body}")
    memory = torch.full((5, 64), float("nan"))
    memory[:, :classes] = batch(loss, 5, classes)[0].abs() + 2
    check(loss, build(program_of(loss)), (memory[:, :classes],))


def test_an_output_is_written_nowhere_but_in_its_rows(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    loss = loss_of("loss ce(z: real[C], t: class[C]; k = 2) = -k * log(softmax(z))[t]")
    module = build(program_of(loss))
    arenas = []

    def allocate(shape: int | tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
        arenas.append(torch.full((math.prod(np.atleast_1d(shape)) + 4096,), 7.0, dtype=dtype, device=device))
        return arenas[-1][: math.prod(np.atleast_1d(shape))].view(shape)

    monkeypatch.setattr(module.torch, "empty", allocate)
    value, grads = run(module, loss, batch(loss, 5, 6))
    for arena, output in zip(arenas, [value, *grads.values()], strict=True):
        assert (arena[output.numel() :] == 7).all()


def test_only_wanted_gradients_are_returned_and_do_not_depend_on_the_others(build: Build) -> None:
    loss = loss_of((EXAMPLES[0].parent / "baikal_cma.glo").read_text())
    module = build(program_of(loss))
    inputs = batch(loss, 5, 4)
    value, grads = run(module, loss, inputs)
    for wrt in [(), ("c2",), ("c3", "z")]:
        some_value, some = run(module, loss, inputs, wrt)
        assert torch.equal(some_value, value) and list(some) == list(wrt)
        assert all(torch.equal(some[name], grads[name]) for name in wrt)


@pytest.mark.parametrize("name", ["focal", "huber"])
def test_an_empty_batch_gives_empty_outputs(name: str, build: Build) -> None:
    loss = loss_of((EXAMPLES[0].parent / f"{name}.glo").read_text())
    inputs = batch(loss, 0, 10)
    value, grads = run(build(program_of(loss)), loss, inputs)
    assert value.shape == (0,)
    assert [g.shape for g in grads.values()] == [t.shape for t in inputs if t.is_floating_point()] + [(0,)] * len(
        loss.params
    )


def test_hostile_names_collide_with_nothing(build: Build) -> None:
    loss = loss_of(
        "loss lambda(tl: real[C], int: class[C], rows: real, z: real, z_ptr: real[C], z_row_stride: real,"
        " z_plane_stride: real, out: real[C], plane: real,"
        " mask: bool[C], row: shared real[C], __import__: real, float: real;"
        " v0 = 2, z_ptr_ptr = 3, scale = 1.5, _max = -1, launch = 2) ="
        " v0 * tl[int] * z + z_ptr_ptr * sum(if mask then z_ptr * row else tl) + scale * z_row_stride * rows"
        " + max(tl, 0.5)[int] * _max * __import__ * float ^ launch + sum(out) * plane + z_plane_stride"
    )
    check(loss, build(program_of(loss)), batch(loss, 3, 5))


@pytest.mark.parametrize("build", ["resident"], indirect=True)
def test_long_rows_are_streamed(build: Build) -> None:
    """The kernel is chosen by the class count alone, and a streaming one takes any."""
    module = build(program_of(loss_of("loss f(z: real[C]) = sum(z)")))
    assert module._tile("any", 0)[1]["BLOCK"] == module._tile("any", 1)[1]["BLOCK"] == 1
    assert not module._tile("any", 0)[1]["FULL"]
    full = {"ROWS": 1, "BLOCK": 8192, "FULL": True, "EVEN": False, "SHIFT": False, "num_warps": 8}
    assert module._tile("any", 8192) == (module.f_kernel, full)
    assert module._tile("any", 8000) == (module.f_kernel, {**full, "FULL": False})
    for classes, block in ((8193, 2048), (16384, 2048), (16385, 4096), (32768, 4096), (32769, 8192), (2**30, 8192)):
        kernel, tile = module._tile("any", classes)
        assert kernel is module.f_stream_kernel
        assert (tile["ROWS"], tile["BLOCK"], tile["FULL"]) == (1, block, classes % block == 0)
        assert not tile["EVEN"] and not tile["SHIFT"]
        tile = module._tile("any", classes, dense=True)[1]
        assert (tile["EVEN"], tile["SHIFT"]) == (classes % 8 == 0, classes % 8 > 0)
    assert not module._tile("any", 1001, dense=True)[1]["SHIFT"]  # a row on chip begins where it begins


@pytest.mark.parametrize("build", ["resident"], indirect=True)
def test_a_row_of_more_classes_than_any_register_file_holds(build: Build) -> None:
    loss = loss_of("loss ce(z: real[C], t: class[C]) = -log(softmax(z))[t]")
    check(loss, build(program_of(loss)), batch(loss, 1, 65537))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_the_text_is_deterministic_and_self_contained(path: Path) -> None:
    program = program_of(loss_of(path.read_text()))
    text = emit_triton(program)
    assert text == emit_triton(program)
    assert max(map(len, text.splitlines())) <= 120
    imported = [
        a.name for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Import | ast.ImportFrom) for a in n.names
    ]
    assert [name for name in imported if name not in ("cache", "lru_cache")] == ["torch", "triton", "triton.language"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_every_helper_is_used_and_defined_before_its_callers(path: Path) -> None:
    tree = ast.parse(emit_triton(program_of(loss_of(path.read_text()))))
    defined: list[str] = []
    used: set[str] = set()
    for function in (n for n in tree.body if isinstance(n, ast.FunctionDef)):
        names = {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and n.id.startswith("_")}
        assert names <= set(defined)
        used |= names
        defined.append(function.name)
    assert {name for name in defined if name.startswith("_")} == used


@pytest.mark.parametrize(
    "text",
    [
        "loss f(w: shared real[C]) = sum(w)",
        "loss f(x: real, t: class[C]) = x * max(onehot(t))",
        "loss f(x: real) = x * C",
    ],
)
def test_what_has_no_rows_or_no_class_count_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^f has"):
        emit_triton(program_of(loss_of(text)))


PLANES = (
    "loss planes(z: real[C], t: class[C], q: real[C], y: real, w: shared real[C]; a = 1, b = 2) ="
    " a * sum(w * exp(z)) - b * q[t] * y + sum(z * q)"
)


@pytest.mark.parametrize("across", [False, True], ids=["classes side by side", "rows side by side"])
@pytest.mark.parametrize("classes", [3, 33])
def test_planes_are_calls_of_their_own(build: Build, classes: int, across: bool) -> None:
    """A plane has its own inputs, or those of all; its own constants and scale; and weights of its rows."""
    loss = loss_of(PLANES)
    module, g = build(program_of(loss)), torch.Generator().manual_seed(0)
    count, rows = 3, 5
    z = torch.randn(count, classes, rows, generator=g).transpose(1, 2)
    q, y, w = torch.randn(rows, classes), torch.randn(count, rows), torch.rand(count, classes)
    z = z if across else z.contiguous()
    t = torch.randint(0, classes, (rows,), generator=g)
    t[1] = IGNORED
    params, scale = torch.rand(count, 2), torch.rand(count, 1)
    weight = torch.rand(count, rows)
    weight[0, 0] = 0
    z[0, 0, 0] = math.nan  # its row has no weight
    wrt = ("z", "q", "y", "w", "a", "b")
    value, grads = module.launch((z, t, q, y, w), params, wrt, scale, IGNORED, weight)
    assert grads["z"].stride() == z.stride() and not value[0, 0] and not grads["z"][0, 0].any()
    for n in range(count):
        one = module.launch((z[n], t, q, y[n], w[n]), params[n], wrt, scale[n], IGNORED, weight[n])
        torch.testing.assert_close(value[n], one[0])
        for name in wrt:
            torch.testing.assert_close(grads[name][n], one[1][name])
    plain = module.launch((z[1], t, q, y[1], w[1]), params[1], wrt, scale[1], IGNORED)
    torch.testing.assert_close(value[1], plain[0] * weight[1])
    torch.testing.assert_close(grads["q"][1], plain[1]["q"] * weight[1][:, None])


@pytest.mark.parametrize("build", ["resident"], indirect=True)
def test_constants_alone_may_differ_from_plane_to_plane(build: Build) -> None:
    module = build(program_of(loss_of("loss f(p: real, y: real; k = 1) = k * (p - y) ^ 2")))
    p, y = torch.randn(7), torch.randn(7)
    value, grads = module.launch((p, y), torch.tensor([[1.0], [2.0]]), ("p", "k"), torch.ones(1))
    torch.testing.assert_close(value, torch.stack([(p - y) ** 2, 2 * (p - y) ** 2]))
    torch.testing.assert_close(grads["p"], torch.stack([2 * (p - y), 4 * (p - y)]))
    assert grads["k"].shape == (2, 7)


@pytest.mark.parametrize("build", ["resident"], indirect=True)
def test_rows_side_by_side_are_taken_many_at_a_time(build: Build) -> None:
    """32 of them fill a line of memory; fewer would read every line several times."""
    module = build(program_of(loss_of("loss f(z: real[C]) = sum(z)")))
    for classes in (3, 150, 500, 1000, 5000, 200_000):
        kernel, tile = module._tile("any", classes, 4096, True)
        assert tile["ROWS"] >= 32 and tile["ROWS"] * tile["BLOCK"] <= 16384
        assert (tile["BLOCK"] >= classes) == (kernel is module.f_kernel)
    assert module._tile("any", 10, 5, True)[1]["ROWS"] == 8
